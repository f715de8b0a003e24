"""Corpora and task data: readers, shards of token ids, generated text and generated tasks."""
