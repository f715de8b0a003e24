"""Grids of runs of one command: each combination of settings once, and a table of the results."""
