"""Balancing of the labels of new points before they join the training set."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, Sequence

import numpy as np

from bort.agora.examples import Point
from bort.agora.label_classes import CLASS_IDS, LabelClasses

BALANCES = ("none", "downsample", "fill", "proportional")


def balance(
    new: Sequence[Point],
    training: Sequence[Point],
    how: str,
    generator: np.random.Generator,
    classes: LabelClasses = CLASS_IDS,
) -> List[int]:
    """Choose the new points that join the training set, by their labels.

    With n(c) new points and m(c) training points of class c:

    - `none`: all new points join.
    - `downsample`: the same number of each class joins, `min n` over the classes of the training
      set. If one of these classes has no new points, none join.
    - `fill`: no class grows beyond `max(max m, min (m + n))`, which is the size of the largest
      class or the level that all classes can reach. The training set never gets less balanced.
    - `proportional`: as many as possible join in the proportions of the training set.

    The paper requires balanced labels but does not say how; the choices are ours.

    Args:
        new: points with Socrates' labels.
        training: the training set.
        how: one of `BALANCES`.
        generator: random generator that draws the points of each class.
        classes: the classes of the labels.

    Returns:
        Indices into `new` of the points that join, ascending.

    >>> from bort.agora.examples import Example
    >>> point = lambda label: Point(Example(()), label)
    >>> new, training = [point(0)] * 4 + [point(1)] * 2, [point(0)] * 3 + [point(1)] * 2
    >>> [len(balance(new, training, how, np.random.default_rng(0))) for how in BALANCES]
    [6, 4, 3, 5]
    """
    assert how in BALANCES
    if how == "none":
        return list(range(len(new)))
    own = [classes.of(point.label) for point in new]
    existing = Counter(classes.of(point.label) for point in training)
    places: Dict[int, List[int]] = {c: [] for c in sorted({*existing, *own})}
    for number, c in enumerate(own):
        places[c].append(number)
    wanted = _wanted({c: len(found) for c, found in places.items()}, existing, how)
    joining: List[int] = []
    for c, found in places.items():
        order = generator.permutation(len(found))[: wanted[c]]
        joining.extend(found[int(place)] for place in order)
    return sorted(joining)


def _wanted(new: Dict[int, int], existing: Dict[int, int], how: str) -> Dict[int, int]:
    """Return the number of new points of each class that join."""
    if how == "downsample":
        least = min((new[c] for c in existing if existing[c]), default=0)
        return dict.fromkeys(new, least)
    if how == "fill":
        level = max(
            max(existing.values(), default=0), min(existing.get(c, 0) + new[c] for c in new)
        )
        return {c: min(count, max(0, level - existing.get(c, 0))) for c, count in new.items()}
    total = sum(existing.values())
    # The largest factor s with s · m(c) ≤ n(c) for all classes is n(least) / m(least).
    present = [c for c in new if existing.get(c, 0)]
    if not total or not present:
        return dict.fromkeys(new, 0)
    least = min(present, key=lambda c: (new[c] / existing[c], c))
    return {c: existing.get(c, 0) * new[least] // existing[least] for c in new}
