"""Subsampling of wrong answers and passages for training.

The draw depends only on the seed and the item's own index, not on the order or the other content of
a file.
"""

from __future__ import annotations

import hashlib
from typing import List, Sequence, Tuple

from bort.tasks.items import Index, TaskItem


def balanced_choices(right: Sequence[bool], index: Index, seed: int) -> Tuple[int, ...]:
    """Return the indices of the answers to train on: all right ones, and as many wrong ones.

    For RACE this keeps one of three wrong options and so drops two thirds of the negatives. For a
    question without a right answer nothing is kept.

    Args:
        right: for each answer, whether it is right.
        index: index of the question.
        seed: seed of the draw.

    >>> len(balanced_choices([False, True, False, False], ("high1.txt", 0), seed=0))
    2
    """
    kept = [number for number, is_right in enumerate(right) if is_right]
    wrong = [number for number, is_right in enumerate(right) if not is_right]
    wrong.sort(key=lambda number: _lot(seed, index, number))
    return tuple(sorted(kept + wrong[: len(kept)]))


def half_of_the_passages(items: Sequence[TaskItem], seed: int) -> List[bool]:
    """Return for each RACE item whether its passage is in the half that is kept (rounded up)."""
    passages = sorted({_passage(item) for item in items}, key=lambda name: _lot(seed, name, -1))
    kept = set(passages[: (len(passages) + 1) // 2])
    return [_passage(item) in kept for item in items]


def _passage(item: TaskItem) -> str:
    return str(item.index[0] if isinstance(item.index, tuple) else item.index)


def _lot(seed: int, index: Index, number: int) -> bytes:
    return hashlib.sha256(f"{seed} {index!r} {number}".encode()).digest()
