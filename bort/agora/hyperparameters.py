"""Θ: the hyperparameter sets that Agora tries and prunes."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence, Tuple, TypeVar
from typing import Counter as CounterType

import numpy as np

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.storage.files import PathLike, read_json

_T = TypeVar("_T")


@dataclass(frozen=True)
class HyperparameterSet(Config):
    """One element θ of Θ: the hyperparameters of a fine-tuning of Timaeus.

    The fields are in the order of the paper's listing (arXiv 2010.10499, section 4). The order
    defines the leading values by which sets are pruned.
    """

    seed: int = setting(
        ..., "seed of the classifier's weights, dropout and the batch order", minimum=0
    )
    lr: float = setting(..., "peak learning rate", above=0.0)
    weight_decay: float = setting(..., "weight decay per step, multiplied by lr", minimum=0.0)
    warmup_ratio: float = setting(
        ..., "share of the steps in which the learning rate rises", minimum=0.0, maximum=1.0
    )

    @property
    def values(self) -> Tuple[float, ...]:
        """The values in the order of the fields."""
        return tuple(getattr(self, name) for name in FIELDS)

    def __str__(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in FIELDS)


FIELDS = tuple(field.name for field in dataclasses.fields(HyperparameterSet))

LARGEST_GRID = 100_000
"""Maximum number of sets in a grid."""

HyperparameterSets = Tuple[HyperparameterSet, ...]


def grid(
    seeds: Sequence[int],
    lrs: Sequence[float],
    weight_decays: Sequence[float],
    warmup_ratios: Sequence[float],
) -> HyperparameterSets:
    """Return all combinations of the values; the last axis varies fastest.

    Raises:
        InputError: an axis is empty, or a value is given twice or out of range.

    >>> [str(theta) for theta in grid([0], [1e-4], [10], [0.35, 0.4])][1]
    'seed=0, lr=0.0001, weight_decay=10.0, warmup_ratio=0.4'
    """
    axes = (seeds, lrs, weight_decays, warmup_ratios)
    for name, values in zip(FIELDS, axes):
        if not values:
            raise InputError(f"{name}: needs at least one value")
    count = math.prod(map(len, axes))
    if count > LARGEST_GRID:
        raise InputError(f"the grid has {count} sets, allowed are at most {LARGEST_GRID}")
    return check_sets([HyperparameterSet(*values) for values in itertools.product(*axes)])


def check_sets(sets: Sequence[HyperparameterSet]) -> HyperparameterSets:
    """Return Θ as a tuple after checking it.

    Raises:
        InputError: Θ is empty or has a set twice.
    """
    if not sets:
        raise InputError("Agora needs at least one set of hyperparameters")
    for theta, count in Counter(sets).items():
        if count > 1:
            raise InputError(f"the hyperparameter set {theta} is given {count} times")
    return tuple(sets)


PAPER_SETS = grid(
    seeds=(0, 1, 2, 3, 4),
    lrs=(1e-4, 1e-5, 9e-6),
    weight_decays=(0.0, 10.0, 100.0, 350.0),
    warmup_ratios=(0.35, 0.40, 0.45, 0.50),
)
"""Θ of arXiv 2010.10499, section 4: 240 sets."""


def read_sets(path: PathLike) -> HyperparameterSets:
    """Read Θ from a JSON file with a list of sets, one set, or an object of lists (a grid).

    Raises:
        InputError: names the file, the set and the field.
    """
    content = read_json(path)
    if isinstance(content, dict) and any(isinstance(v, list) for v in content.values()):
        return _in_file(path, _grid_from, content)
    entries = [content] if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: has no hyperparameter sets")
    sets = [_in_file(f"{path}: set {n}", _set_from, entry) for n, entry in enumerate(entries)]
    return _in_file(path, check_sets, sets)


def with_more_seeds(sets: Sequence[HyperparameterSet], count: int) -> HyperparameterSets:
    """Return `count` sets: the given ones, then copies of them with new seeds.

    The baseline of plain fine-tuning uses them to get as many trainings as Agora.

    >>> more = with_more_seeds(grid([0, 1], [1e-4], [0.0], [0.1]), 5)
    >>> [theta.seed for theta in more]
    [0, 1, 2, 3, 4]
    """
    given = check_sets(sets)
    stride = max(theta.seed for theta in given) - min(theta.seed for theta in given) + 1
    return tuple(
        dataclasses.replace(theta, seed=theta.seed + stride * turn)
        for turn in range(-(-count // len(given)))
        for theta in given
    )[:count]


def choose_economical(
    sets: Sequence[HyperparameterSet], count: int, generator: np.random.Generator
) -> HyperparameterSets:
    """Choose `count` sets in which every value of every field occurs about equally often.

    Sets are chosen one by one: the next one is the set whose values occur least among the chosen
    sets, with ties broken at random. This is not part of the paper.

    Args:
        sets: Θ.
        count: number of sets to keep, from 1 to all.
        generator: random generator that breaks ties.

    Returns:
        The chosen sets, in the order of `sets`.

    Raises:
        InputError: the count is out of range.

    >>> few = choose_economical(PAPER_SETS, 12, np.random.default_rng(0))
    >>> sorted(theta.lr for theta in few).count(1e-4)
    4
    """
    if not 1 <= count <= len(sets):
        raise InputError(f"count is {count}, allowed is 1 to {len(sets)} hyperparameter sets")
    left = [sets[int(index)] for index in generator.permutation(len(sets))]
    shown: CounterType[Tuple[str, float]] = Counter()
    chosen = set()
    for _ in range(count):
        theta = min(left, key=lambda t: sum(shown[pair] for pair in zip(FIELDS, t.values)))
        left.remove(theta)
        chosen.add(theta)
        shown.update(zip(FIELDS, theta.values))
    return tuple(theta for theta in sets if theta in chosen)


def _set_from(entry: Any) -> HyperparameterSet:
    if not isinstance(entry, Mapping):
        raise InputError(f"is {entry!r}, allowed is an object")
    _check_fields(entry)
    return HyperparameterSet(**entry)


def _grid_from(axes: Mapping[str, Any]) -> HyperparameterSets:
    _check_fields(axes)
    values = [axes[name] for name in FIELDS]
    return grid(*(given if isinstance(given, list) else [given] for given in values))


def _check_fields(values: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if name not in values:
            raise InputError(f"{name} is missing")
    for name in values:
        if name not in FIELDS:
            raise InputError(f"unknown field {name!r}, known are {', '.join(FIELDS)}")


def _in_file(where: Any, make: Callable[[Any], _T], content: Any) -> _T:
    try:
        return make(content)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
