"""Provider events: stored once, handled once."""
