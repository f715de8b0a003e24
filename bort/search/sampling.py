"""Samples of a grid of candidates that cover every axis evenly."""

from __future__ import annotations

from typing import Dict

import numpy as np

from bort.errors import InputError
from bort.search.grid import CandidateGrid

_ROUNDS = 20


def space_filling_sample(
    grid: CandidateGrid, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Return rows of a grid, each once, that cover the values of every axis evenly.

    On every axis, each of `count` equal intervals has one architecture of the sample, so with as
    many architectures as layer counts every layer count occurs. Combinations that are no candidates
    are replaced by a new sample of what is missing.

    Source: McKay, Beckman and Conover, "A comparison of three methods for selecting values of input
    variables", Technometrics 21 (2), 1979: Latin hypercube sampling.

    Args:
        grid: the candidates.
        count: number of rows, at least 1; all rows in order if there are no more.
        generator: source of random numbers.

    Returns:
        int64 (min(count, number of candidates),).

    Raises:
        InputError: count is below 1.
    """
    if count < 1:
        raise InputError(f"count is {count}, allowed is at least 1")
    if count >= len(grid):
        return np.arange(len(grid))
    chosen: Dict[int, None] = {}  # a set in the order of insertion
    for _ in range(_ROUNDS):
        rows = grid.rows_of(_hypercube(grid, count - len(chosen), generator))
        chosen.update(dict.fromkeys(rows[rows >= 0].tolist()))
        if len(chosen) == count:
            break
    else:  # nearly all candidates are wanted, or few combinations are candidates
        others = (row for row in generator.permutation(len(grid)).tolist() if row not in chosen)
        chosen.update(dict.fromkeys(row for row, _ in zip(others, range(count - len(chosen)))))
    return np.array(list(chosen), np.int64)


def _hypercube(grid: CandidateGrid, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return places on the axes, int64 (count, number of axes)."""
    columns = [
        ((generator.permutation(count) + generator.random(count)) / count * len(axis)).astype(int)
        for axis in grid.axes
    ]
    return np.stack(columns, axis=1)
