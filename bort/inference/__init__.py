"""Text in, answers out: a model folder in use, whatever engine computes it."""
