"""The draw of train, dev and report splits by seed: stratified, with near-duplicates together.

The draw does not depend on the order of the rows. Each class (for numbers, each of five ranges with
equally many rows) gives its share to the report split and to the dev split, rounded, and at least
one group of near-duplicates. If rows have several labels, each label does that, as far as it has
groups (`bort.tasks.own.label_splits`). Which groups are taken depends on the SHA-256 of the seed
and of their texts alone.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Dict, Hashable, List, Mapping, Sequence, Tuple

from bort.errors import InputError
from bort.tasks.items import Label
from bort.tasks.own.label_splits import deal_labels
from bort.text.comparison import connected_groups, normalised_text
from bort.text.near_duplicates import near_duplicates

LARGEST_SPLIT = 10_000
"""Largest number of groups in a drawn dev or report split."""

FEWEST_NUMBERS = 9
"""Fewest different examples of a task of numbers whose splits are drawn."""

LARGEST_GROUP_SHARE = 0.05
_SMALLEST_LARGE_GROUP = 20
_RANGES = 5
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MARKS_OF_SEVERAL = (",", ";", "|", "[")

Texts = Tuple[str, ...]


@dataclass(frozen=True)
class Groups:
    """Rows that must stay in one split.

    Attributes:
        members: indices of the rows of each group, ascending.
        keys: a text for each group that tells it from the others, whatever the order of the rows.
        duplicates: rows whose texts equal those of an earlier row but for case, white space and
            punctuation.
        dissolved: rows of near-duplicates that are too many for one split; of these only equal
            texts stay together.
    """

    members: Sequence[Sequence[int]]
    keys: Sequence[str]
    duplicates: int
    dissolved: int


def group_rows(rows: Sequence[Texts]) -> Groups:
    """Group rows with equal texts and with nearly equal ones.

    Texts are equal if they differ in case, white space and punctuation only. A group of
    near-duplicates with more than `LARGEST_GROUP_SHARE` of all rows, as texts made from a template
    are, is dissolved.

    >>> groups = group_rows([("It rained.",), ("Sun",), ("it  rained",)])
    >>> groups.members, groups.duplicates
    ([[0, 2], [1]], 1)
    """
    equal: Dict[str, List[int]] = {}
    for number, texts in enumerate(rows):
        equal.setdefault("\n".join(map(normalised_text, texts)), []).append(number)
    keys = list(equal)
    joined = ["\n".join(rows[equal[key][0]]) for key in keys]
    # Equal texts may be written in several ways, of which the order of rows must not choose one.
    joined = [min("\n".join(rows[n]) for n in equal[k]) if len(equal[k]) > 1 else one
              for k, one in zip(keys, joined)]  # fmt: skip
    pairs = near_duplicates(joined)
    tied = connected_groups(len(keys), [a for a, _ in pairs], [b for _, b in pairs])
    most = max(_SMALLEST_LARGE_GROUP, int(LARGEST_GROUP_SHARE * len(rows)))
    members: List[List[int]] = []
    names: List[str] = []
    dissolved = 0
    for group in tied:
        found = sorted(number for one in group for number in equal[keys[one]])
        if len(group) > 1 and len(found) > most:
            dissolved += len(found)
            members += [equal[keys[one]] for one in group]
            names += [keys[one] for one in group]
        else:
            members.append(found)
            names.append(min(keys[one] for one in group))
    return Groups(members, names, len(rows) - len(keys), dissolved)


def draw_splits(
    groups: Groups,
    labels: Sequence[Label],
    shares: Mapping[str, float],
    seed: int,
    source: str,
) -> Dict[str, List[int]]:
    """Draw splits from groups of rows.

    Args:
        groups: the groups to draw from.
        labels: the label of each row; rows of other groups may have any.
        shares: name of each split that is drawn → its share of the groups, above 0.
        seed: seed of the draw.
        source: name of the file in error messages.

    Returns:
        Name of the split → indices of its rows, ascending. Rows of no split are left for training.

    Raises:
        InputError: a class has fewer groups than there are splits, training among them, or there
            are fewer than `FEWEST_NUMBERS` groups with numbers, or with several labels fewer groups
            than splits.
    """
    if any(isinstance(labels[row], tuple) for members in groups.members for row in members[:1]):
        return _by_labels(groups, labels, shares, seed, source)
    strata = _strata(groups, labels, source)
    found: Dict[str, List[int]] = {name: [] for name in shares}
    total = len(groups.members)
    for stratum, numbers in sorted(strata.items(), key=lambda one: str(one[0])):
        if len(numbers) <= len(shares):
            raise InputError(
                f"{source}: class {stratum!r} has {_examples(len(numbers))}, needed are "
                f"{len(shares) + 1}: one each for train, {' and '.join(shares)}; add examples, or "
                f"remove the class or merge it with another{_what_else(str(stratum))}"
            )
        order = sorted(numbers, key=lambda number: _place(seed, groups.keys[number]))
        for left, (name, share) in zip(range(len(shares), 0, -1), shares.items()):
            bounded = min(share, LARGEST_SPLIT / total)
            # The splits that follow and training get one at least.
            taken = max(1, min(int(bounded * len(numbers) + 0.5), len(order) - left))
            for number in order[:taken]:
                found[name].extend(groups.members[number])
            order = order[taken:]
    return {name: sorted(rows) for name, rows in found.items()}


def _by_labels(
    groups: Groups,
    labels: Sequence[Label],
    shares: Mapping[str, float],
    seed: int,
    source: str,
) -> Dict[str, List[int]]:
    """Draw splits from groups of rows with several labels each; see `draw_splits`."""
    total = len(groups.members)
    held = [
        frozenset(str(label) for row in members for label in _as_tuple(labels[row]))
        for members in groups.members
    ]
    bounded = {name: min(share, LARGEST_SPLIT / total) for name, share in shares.items()}
    dealt = deal_labels(held, bounded, lambda number: _place(seed, groups.keys[number]))
    if not all(dealt.values()):
        raise InputError(
            f"{source}: has {_examples(total)}, too few for train, {' and '.join(shares)}; add "
            "examples"
        )
    return {
        name: sorted(row for number in dealt[name] for row in groups.members[number])
        for name in shares
    }


def _as_tuple(label: Label) -> Tuple[str, ...]:
    assert isinstance(label, tuple)
    return label


def _what_else(label: str) -> str:
    """Return what to do if a label looks like a number or like several ones, "" if it does not."""
    if _NUMBER.fullmatch(label):
        return "; if these are numbers and not classes, --kind number says so"
    if not any(mark in label for mark in _MARKS_OF_SEVERAL):
        return ""
    return "; if these are several labels, see --label_separator, or give lists in JSON lines"


def _strata(groups: Groups, labels: Sequence[Label], source: str) -> Dict[Hashable, List[int]]:
    """Return the indices of the groups of each class, or of each range of numbers."""
    strata: Dict[Hashable, List[int]] = {}
    of_groups = [[labels[row] for row in members] for members in groups.members]
    if any(isinstance(label, str) for one in of_groups for label in one[:1]):
        for number, several in enumerate(of_groups):
            counted = Counter(map(str, several))
            strata.setdefault(min(counted, key=lambda x: (-counted[x], x)), []).append(number)
        return strata
    if len(of_groups) < FEWEST_NUMBERS:
        raise InputError(
            f"{source}: has {_examples(len(of_groups))}, needed are {FEWEST_NUMBERS} to draw "
            "splits; add examples"
        )
    means = [
        math.fsum(float(str(label)) for label in several) / len(several) for several in of_groups
    ]
    # Groups with the same number are in the order of their texts, not of the rows.
    order = sorted(range(len(means)), key=lambda number: (means[number], groups.keys[number]))
    ranges = min(_RANGES, len(means) // 3)
    for place, number in enumerate(order):
        strata.setdefault(place * ranges // len(order), []).append(number)
    return strata


def _place(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{key}".encode("utf-8", "surrogatepass")).digest()


def _examples(count: int) -> str:
    return f"{count} different example{'' if count == 1 else 's'}"
