"""Claims: one ERC-735 claim on one Identity on one chain, from an approved case to a confirmed transaction and back."""
