"""The draw of splits of rows with several labels each, in which rare labels come first.

It is the iterative stratification of Sechidis, Tsoumakas and Vlahavas, "On the Stratification of
Multi-Label Data" (ECML PKDD 2011, algorithm 1): the label with the fewest rows left is dealt out to
the splits that need most of it, then the next one. Differs from the paper: ties are broken by a
place in an order that the seed decides, not at random, and each label has at least one row in each
split if it has as many.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, List, Mapping, Sequence, Set

REST = ""
"""Name of the split of the rows that are in no other: those for training."""


def deal_labels(
    held: Sequence[FrozenSet[str]],
    shares: Mapping[str, float],
    place: Callable[[int], bytes],
) -> Dict[str, List[int]]:
    """Deal groups of rows to splits so that each label has its share in each split.

    Args:
        held: the labels of each group.
        shares: name of each split that is drawn → its share of the groups. The rest is for
            training.
        place: place of a group in the order of equals, whatever the order of the groups.

    Returns:
        Name of the split → its groups; `REST` → those for training.

    >>> deal_labels([frozenset("ab"), frozenset("a"), frozenset("b"), frozenset()],
    ...             {"dev": 0.5}, lambda group: bytes([group]))
    {'': [0, 3], 'dev': [1, 2]}
    """
    whole = {REST: 1.0 - sum(shares.values()), **shares}
    groups_of: Dict[str, Set[int]] = {}
    for group, labels in enumerate(held):
        for label in labels:
            groups_of.setdefault(label, set()).add(group)
    needed = {label: _needed(len(groups), whole) for label, groups in groups_of.items()}
    room = {name: max(1.0, share * len(held)) for name, share in whole.items()}
    order = sorted(range(len(held)), key=place)
    rank = {group: number for number, group in enumerate(order)}
    found: Dict[str, List[int]] = {name: [] for name in whole}

    def deal(group: int, need: Mapping[str, float]) -> None:
        # Of equal needs the split with more room counts, then the first: training.
        chosen = max(whole, key=lambda name: (need[name], room[name]))
        found[chosen].append(group)
        room[chosen] -= 1
        for label in held[group]:
            groups_of[label].discard(group)
            needed[label][chosen] -= 1

    while any(groups_of.values()):
        left = {label: len(groups) for label, groups in groups_of.items() if groups}
        rarest = min(left, key=lambda label: (left[label], label))
        for group in sorted(groups_of[rarest], key=rank.__getitem__):
            deal(group, needed[rarest])
    dealt = {group for groups in found.values() for group in groups}
    for group in order:
        if group not in dealt:
            deal(group, room)
    return found


def _needed(count: int, whole: Mapping[str, float]) -> Dict[str, float]:
    """Return how many of the groups with a label each split needs.

    A split needs its share, and at least one while there are enough: first training, then the
    others in their order.
    """
    needed = {name: share * count for name, share in whole.items()}
    others = [name for name in whole if name != REST]
    for name in others[: max(0, count - 1)]:
        needed[name] = max(1.0, needed[name])
    for name in others[max(0, count - 1) :]:
        needed[name] = 0.0
    needed[REST] = max(1.0, count - sum(needed[name] for name in others))
    return needed
