"""The HTTP edge of Claimwright. It holds no chain key and decides nothing."""
