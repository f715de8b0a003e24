"""Figures and tables made from results, without a training framework."""
