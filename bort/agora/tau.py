"""τ: functions that make new examples from an existing one.

A τ-function only makes proposals. `bort.agora.generation` decides whether a proposal is new and
whether its distance from the source is within bounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, FrozenSet, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from bort.agora.examples import Example, Token, TokenSegment
from bort.errors import InputError

TokenPlace = Tuple[int, int]
"""The place of a token: (index of the segment, index in the segment)."""


class Tau(Protocol):
    """A function that makes new examples from one."""

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return new examples; empty if nothing can change; deterministic given the generator."""


class Proposer(Protocol):
    """A masked language model that proposes tokens for masked places."""

    def propose(
        self, example: Example, places: Sequence[TokenPlace]
    ) -> Sequence[Sequence[Tuple[Token, float]]]:
        """Return proposals for each place, with all places masked at the same time.

        Returns:
            For each place, tokens with weights above 0, which need not sum to 1.
        """


@dataclass(frozen=True)
class Editable:
    """The places that τ may change.

    Attributes:
        segments: indices of the segments that may change; None for all.
        kept: tokens that must stay, such as the markers around a span.
    """

    segments: Optional[Tuple[int, ...]] = None
    kept: FrozenSet[Token] = frozenset()

    def places(self, example: Example) -> List[TokenPlace]:
        """Return the places that may change, in order."""
        return [
            (number, place)
            for number, segment in enumerate(example.segments)
            if self.segments is None or number in self.segments
            for place, token in enumerate(segment)
            if token not in self.kept
        ]


@dataclass(frozen=True)
class TokenDeletion:
    """Delete a share of the tokens, at least one; a segment never loses its last token.

    Attributes:
        share: share of the tokens that may change, above 0, at most 1.
        editable: places that may change.

    >>> deletion = TokenDeletion(share=0.3)
    >>> [made] = deletion.propose(Example((("a", "b", "c"),)), np.random.default_rng(0))
    >>> len(made.segments[0])
    2
    """

    share: float = 0.15
    editable: Editable = Editable()

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return one example with tokens deleted."""
        left = [len(segment) for segment in example.segments]
        gone = set()
        for number, place in _draw(self.editable.places(example), self.share, generator):
            if left[number] > 1:
                left[number] -= 1
                gone.add((number, place))
        if not gone:
            return []
        return [
            Example(
                tuple(
                    tuple(
                        token for place, token in enumerate(segment) if (number, place) not in gone
                    )
                    for number, segment in enumerate(example.segments)
                )
            )
        ]


@dataclass(frozen=True)
class NeighbourSwap:
    """Swap neighbouring tokens; the number of swaps is a share of the pairs, at least one.

    Attributes:
        share: share of the neighbouring pairs that are swapped, above 0, at most 1.
        editable: places that may change; a swap needs two of them.
    """

    share: float = 0.1
    editable: Editable = Editable()

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return one example with neighbours swapped."""
        places = set(self.editable.places(example))
        pairs = [(n, p) for n, p in sorted(places) if (n, p + 1) in places]
        segments = [list(segment) for segment in example.segments]
        for number, place in _draw(pairs, self.share, generator):
            tokens = segments[number]
            tokens[place], tokens[place + 1] = tokens[place + 1], tokens[place]
        return _if_changed(example, segments)


@dataclass(frozen=True)
class SpanShuffle:
    """Shuffle the tokens of one span.

    Attributes:
        length: maximum length of the span in tokens, at least 2.
        editable: places that may change; the span ends before any other place.
    """

    length: int = 4
    editable: Editable = Editable()

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return one example with a shuffled span."""
        places = set(self.editable.places(example))
        starts = [(n, p) for n, p in sorted(places) if (n, p + 1) in places]
        if not starts:
            return []
        number, start = starts[int(generator.integers(len(starts)))]
        end = start + 1
        while end - start < self.length and (number, end) in places:
            end += 1
        segments = [list(segment) for segment in example.segments]
        order = generator.permutation(end - start)
        segments[number][start:end] = [example.segments[number][start + int(i)] for i in order]
        return _if_changed(example, segments)


@dataclass(frozen=True)
class PartSwap:
    """Replace a part of a segment by a part of another example's segment.

    Attributes:
        pool: examples to take parts from; must not contain the report split.
        share: share of both segments that is exchanged, above 0, at most 1. With 1 the whole
            segment is replaced; a pair then has segments of two different examples.
        editable: segments that may change. A part never removes or inserts a token that must stay.
    """

    pool: Tuple[Example, ...]
    share: float = 1.0
    editable: Editable = Editable()

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return one example with a part of another."""
        numbers = sorted({number for number, _ in self.editable.places(example)})
        if not numbers or not self.pool:
            return []
        number = numbers[int(generator.integers(len(numbers)))]
        other = self.pool[int(generator.integers(len(self.pool)))]
        if number >= len(other.segments):
            return []
        mine, theirs = example.segments[number], other.segments[number]
        start, end = _span(mine, self.share, generator)
        their_start, their_end = _span(theirs, self.share, generator)
        if self.editable.kept & {*mine[start:end], *theirs[their_start:their_end]}:
            return []
        segments: List[Sequence[Token]] = list(example.segments)
        segments[number] = (*mine[:start], *theirs[their_start:their_end], *mine[end:])
        return _if_changed(example, segments)


