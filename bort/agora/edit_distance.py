"""The edit distance between a new example and the one that it was made from."""

from __future__ import annotations

from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from bort.agora.examples import Example
from bort.errors import InputError


def normalised_distance(first: Example, second: Example) -> float:
    """Edits over tokens, 0 (equal) to 1: `Σ edits / Σ max(length)`, sums over segments.

    The edits of a segment are its Levenshtein distance: the least number of tokens to insert,
    delete or replace.

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
    edits = sum(Levenshtein.distance(one, other) for one, other in pairs)
    return edits / longest if longest else 0.0


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
        """Return whether a distance is neither too small nor too large."""
        return self.minimum <= distance <= self.maximum
