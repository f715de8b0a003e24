"""English text that a grammar generates from a seed."""
