"""Train large, then compress: which size to pre-train for a given time, and what compressing gives.

Source: arXiv 2002.11794.
"""
