"""Corpora from text that is available on every machine."""
