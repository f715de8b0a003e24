"""Sizes and synthetic inference times for tests."""

from __future__ import annotations

import numpy as np

from bort.search.latency_terms import LATENCY_TERMS, sum_of_terms

LENGTH = 128
CONDITIONS = {
    "engine": "e 1",
    "precision": "fp32",
    "threads": 1,
    "device": "cpu(0)",
    "length": LENGTH,
    "batch": 1,
    "repeats": 5,
}
TRUE = dict(zip(LATENCY_TERMS, (2e-11, 1.5e-11, 3e-11, 1e-9, 1e-9, 5e-10, 1e-9, 2e-5, 1e-4)))


def drawn_sizes(count, seed=0, depths=range(1, 9)):
    """Return sizes whose widths of heads differ, int32 (count, 5)."""
    generator = np.random.default_rng(seed)
    depth = np.array(depths)[np.arange(count) % len(depths)]
    heads = generator.integers(1, 13, count)
    hidden, intermediate = generator.integers(32, 193, count), generator.integers(32, 769, count)
    qkv = heads * generator.choice([16, 32, 64], count)
    return np.stack([depth, heads, 4 * hidden, 4 * intermediate, qkv], axis=1).astype(np.int32)


def true_seconds(sizes):
    """Return the times of the synthetic machine."""
    return sum_of_terms(TRUE, sizes, LENGTH)
