"""How far a new example is from the one it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from bort.agora.examples import Example, Token
from bort.errors import InputError


def levenshtein(first: Sequence[Token], second: Sequence[Token]) -> int:
    """The least number of tokens to insert, delete or replace to make one sequence the other.

    A row of the usual table at a time: with c[j] = min(above[j] + 1, diagonal[j − 1] + cost),
    `row[j] = min over i ≤ j of c[i] + (j − i)`, which is a running minimum of c[i] − i.

    >>> levenshtein("the cat sat".split(), "a cat sat down".split())
    2
    """
    numbers = {token: number for number, token in enumerate(dict.fromkeys([*first, *second]))}
    rows = [numbers[token] for token in first]
    columns = np.array([numbers[token] for token in second], dtype=np.int64)
    places = np.arange(len(columns) + 1)
    row = places.copy()
    for token in rows:
        candidates = row + 1
        np.minimum(candidates[1:], row[:-1] + (columns != token), out=candidates[1:])
        row = np.minimum.accumulate(candidates - places) + places
    return int(row[-1])


def normalised_distance(first: Example, second: Example) -> float:
    """Edits over tokens, 0 (equal) to 1: `Σ levenshtein / Σ max(length)`, sums over segments.

    Raises:
        InputError: when the examples differ in their number of segments.

    >>> normalised_distance(Example.from_texts("a b c d"), Example.from_texts("a c d"))
    0.25
    """
    if len(first.segments) != len(second.segments):
        raise InputError(
            f"an example of {len(second.segments)} segments was made from one of "
            f"{len(first.segments)}"
        )
    pairs = list(zip(first.segments, second.segments))
    longest = sum(max(len(one), len(other)) for one, other in pairs)
    return sum(levenshtein(one, other) for one, other in pairs) / longest if longest else 0.0


@dataclass(frozen=True)
class Band:
    """Similar enough, but not too similar: bounds of `normalised_distance`, both allowed.

    The paper gives the words but no measure and no numbers; both are ours.

    Raises:
        InputError: unless 0 < minimum ≤ maximum ≤ 1.

    >>> Band(0.1, 0.5).holds(0.1), Band(0.1, 0.5).holds(0.51)
    (True, False)
    """

    minimum: float = 0.05
    maximum: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.minimum <= self.maximum <= 1:
            raise InputError(
                f"the band of edit distance is {self.minimum!r} to {self.maximum!r}, allowed is "
                "0 < minimum <= maximum <= 1"
            )

    def holds(self, distance: float) -> bool:
        """Whether a distance is neither too small nor too large."""
        return self.minimum <= distance <= self.maximum
