"""Hugging Face model folders: reading, writing, tokenizers."""
