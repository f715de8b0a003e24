"""Storage: atomic files, sealed folders, run folders, stored results."""
