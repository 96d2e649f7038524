"""Cases: one attempt of one subject at one level, from the dapp's request to a decision."""
