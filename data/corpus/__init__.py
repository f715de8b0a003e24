"""Preparation and reading of pre-training corpora: text files to shards of token ids."""
