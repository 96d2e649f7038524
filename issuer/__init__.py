"""The business of Claimwright: provider events in, signed claims out."""
