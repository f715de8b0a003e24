"""Tokens, masks and batches: everything between text and a network, without a network."""
