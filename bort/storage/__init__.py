"""Atomic files, run folders, stored results."""
