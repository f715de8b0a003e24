"""The normalised edit distance of a new example from its source."""

from __future__ import annotations

from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from bort.agora.examples import Example
from bort.errors import InputError


def normalised_distance(first: Example, second: Example) -> float:
    """Return the edit distance over tokens, from 0 (equal) to 1.

    It is `Σ edits / Σ max(length)`, with sums over segments. The edits of a segment are its
    Levenshtein distance: the least number of tokens to insert, delete or replace.

    Raises:
        InputError: the examples have different numbers of segments.

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
    edits = sum(Levenshtein.distance(one, other) for one, other in pairs)
    return edits / longest if longest else 0.0


@dataclass(frozen=True)
class Band:
    """Inclusive bounds of `normalised_distance` for a new example.

    The paper asks for examples that are similar, but not too similar. It states no measure and no
    numbers; both are ours.

    Raises:
        InputError: not 0 < minimum ≤ maximum ≤ 1.

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
        """Return whether a distance lies within the bounds."""
        return self.minimum <= distance <= self.maximum
