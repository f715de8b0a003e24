"""Pruning of Θ: the hyperparameter sets that are removed after an iteration."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import List, Mapping, Sequence, Tuple

from bort.agora.hyperparameters import FIELDS, HyperparameterSet, HyperparameterSets
from bort.errors import WorkError

DIRECTIONS = ("worst_first", "best_first")
EXTENTS = ("prefix", "worst")
LAST_GROUPS = ("one_by_one", "at_once")


@dataclass(frozen=True)
class Pruning:
    """Θ after an iteration, split into kept and removed sets.

    Attributes:
        kept: Θ of the next iteration, in the order of the listing.
        removed: the removed sets, the root first; never empty.
    """

    kept: HyperparameterSets
    removed: HyperparameterSets


def rank_sets(
    scores: Mapping[HyperparameterSet, Tuple[int, float]], listing: Sequence[HyperparameterSet]
) -> HyperparameterSets:
    """Return the sets from best to worst.

    Args:
        scores: for each set, the rung of successive halving that it reached and its dev score
            there. A higher rung is better, then a higher score. Without halving all rungs are 0.
        listing: the hyperparameter sets (Θ); among sets with equal scores, the one that comes
            earlier here ranks higher.

    Raises:
        WorkError: a score is not finite.
    """
    for theta in listing:
        if not math.isfinite(scores[theta][1]):
            raise WorkError(f"the dev score with {theta} is {scores[theta][1]}")
    # sorted() is stable: ties stay in the order of the listing
    return tuple(sorted(listing, key=lambda t: (-scores[t][0], -scores[t][1])))


def prune(
    ranking: Sequence[HyperparameterSet],
    listing: Sequence[HyperparameterSet],
    *,
    direction: str = "worst_first",
    extent: str = "prefix",
    last_group: str = "one_by_one",
) -> Pruning:
    """Remove the longest common sequence rooted at the first of the sorted sets.

    The first set is the root r. With `prefix`, let k < 4 be the largest number of leading values
    that another set shares with r. All sets that share those k values are removed together with r;
    if no set shares even the first value, only r is removed. With `worst`, only r is removed.

    The loop terminates: r is always removed, so |Θ| falls by at least one each time, and Θ is empty
    after at most |Θ| prunings, whatever the scores.

    Source: arXiv 2010.07990, as described in arXiv 2010.10499, section 4. The papers leave two
    points open:

    - The direction of the sort. With `worst_first` r is the worst set, the only reading in which
      good sets survive. With `best_first`, the other literal reading, the best sets are removed
      first and only the best model seen counts.
    - The last group, when all sets share leading values with r and pruning would leave no
      convergent set. With `one_by_one` (ours) only r is removed, so a single last set remains.
      With `at_once` the whole group is removed.

    Args:
        ranking: the sets from best to worst.
        listing: the same sets in the order of Θ.
        direction: one of `DIRECTIONS`.
        extent: one of `EXTENTS`.
        last_group: one of `LAST_GROUPS`.

    >>> from bort.agora.hyperparameters import PAPER_SETS
    >>> pruned = prune(PAPER_SETS, PAPER_SETS)  # the last of the listing is the worst
    >>> [theta.warmup_ratio for theta in pruned.removed], len(pruned.kept)
    ([0.5, 0.45, 0.4, 0.35], 236)
    """
    assert direction in DIRECTIONS
    assert extent in EXTENTS
    assert last_group in LAST_GROUPS
    assert ranking
    assert set(ranking) == set(listing)
    ordered = list(ranking) if direction == "best_first" else list(reversed(ranking))
    removed = ordered[:1] if extent == "worst" else longest_common_sequence(ordered)
    if len(removed) == len(ordered) and last_group == "one_by_one":
        removed = ordered[:1]
    gone = set(removed)
    return Pruning(tuple(theta for theta in listing if theta not in gone), tuple(removed))


def most_left(listing: Sequence[HyperparameterSet], *, extent: str, last_group: str) -> List[int]:
    """Return upper bounds of |Θ| in each later iteration, until Θ is empty.

    The bounds are exact for the slowest pruning of a grid, which removes its groups one after the
    other. For another Θ with `prefix` they assume that each pruning removes one set.

    Args:
        listing: Θ of this iteration.
        extent: one of `EXTENTS`.
        last_group: one of `LAST_GROUPS`.

    >>> from bort.agora.hyperparameters import grid
    >>> most_left(grid([0, 1], [1e-4, 1e-5], [0], [0.1]), extent="prefix", last_group="one_by_one")
    [2, 1]
    """
    one_by_one = list(range(len(listing) - 1, 0, -1))
    if extent == "worst":
        return one_by_one
    for length in range(len(FIELDS) - 1, 0, -1):
        groups = sorted(Counter(theta.values[:length] for theta in listing).values())
        if groups and groups[-1] > 1:
            break
    else:
        return one_by_one
    if groups[0] == 1:  # some sets share fewer leading values, so groups overlap
        return one_by_one
    left = [sum(groups[number:]) for number in range(1, len(groups))]
    # The smallest groups leave first, so that the most sets are left each time.
    return left + (list(range(groups[-1] - 1, 0, -1)) if last_group == "one_by_one" else [])


def longest_common_sequence(ordered: Sequence[HyperparameterSet]) -> List[HyperparameterSet]:
    """Return the first set and all sets that share its longest shared leading values, in order."""
    root = ordered[0].values
    for length in range(len(FIELDS) - 1, 0, -1):
        group = [theta for theta in ordered if theta.values[:length] == root[:length]]
        if len(group) > 1:
            return group
    return [ordered[0]]
