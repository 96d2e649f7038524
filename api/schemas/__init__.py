"""What goes over the wire. Unknown fields of a request are refused; times are RFC 3339 in UTC."""
