"""Generation of new examples with τ: edit distance bounds, no duplicates, no report examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Sequence, Set

import numpy as np

from bort.agora.edit_distance import Band, normalised_distance
from bort.agora.examples import Example, TextOf, normalised_key
from bort.agora.tau import Tau

DEFAULT_BAND = Band()
REFUSALS = ("too_similar", "too_different", "duplicate", "in_report", "nothing_to_change")


@dataclass(frozen=True)
class Generated:
    """Examples that τ made.

    Attributes:
        examples: the accepted examples.
        sources: for each accepted example, the index of its source.
        refused: number of refused proposals, for each reason of `REFUSALS`.
    """

    examples: List[Example] = field(default_factory=list)
    sources: List[int] = field(default_factory=list)
    refused: Dict[str, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))


def generate(
    sources: Sequence[Example],
    tau: Tau,
    *,
    known: Set[str],
    generator_of: Callable[[int], np.random.Generator],
    band: Band = DEFAULT_BAND,
    per_source: int = 1,
    attempts: int = 20,
    is_reserved: Callable[[Example], bool] = lambda example: False,
    text_of: Optional[TextOf] = None,
) -> Generated:
    """Make examples from `sources` that are similar to their source, but not too similar.

    Two examples that differ only in case, white space and punctuation are duplicates.

    Args:
        sources: examples to start from.
        tau: makes proposals.
        known: `normalised_key` of each example that counts as a duplicate; it is not changed.
        generator_of: returns the random generator of a source by its index. The proposals for one
            source then do not depend on the others, except through duplicates.
        band: allowed distance from the source.
        per_source: number of examples to make from each source.
        attempts: maximum number of calls of τ for each example to make.
        is_reserved: whether an example must not be used, such as one of the report split.
        text_of: turns a segment of token ids into a string.

    >>> from bort.agora.tau import TokenDeletion
    >>> made = generate(
    ...     [Example.from_texts("a b c d")],
    ...     TokenDeletion(0.25),
    ...     known={"acd"},
    ...     generator_of=np.random.default_rng,
    ...     per_source=9,
    ... )
    >>> sorted(example.texts()[0] for example in made.examples)
    ['a b c', 'a b d', 'b c d']
    """
    result = Generated()
    taken = set(known)
    for number, source in enumerate(sources):
        generator = generator_of(number)
        wanted = per_source
        for _ in range(attempts * per_source):
            if wanted == 0:
                break
            proposals = tau.propose(source, generator)
            if not proposals:
                result.refused["nothing_to_change"] += 1
            for made in proposals[:wanted]:
                key = normalised_key(made, text_of)
                reason = _refusal(source, made, key, band, taken, is_reserved)
                if reason is not None:
                    result.refused[reason] += 1
                    continue
                taken.add(key)
                result.examples.append(made)
                result.sources.append(number)
                wanted -= 1
    return result


def _refusal(
    source: Example,
    made: Example,
    key: str,
    band: Band,
    taken: Set[str],
    is_reserved: Callable[[Example], bool],
) -> Optional[str]:
    if is_reserved(made):
        return "in_report"
    if key in taken:
        return "duplicate"
    distance = normalised_distance(source, made)
    if band.holds(distance):
        return None
    return "too_similar" if distance < band.minimum else "too_different"
