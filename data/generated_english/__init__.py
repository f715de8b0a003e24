"""English text written by a grammar, from a seed."""
