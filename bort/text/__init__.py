"""Tokenizers, masking, batch plans and batches, without any deep learning framework."""
