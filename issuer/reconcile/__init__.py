"""Reconciliation: what the chain shows, what our tables say and what the provider decided, compared three ways."""
