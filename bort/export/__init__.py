"""Models in the formats of other libraries, and back: NumPy arrays in, files out, no framework."""
