"""The smallest setting of the experiment."""

from __future__ import annotations

from experiments.large_then_compressed.plan import LargeConfig

TINY = {
    "documents": 300,
    "vocabulary_size": 300,
    "max_seq_length": 32,
    "scored_examples": 16,
    "architectures": ["1-2-32-64", "2-2-32-64"],
    "batch_sizes": [4, 2],
    "chunk_steps": [5],
    "chunks": 2,
    "seeds": 2,
    "ckpt_interval": 2,
    "train_size": 32,
    "dev_size": 16,
    "report_size": 16,
    "finetune_epochs": 2,
    "finetune_batch_size": 8,
    "super_network_steps": 4,
    "latency_repeats": 3,
}


def tiny(**changes: object) -> LargeConfig:
    """Return the smallest setting with changes."""
    return LargeConfig.from_dict({**TINY, **changes}, "tiny")