@dataclass(frozen=True)
class Substitution:
    """Mask a share of the tokens, at least one, and replace them by a masked LM's proposals.

    Each place draws from its proposals by weight; the original token is never drawn.

    Attributes:
        proposer: the masked language model.
        share: share of the tokens that may change, above 0, at most 1.
        copies: number of examples made from one call of the proposer.
        editable: places that may change.
    """

    proposer: Proposer
    share: float = 0.15
    copies: int = 1
    editable: Editable = Editable()

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return up to `copies` examples with tokens substituted."""
        places = sorted(_draw(self.editable.places(example), self.share, generator))
        if not places:
            return []
        answers = self.proposer.propose(example, places)
        if len(answers) != len(places):
            raise InputError(f"the proposer answered {len(answers)} of {len(places)} places")
        made: List[Example] = []
        for _ in range(self.copies):
            segments = [list(segment) for segment in example.segments]
            for (number, place), proposals in zip(places, answers):
                old = example.segments[number][place]
                others = [(t, w) for t, w in proposals if t != old and t not in self.editable.kept]
                if others:
                    segments[number][place] = _draw_weighted(others, generator)
            made.extend(_if_changed(example, segments))
        return made


@dataclass(frozen=True)
class Chain:
    """τ-functions applied one after another, each to the results of the previous one.

    A function that finds nothing to change passes the example on unchanged.
    """

    taus: Tuple[Tau, ...]

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return the examples that the last function made."""
        made: List[Example] = [example]
        for tau in self.taus:
            made = [new for old in made for new in (tau.propose(old, generator) or [old])]
        return [new for new in made if new != example]


@dataclass(frozen=True)
class OneOf:
    """One of several τ-functions, drawn uniformly for each call."""

    taus: Tuple[Tau, ...]

    def propose(self, example: Example, generator: np.random.Generator) -> Sequence[Example]:
        """Return the examples that the drawn function made."""
        return self.taus[int(generator.integers(len(self.taus)))].propose(example, generator)


TAUS = ("substitution", "deletion", "neighbour_swap", "span_shuffle", "part_swap")
COMBINATIONS = ("one_of", "chain")


def build_tau(
    names: Sequence[str],
    *,
    combination: str = "one_of",
    share: float = 0.15,
    proposer: Optional[Proposer] = None,
    pool: Sequence[Example] = (),
    editable: Editable = Editable(),
) -> Tau:
    """Build τ from names in `TAUS`.

    Args:
        names: names of the functions, in the order in which a chain applies them.
        combination: one of `COMBINATIONS`.
        share: share of the tokens that each function changes.
        proposer: masked language model; required by `substitution`.
        pool: examples to take parts from; required by `part_swap`.
        editable: places that may change.

    Raises:
        InputError: a name is unknown, or lacks its proposer or pool.

    >>> tau = build_tau(["deletion", "neighbour_swap"], combination="chain")
    >>> [made] = tau.propose(Example((("a", "b", "c", "d"),)), np.random.default_rng(0))
    >>> len(made.segments[0])
    3
    """
    if not names:
        raise InputError("taus is empty, allowed is at least one function")
    made: Dict[str, Tau] = {
        "deletion": TokenDeletion(share, editable),
        "neighbour_swap": NeighbourSwap(share, editable),
        "span_shuffle": SpanShuffle(editable=editable),
    }
    if proposer is not None:
        made["substitution"] = Substitution(proposer, share, editable=editable)
    if pool:
        made["part_swap"] = PartSwap(tuple(pool), share, editable)
    for name in names:
        if name not in TAUS:
            raise InputError(f"taus holds {name!r}, allowed are {', '.join(TAUS)}")
        if name not in made:
            needed = "a masked language model" if name == "substitution" else "a pool of examples"
            raise InputError(f"taus holds {name!r}, which needs {needed}")
    if combination not in COMBINATIONS:
        raise InputError(f"tau_combination is {combination!r}, allowed are one_of and chain")
    chosen = tuple(made[name] for name in names)
    if len(chosen) == 1:
        return chosen[0]
    return OneOf(chosen) if combination == "one_of" else Chain(chosen)


def _draw(
    places: Sequence[TokenPlace], share: float, generator: np.random.Generator
) -> List[TokenPlace]:
    """Draw a share of the places, at least one."""
    if not places:
        return []
    count = min(len(places), max(1, math.floor(share * len(places) + 0.5)))
    return [places[int(i)] for i in generator.permutation(len(places))[:count]]


def _draw_weighted(
    proposals: Sequence[Tuple[Token, float]], generator: np.random.Generator
) -> Token:
    weights = np.array([weight for _, weight in proposals], dtype=np.float64)
    if not np.all(np.isfinite(weights)) or np.any(weights < 0) or weights.sum() <= 0:
        raise InputError(f"the proposer's weights are {weights.tolist()}, allowed is above 0")
    return proposals[int(generator.choice(len(proposals), p=weights / weights.sum()))][0]


def _span(segment: TokenSegment, share: float, generator: np.random.Generator) -> Tuple[int, int]:
    length = min(len(segment), max(1, math.floor(share * len(segment) + 0.5)))
    start = int(generator.integers(len(segment) - length + 1))
    return start, start + length


def _if_changed(example: Example, segments: Sequence[Sequence[Token]]) -> List[Example]:
    made = Example(tuple(tuple(segment) for segment in segments))
    return [] if made == example else [made]
