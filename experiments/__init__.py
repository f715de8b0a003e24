"""Complete experiments built on the library."""
