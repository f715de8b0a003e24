"""Experiments as graphs of stages whose results are kept by the content that they depend on."""
