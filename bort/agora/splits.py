"""The report split: held out from the training data and closed until the winner is fixed."""

from __future__ import annotations

import statistics
from typing import Dict, Hashable, List, Optional, Sequence, Tuple

import numpy as np

from bort.agora.examples import Example, Point, TextOf, normalised_key
from bort.agora.label_classes import CLASS_IDS, LabelClasses
from bort.errors import InputError, WorkError
from bort.text.comparison import connected_groups


class SealedReport:
    """The examples of the report score, which cannot be read until the winner is fixed.

    Agora uses the dev set to make new points, so its dev score is biased. Before the winner is
    fixed this class only answers whether an example is in the split, to keep it out of training.

    Args:
        points: gold points that training and selection never see.
        text_of: turns a segment of token ids into a string.

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
            raise InputError("the report split has no example")
        self._points = tuple(points)
        self._text_of = text_of
        self._keys = {normalised_key(point.example, text_of) for point in points}
        self._winner: Optional[str] = None

    def __len__(self) -> int:
        return len(self._points)

    @property
    def winner(self) -> Optional[str]:
        """The handle of the model that is evaluated; None until it is fixed."""
        return self._winner

    def fix_winner(self, handle: str) -> None:
        """Fix the model that is evaluated; this opens the split.

        Raises:
            WorkError: the winner is already fixed to another model.
        """
        if self._winner is not None and self._winner != handle:
            raise WorkError(f"the winner is {self._winner} and cannot become {handle}")
        self._winner = handle

    def open(self) -> Tuple[Point, ...]:
        """Return the points.

        Raises:
            WorkError: the winner is not fixed yet.
        """
        if self._winner is None:
            raise WorkError("the report split is closed until the winner is fixed")
        return self._points

    def holds(self, example: Example) -> bool:
        """Return whether an example is in the split, ignoring case, spaces and punctuation."""
        return normalised_key(example, self._text_of) in self._keys

    def refuse_leaks(self, points: Sequence[Point], name: str) -> None:
        """Check that no example of the split is among `points`.

        Raises:
            InputError: names the first example that is.
        """
        for number, point in enumerate(points):
            if self.holds(point.example):
                raise InputError(
                    f"{name}: example {number} is in the report split too: "
                    f"{_shown(point.example, self._text_of)}; allowed is one of them"
                )


def carve_report(
    points: Sequence[Point],
    share: float,
    seed: int,
    *,
    groups: Optional[Sequence[Hashable]] = None,
    text_of: Optional[TextOf] = None,
    classes: LabelClasses = CLASS_IDS,
) -> Tuple[List[Point], List[Point]]:
    """Split the training data at random, stratified by class, into training and report data.

    Examples that differ only in case, white space and punctuation stay together, and so do the
    examples of a group. Of each class, `share` of the groups, rounded, go into the report split.

    Args:
        points: gold training data.
        share: share of the data that becomes the report split, between 0 and 1.
        seed: seed of the draw.
        groups: the group of each point, such as its passage; None if the examples are independent.
        text_of: turns a segment of token ids into a string.
        classes: the classes of the labels.

    Returns:
        The remaining training data and the report split, both in the order of `points`.

    Raises:
        InputError: the share is out of range, or one of the two splits would be empty.

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
        # A group with several labels is stratified by their median.
        label = statistics.median_high(classes.of(points[number].label) for number in members)
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
    """Return the indices of points that must stay together, as lists ordered by first index."""
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
    return connected_groups(len(points), numbers, tied_to)


def _shown(example: Example, text_of: Optional[TextOf]) -> str:
    try:
        return repr(" / ".join(example.texts(text_of)))[:120]
    except TypeError:
        return repr(example.segments)[:120]
