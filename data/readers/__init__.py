"""Readers of the benchmarks' own file formats."""
