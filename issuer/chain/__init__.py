"""Transactions that survive crashes: lanes, nonces, signed bytes, attempts, receipts."""
