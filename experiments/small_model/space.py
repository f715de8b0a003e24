"""The architectures among which a small model is searched, derived from the teacher's."""

from __future__ import annotations

import math
from typing import Callable, List, Optional, Sequence, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.space import SubNetworkSpace

Cost = Callable[[Architecture], float]
"""Returns what an architecture costs: seconds a text, or parameters."""

_WIDE = (1.0, 0.75, 0.5, 1 / 3, 0.25)
"""Shares of the teacher's heads and neurons in the space whose latencies are measured."""

_PARTS = 12
"""A layer's width is narrowed in so many equal steps."""

_MOST_DEPTHS, _WIDTHS = 5, 4
_MULTIPLE = 16
_BANDS, _LEAST_CANDIDATES = (0.85, 0.75, 0.65, 0.5), 6


def measured_space(teacher: Architecture) -> SubNetworkSpace:
    """Return the architectures from which a sample is measured, to predict the others.

    Args:
        teacher: sizes of the teacher.
    """
    return SubNetworkSpace(
        _spread(1, teacher.depth, 6),
        (teacher.hidden,),
        _values(teacher.intermediate, _WIDE, _MULTIPLE),
        _values(teacher.heads, _WIDE, 1),
    )


def space_near(
    teacher: Architecture, cost: Cost, most: float, base: Optional[Architecture] = None
) -> SubNetworkSpace:
    """Return the space of the search: a few dozen architectures around a limit.

    The hidden size is the teacher's, because every weight reads it: sub-networks that keep it lose
    least. It is narrowed only if nothing else keeps the limit, as with a small limit of the
    parameters, most of which are embeddings. The depths reach from the largest of which all heads
    and neurons keep the limit up to the teacher's. Heads and neurons reach from the teacher's down
    to the share with which all layers keep the limit, in at most four values of equal ratios, and
    to a twelfth less, because a deep candidate may turn out a little slower than predicted. So the
    deepest candidates are the narrowest, and the widest ones the shallowest.

    The rule is our assumption.

    Args:
        teacher: sizes of the teacher.
        cost: what an architecture costs.
        most: the limit, in the unit of the cost.
        base: sizes to begin with, narrower than the teacher's; None for these.

    Raises:
        InputError: nothing keeps the limit; the message says what does.
    """
    whole = teacher if base is None else base
    smallest = _narrowed(whole.replace(depth=1), 1)
    if cost(smallest) > most:
        return space_near(teacher, cost, most, _with_narrower_stream(teacher, cost, most))
    kept = [d for d in range(1, whole.depth + 1) if cost(whole.replace(depth=d)) <= most]
    part = next((p for p in range(_PARTS, 0, -1) if cost(_narrowed(whole, p)) <= most), 1)
    shares = [(part / _PARTS) ** (n / (_WIDTHS - 1)) for n in range(_WIDTHS)]
    shares.append(max(1, part - 1) / _PARTS)
    return SubNetworkSpace(
        _spread(max(kept, default=1), whole.depth, _MOST_DEPTHS),
        (whole.hidden,),
        _values(whole.intermediate, shares, _MULTIPLE),
        _values(whole.heads, shares, 1),
    )


def band_of(costs: Sequence[float], most: float) -> float:
    """Return where the band of candidates begins, as a share of the limit.

    The band is as narrow as possible, since the best candidates use what the limit allows, but has
    six members that keep the limit, if there are as many.

    Args:
        costs: costs of all architectures of a space.
        most: the limit, in the unit of the costs.

    >>> band_of([0.5, 0.95, 2.0], 1.0), band_of([0.9] * 6, 1.0)
    (0.0, 0.85)
    """
    for least in _BANDS:
        if sum(least * most <= cost <= most for cost in costs) >= _LEAST_CANDIDATES:
            return least
    return 0.0


def cut_depth(teacher: Architecture, cost: Cost, most: float) -> Optional[int]:
    """Return the most layers, fewer than the teacher's, that keep a limit; None if one is too many.

    Args:
        teacher: sizes of the teacher.
        cost: what an architecture costs.
        most: what it may cost, in the unit of the cost.
    """
    depths = range(teacher.depth - 1, 0, -1)
    return next((d for d in depths if cost(teacher.replace(depth=d)) <= most), None)


