"""Grids of settings: every combination of values, and the flags that give them to a command."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Tuple, Union

from bort.errors import InputError

Scalar = Union[str, int, float, bool]

MOST_COMBINATIONS = 100_000
"""Maximum number of combinations of a grid."""

GRID_VALUES, GRID_DEFAULTS = "hyperparameters", "default_parameters"


@dataclass(frozen=True)
class SettingsGrid:
    """The product of lists of values, with settings that are the same in every combination.

    Source: the layout is that of the grids of arXiv 2104.07705's release.

    Attributes:
        values: values of every setting that varies; a value may be a list.
        defaults: settings that do not vary.

    Raises:
        InputError: a name or a value is no setting, a setting is given twice, a list is empty, or
            there are too many combinations.

    >>> grid = SettingsGrid({"lr": [0.1, 0.2], "seed": [0, 1]}, {"sample": True})
    >>> len(grid.cells()), grid.cells()[1]
    (4, {'sample': True, 'lr': 0.1, 'seed': 1})
    """

    values: Mapping[str, List[Any]]
    defaults: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, values in self.values.items():
            _check_name(name, GRID_VALUES)
            if not isinstance(values, list) or not values:
                raise InputError(
                    f"{GRID_VALUES}: {name} is {values!r}, allowed is a list of values"
                )
            for value in values:
                _check_value(name, value, GRID_VALUES)
            seen = [json.dumps(value) for value in values]
            twice = next((text for text in seen if seen.count(text) > 1), None)
            if twice is not None:
                raise InputError(f"{GRID_VALUES}: {name} has {twice} twice, allowed is once")
        for name, value in self.defaults.items():
            _check_name(name, GRID_DEFAULTS)
            _check_value(name, value, GRID_DEFAULTS)
            if name in self.values:
                raise InputError(
                    f"{name} is in {GRID_VALUES} and in {GRID_DEFAULTS}, allowed is one of them"
                )
        count = math.prod(len(values) for values in self.values.values())
        if count > MOST_COMBINATIONS:
            raise InputError(
                f"the grid has {count} combinations, allowed are at most {MOST_COMBINATIONS}"
            )

    def cells(self) -> List[Dict[str, Any]]:
        """Return every combination with the settings that do not vary; the last one moves first."""
        names = list(self.values)
        return [
            {**self.defaults, **dict(zip(names, chosen))}
            for chosen in itertools.product(*self.values.values())
        ]


def grid_from(fields: Any, source: str) -> SettingsGrid:
    """Return a grid from the content of a file.

    Args:
        fields: an object with `hyperparameters` and, optionally, `default_parameters`.
        source: name of the file, for messages.

    Raises:
        InputError: a field is unknown, missing or bad; the message names the file.
    """
    try:
        if not isinstance(fields, dict):
            raise InputError(f"is {fields!r}, allowed is an object with {GRID_VALUES}")
        for name in fields:
            if name not in (GRID_VALUES, GRID_DEFAULTS):
                raise InputError(
                    f"unknown field {name!r}, known are {GRID_VALUES}, {GRID_DEFAULTS}"
                )
        found: Dict[str, Any] = {}
        for name in (GRID_VALUES, GRID_DEFAULTS):
            # An empty section of a YAML file is null.
            value = fields.get(name) or {}
            if not isinstance(value, dict):
                raise InputError(f"{name} is {value!r}, allowed is an object")
            found[name] = value
        return SettingsGrid(found[GRID_VALUES], found[GRID_DEFAULTS])
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def flags_of(settings: Mapping[str, Any]) -> List[str]:
    """Return the flags that give settings to a command of this project.

    A scalar is given as `--name=value`, so that no value is taken for a flag; a Boolean is `true`
    or `false`, so that false never becomes true. A list follows its flag. A setting that is null
    is left out: its default holds.

    Args:
        settings: name → value.

    Raises:
        InputError: a text in a list begins with a dash, which a command would take for a flag.

    >>> flags_of({"lr": 0.1, "sample": False, "depths": [2, 4], "note": None, "name": "a b"})
    ['--lr=0.1', '--sample=false', '--depths', '2', '4', '--name=a b']
    """
    words: List[str] = []
    for name, value in settings.items():
        if value is None:
            continue
        if not isinstance(value, list):
            words.append(f"--{name}={_text(value)}")
            continue
        for item in value:
            if isinstance(item, str) and item.startswith("-"):
                raise InputError(
                    f"{name} has {item!r}; a text in a list must not begin with a dash"
                )
        words += [f"--{name}", *map(_text, value)]
    return words


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(f"{where}: {name!r} is no name of a setting")


def _check_value(name: str, value: Any, where: str) -> None:
    items: Tuple[Any, ...] = tuple(value) if isinstance(value, list) else (value,)
    if value is None:
        return
    for item in items:
        is_number = isinstance(item, (int, float)) and math.isfinite(item)
        if not isinstance(item, (str, bool)) and not is_number:
            raise InputError(
                f"{where}: {name} has {item!r}, allowed are texts, finite numbers, true, false, "
                "null and lists of these"
            )
    if isinstance(value, list) and not value:
        raise InputError(f"{where}: {name} has an empty list, allowed is at least one value")
