"""The demonstration: a small student learns from a larger teacher, from raw text, in ten minutes."""
