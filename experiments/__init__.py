"""Whole experiments built on the library."""
