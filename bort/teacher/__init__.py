"""A teacher's answers: protocol, cache, top-k."""
