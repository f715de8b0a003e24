"""Text that is at hand on every machine."""
