"""The report split, which Agora never sees: carved from training data, sealed, guarded."""

from __future__ import annotations

import statistics
from typing import Dict, Hashable, List, Optional, Sequence, Tuple

import numpy as np

from bort.agora.examples import Example, Point, TextOf, normalised_key
from bort.errors import InputError, WorkError


class SealedReport:
    """The examples of the honest score, which stay closed until the winner is fixed.

    Agora looks at mistakes on the dev set by design, so its dev score is no honest one. What may
    be asked before is only whether an example is one of these, so as to keep it out of training.

    Args:
        points: gold, never seen in training or selection.
        text_of: makes a segment of token ids a string.

    >>> report = SealedReport([Point(Example.from_texts("It rained."), 1)])
    >>> report.holds(Example.from_texts("it  rained"))
    True
    >>> report.open()
    Traceback (most recent call last):
        ...
    bort.errors.WorkError: the report split is closed until the winner is fixed
    >>> report.fix_winner("model-3")
    >>> len(report.open())
    1
    """

    def __init__(self, points: Sequence[Point], text_of: Optional[TextOf] = None) -> None:
        if not points:
            raise InputError("the report split holds no example")
        self._points = tuple(points)
        self._text_of = text_of
        self._keys = {normalised_key(point.example, text_of) for point in points}
        self._winner: Optional[str] = None

    def __len__(self) -> int:
        return len(self._points)

    @property
    def winner(self) -> Optional[str]:
        """The handle of the model that is judged; None until it is fixed."""
        return self._winner

    def fix_winner(self, handle: str) -> None:
        """Say, once and for all, which model is judged.

        Raises:
            WorkError: when it was said before of another model.
        """
        if self._winner is not None and self._winner != handle:
            raise WorkError(f"the winner is {self._winner} and cannot become {handle}")
        self._winner = handle

    def open(self) -> Tuple[Point, ...]:
        """Return the points.

        Raises:
            WorkError: before the winner is fixed.
        """
        if self._winner is None:
            raise WorkError("the report split is closed until the winner is fixed")
        return self._points

    def holds(self, example: Example) -> bool:
        """Return whether an example is one of these, case, spaces and punctuation aside."""
        return normalised_key(example, self._text_of) in self._keys

    def refuse_leaks(self, points: Sequence[Point], name: str) -> None:
        """Make sure that none of these examples is among `points`.

        Raises:
            InputError: names the first that is.
        """
        for number, point in enumerate(points):
            if self.holds(point.example):
                raise InputError(
                    f"{name}: example {number} is in the report split too: "
                    f"{_shown(point.example, self._text_of)}"
                )


def carve_report(
    points: Sequence[Point],
    share: float,
    seed: int,
    *,
    groups: Optional[Sequence[Hashable]] = None,
    text_of: Optional[TextOf] = None,
) -> Tuple[List[Point], List[Point]]:
    """Take the report split out of the training data, by class and at random.

    Examples that are equal but for case, spaces and punctuation stay together, and so do those of a
    group. Of each class, `share` of the groups is taken, to the next whole number.

    Args:
        points: gold training data.
        share: of it that becomes the report split, between 0 and 1.
        seed: of the drawing.
        groups: of each point, what must not be torn apart (its passage or question); None for
            examples that have nothing to do with each other.
        text_of: makes a segment of token ids a string.

    Returns:
        What is left to train on, and the report split, both in the order of `points`.

    Raises:
        InputError: when one of the two would be empty.

    >>> data = [Point(Example.from_texts(f"sentence {n}"), n % 2) for n in range(20)]
    >>> training, report = carve_report(data, 0.2, seed=0)
    >>> len(training), sorted(point.label for point in report)
    (16, [0, 0, 1, 1])
    """
    if not 0 < share < 1:
        raise InputError(f"report_share is {share!r}, allowed is between 0 and 1")
    together = _components(points, groups, text_of)
    strata: Dict[int, List[List[int]]] = {}
    for members in together:
        # The middle label stands for a group of several.
        label = statistics.median_high(points[number].rounded_label for number in members)
        strata.setdefault(label, []).append(members)
    generator = np.random.default_rng(seed)
    taken = set()
    for _, found in sorted(strata.items()):
        count = int(share * len(found) + 0.5)
        for place in generator.permutation(len(found))[:count]:
            taken.update(found[int(place)])
    if not 0 < len(taken) < len(points):
        raise InputError(
            f"report_share is {share}, which takes {len(taken)} of {len(points)} examples: both "
            "the training data and the report split need some"
        )
    training = [point for number, point in enumerate(points) if number not in taken]
    return training, [points[number] for number in sorted(taken)]


def _components(
    points: Sequence[Point], groups: Optional[Sequence[Hashable]], text_of: Optional[TextOf]
) -> List[List[int]]:
    """Return numbers of the points that must stay together, in the order of their first."""
    # Late, so that commands start without SciPy.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    assert groups is None or len(groups) == len(points)
    numbers: List[int] = []
    tied_to: List[int] = []
    first: Dict[Tuple[str, Hashable], int] = {}
    for number, point in enumerate(points):
        ties: List[Tuple[str, Hashable]] = [("text", normalised_key(point.example, text_of))]
        if groups is not None:
            ties.append(("group", groups[number]))
        for tie in ties:
            numbers.append(number)
            tied_to.append(first.setdefault(tie, number))
    edges = coo_matrix((np.ones(len(numbers)), (numbers, tied_to)), shape=(len(points),) * 2)
    _, component_of = connected_components(edges, directed=False)
    found: Dict[int, List[int]] = {}
    for number, component in enumerate(component_of.tolist()):
        found.setdefault(component, []).append(number)
    return list(found.values())


def _shown(example: Example, text_of: Optional[TextOf]) -> str:
    try:
        return repr(" / ".join(example.texts(text_of)))[:120]
    except TypeError:
        return repr(example.segments)[:120]
