"""Figures and statistics of results, without a training framework."""
