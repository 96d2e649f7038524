"""One file per KYC vendor behind one small protocol. The rest of the house knows no vendor."""