def cut_layers(depth: int, kept: int) -> Tuple[int, ...]:
    """Return the layers that a user would keep of a deep network.

    They are spread evenly, with the first and the last.

    Source: arXiv 1910.01108 (every other layer). arXiv 2004.03844 keeps the first layers. Of two
    layers of a fine-tuned MiniLM, the first and the last learnt more in equal seconds than the
    first two or the last two (docs/benchmarks.md, "Small models of real tasks").

    Args:
        depth: number of the teacher's layers.
        kept: number of layers that are kept, from 1 to `depth`.

    >>> cut_layers(6, 3), cut_layers(6, 2), cut_layers(12, 8)
    ((0, 2, 5), (0, 5), (0, 2, 3, 5, 6, 8, 9, 11))
    """
    if kept == 1:
        return (0,)
    return tuple(int(number * (depth - 1) / (kept - 1) + 0.4999) for number in range(kept))


def relation_heads(teacher: Architecture, heads: Sequence[int]) -> int:
    """Return a number of relation heads that all students of a space have in common.

    It is the largest one, at most the teacher's heads, that divides the width of every student's
    attention and of the teacher's.

    Args:
        teacher: sizes of the teacher.
        heads: numbers of heads of the students, whole heads of the teacher.

    >>> relation_heads(Architecture(6, 12, 384, 1536), (4, 7, 12))
    8
    """
    common = math.gcd(teacher.qkv, *(count * teacher.head_width for count in heads))
    return max(n for n in range(1, min(common, teacher.heads) + 1) if common % n == 0)


def smallest_part(teacher: Architecture) -> Architecture:
    """Return the smallest architecture that a limit may lead to: one narrow layer.

    Args:
        teacher: sizes of the teacher.
    """
    return _narrowed(_with_hidden(teacher.replace(depth=1), min(_MULTIPLE, teacher.hidden)), 1)


def _with_narrower_stream(teacher: Architecture, cost: Cost, most: float) -> Architecture:
    """Return the teacher with the widest residual stream that leaves room for half of its body."""
    deep = (teacher.depth + 1) // 2
    for hidden in range(teacher.hidden - _MULTIPLE, 0, -_MULTIPLE):
        stream = _with_hidden(teacher, hidden)
        if cost(_narrowed(stream.replace(depth=deep), _PARTS // 2)) <= most:
            return stream
    smallest = smallest_part(teacher)
    if cost(smallest) <= most:
        return _with_hidden(teacher, smallest.hidden)
    raise InputError(
        f"limit: the smallest part of {teacher} costs {cost(smallest):.6g}, allowed is at most "
        f"{most:.6g}; a looser limit or a smaller teacher would do"
    )


def _with_hidden(teacher: Architecture, hidden: int) -> Architecture:
    return teacher.replace(hidden=hidden, qkv=teacher.qkv)


def _narrowed(whole: Architecture, parts: int) -> Architecture:
    """Return a network with so many twelfths of the heads and neurons."""
    share = parts / _PARTS
    (heads,) = _values(whole.heads, (share,), 1)
    (intermediate,) = _values(whole.intermediate, (share,), _MULTIPLE)
    return whole.replace(heads=heads, qkv=heads * whole.head_width, intermediate=intermediate)


def _values(size: int, shares: Sequence[float], multiple: int) -> Tuple[int, ...]:
    """Return shares of a size as multiples, ascending; at least one multiple, at most the size."""
    found = {
        min(size, max(multiple, int(share * size / multiple + 0.5) * multiple)) for share in shares
    }
    return tuple(sorted(found))


def _spread(first: int, last: int, count: int) -> Tuple[int, ...]:
    """Return at most `count` numbers from the first to the last, evenly."""
    if last - first < count:
        return tuple(range(first, last + 1))
    found: List[int] = [
        round(first + number * (last - first) / (count - 1)) for number in range(count)
    ]
    return tuple(sorted(set(found)))
