"""Typed, frozen configurations, and the command-line flags that are made from their fields.

A configuration is a frozen dataclass that derives from `Config` and whose fields are made with
`setting`. It is checked when it is built; flags, `--help` and the record in `run.json` all come
from the same fields, so they cannot drift apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import typing
from typing import Any, Dict, Mapping, Optional, Sequence, Type, TypeVar, Union

from bort.errors import InputError

C = TypeVar("C", bound="Config")
_REQUIRED = dataclasses.MISSING


def setting(
    default: Any,
    help: str,
    *,
    choices: Optional[Sequence[Any]] = None,
    minimum: Optional[float] = None,
    maximum: Optional[float] = None,
    above: Optional[float] = None,
    speed_only: bool = False,
    formerly: Any = None,
    aliases: Sequence[str] = (),
) -> Any:
    """A field of a configuration.

    Args:
        default: the value when the flag is not given; `...` makes the flag mandatory.
        help: one line for `--help`, with the unit.
        choices: the allowed values.
        minimum: smallest allowed number.
        maximum: largest allowed number.
        above: number that the value must exceed.
        speed_only: the setting cannot change results, only how fast they come, or whether.
        formerly: what runs did that are older than the setting, if that is not the default.
        aliases: further flag names.
    """
    metadata = {
        "help": help,
        "choices": None if choices is None else tuple(choices),
        "minimum": minimum,
        "maximum": maximum,
        "above": above,
        "speed_only": speed_only,
        "formerly": formerly,
        "aliases": tuple(aliases),
    }
    if default is ...:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every configuration; checks types and ranges when built.

    Raises:
        InputError: names the field, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _coerce(getattr(self, field.name), hints[field.name], field.name)
            object.__setattr__(self, field.name, value)
            _check(field, value)
        self.check()

    def check(self) -> None:
        """Checks between fields; a subclass overrides it and raises `InputError`."""

    def as_dict(self) -> Dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in [getattr(self, field.name)]
        }

    def results_settings(self) -> Dict[str, Any]:
        """The fields that can change results (all but those that only change speed)."""
        values = self.as_dict()
        return {
            field.name: values[field.name]
            for field in dataclasses.fields(self)
            if not field.metadata.get("speed_only")
        }

    @classmethod
    def defaults(cls) -> Dict[str, Any]:
        """The default of every field that has one; see `defaults_of`."""
        return defaults_of(cls)

    @classmethod
    def from_dict(cls: Type[C], values: Mapping[str, Any], source: str) -> C:
        """Build from a mapping; unknown keys are refused and `source` is named."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise InputError(f"{source}: unknown setting {name!r}, known are {sorted(known)}")
        return cls(**values)

    @classmethod
    def add_flags(cls, parser: argparse._ActionsContainer) -> None:
        """Add one flag a field to `parser` (or to a group of one)."""
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            _add_flag(parser, field, hints[field.name])

    @classmethod
    def from_arguments(cls: Type[C], arguments: argparse.Namespace) -> C:
        """Build from parsed flags; flags of other configurations are ignored."""
        return cls(**{f.name: getattr(arguments, f.name) for f in dataclasses.fields(cls)})


def defaults_of(kind: Any) -> Dict[str, Any]:
    """The default of every field of a dataclass that has one, JSON-ready.

    A run that is older than a setting had the setting's default, unless the setting says what such
    runs did (`formerly`).
    """
    values: Dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            formerly = field.metadata.get("formerly")
            value = field.default if formerly is None else formerly
            values[field.name] = list(value) if isinstance(value, tuple) else value
    return values


def parse_boolean(text: str) -> bool:
    """Read `true`/`false` (also yes/no, 1/0, on/off), so that `--flag False` is false."""
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "1", "on"):
        return True
    if lowered in ("false", "no", "0", "off"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is not a boolean, allowed are true and false")


def _add_flag(parser: argparse._ActionsContainer, field: Any, hint: Any) -> None:
    kind, optional, many = _unwrap(hint)
    meta = field.metadata
    names = ["--" + field.name, *("--" + alias for alias in meta["aliases"])]
    options: Dict[str, Any] = {"dest": field.name}
    text = meta["help"].replace("%", "%%")
    if field.default is _REQUIRED:
        options["required"] = True
    else:
        options["default"] = field.default
        shown = field.default if field.default not in (None, ()) else "none"
        text += f" (default: {shown})"
    if kind is bool:
        options.update(type=parse_boolean, nargs="?", const=True, metavar="true|false")
    else:
        options["type"] = kind
        options["metavar"] = field.name.upper()
        if meta["choices"] is not None:
            options["choices"] = meta["choices"]
            del options["metavar"]
        if many:
            options["nargs"] = "+"
    parser.add_argument(*names, help=text, **options)


def _unwrap(hint: Any) -> Any:
    """Split a type hint into (kind, optional, many)."""
    optional = many = False
    if typing.get_origin(hint) is Union:
        optional = True
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is tuple:
        many = True
        hint = typing.get_args(hint)[0]
    return hint, optional, many


def _coerce(value: Any, hint: Any, name: str) -> Any:
    kind, optional, many = _unwrap(hint)
    if value is None and optional:
        return None
    if many:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise InputError(f"{name} is {value!r}, allowed is a list")
        return tuple(_coerce(item, kind, name) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r}, allowed is a value of type {kind.__name__}")
    return value


def _check(field: Any, value: Any) -> None:
    meta = field.metadata
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if meta["choices"] is not None and item not in meta["choices"]:
            allowed = ", ".join(map(str, meta["choices"]))
            raise InputError(f"{field.name} is {item!r}, allowed are {allowed}")
        if isinstance(item, float) and not math.isfinite(item):
            raise InputError(f"{field.name} is {item!r}, allowed is a finite number")
        if meta["minimum"] is not None and item < meta["minimum"]:
            raise InputError(f"{field.name} is {item!r}, allowed is at least {meta['minimum']}")
        if meta["maximum"] is not None and item > meta["maximum"]:
            raise InputError(f"{field.name} is {item!r}, allowed is at most {meta['maximum']}")
        if meta["above"] is not None and item <= meta["above"]:
            raise InputError(f"{field.name} is {item!r}, allowed is more than {meta['above']}")
