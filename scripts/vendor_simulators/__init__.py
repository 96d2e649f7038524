"""Local iDenfy, Onfido, Sumsub and Veriff: the few calls that the adapters make, spoken as each vendor speaks them."""
