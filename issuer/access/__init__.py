"""Who may call the API: keys, hashed at rest, each with scopes."""
