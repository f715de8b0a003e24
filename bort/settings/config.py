"""Typed, frozen configurations, and command-line flags that are made from their fields.

A configuration is a frozen dataclass that derives from `Config` and whose fields are made with
`setting`. It is checked when it is built. Flags, `--help` and the record in `run.json` all come
from the same fields, so they cannot drift apart.

Settings that several configurations share form a configuration of their own, which the others
include with `part`:

    masks: MaskSettings = part(MaskSettings)

In Python they are nested (`config.masks.max_predictions`). Flags and records name the settings
without the part (`--max_predictions`), in its place.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import typing
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Type, TypeVar, Union

from bort.errors import InputError

LARGEST_INTEGER = 2**31 - 1
"""Largest value of an integer setting without its own maximum."""

LARGEST_SEED = 2**63 - 1
"""Largest value of a setting that is a seed."""

LARGEST_NUMBER = 1e38
"""Largest value of another number; a larger one is infinite in 32 bits, which trainings use."""

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
    """Return a field of a configuration.

    Args:
        default: value when the flag is not given; `...` makes the flag mandatory.
        help: one line for `--help`, with the unit.
        choices: the allowed values.
        minimum: smallest allowed number.
        maximum: largest allowed number; None: `LARGEST_INTEGER` for an integer, or `LARGEST_SEED`
            if the name says that it is a seed; `LARGEST_NUMBER` for another number.
        above: number that the value must exceed.
        speed_only: whether the setting cannot change results, only how fast or whether they come.
        formerly: value in runs that are older than the setting, if it is not the default.
        aliases: further names of the flag.
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


def part(kind: Type[C], *, help: Optional[Mapping[str, str]] = None) -> Any:
    """Return a field that holds another configuration, with the defaults of its settings.

    Args:
        kind: the other configuration; all its settings have defaults.
        help: lines for `--help` that replace those of some settings: name → text.
    """
    return dataclasses.field(default=kind(), metadata={"part": kind, "help": help or {}})


@dataclasses.dataclass(frozen=True)
class Config:
    """Base class of all configurations; checks types and ranges when it is built.

    Raises:
        InputError: a value is not allowed; the message names the field and what is allowed.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if "part" in field.metadata:
                _check_part(field, value)
                continue
            value = _coerce(value, hints[field.name], field.name)
            object.__setattr__(self, field.name, value)
            _check(field, value)
        self.check()

    def check(self) -> None:
        """Check fields against each other; a subclass overrides it and raises `InputError`."""

    def as_dict(self) -> Dict[str, Any]:
        """Return all settings as JSON-ready values, those of parts included."""
        values: Dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Config):
                values.update(value.as_dict())
            else:
                values[field.name] = list(value) if isinstance(value, tuple) else value
        return values

    def as_settings(self, *names: str) -> Dict[str, Any]:
        """Return some settings by name, JSON-ready."""
        values = self.as_dict()
        return {name: values[name] for name in names}

    def results_settings(self) -> Dict[str, Any]:
        """Return the settings that can change results (all except those that only affect speed)."""
        values = self.as_dict()
        settings = _settings(type(self))
        return {s.name: values[s.name] for s in settings if not s.field.metadata["speed_only"]}

    def replace(self: C, **changes: Any) -> C:
        """Return a checked copy with some settings changed, which may belong to parts."""
        return self.from_dict({**self.as_dict(), **changes}, type(self).__name__)

    @classmethod
    def defaults(cls) -> Dict[str, Any]:
        """Return the default of every field that has one; see `defaults_of`."""
        return defaults_of(cls)

    @classmethod
    def from_dict(cls: Type[C], values: Mapping[str, Any], source: str) -> C:
        """Build from settings by name.

        Raises:
            InputError: a setting is unknown or missing (the message names `source`), or has a value
                that is not allowed.
        """
        known = {one.name: one.field for one in _settings(cls)}
        for name in values:
            if name not in known:
                raise InputError(f"{source}: unknown setting {name!r}, known are {sorted(known)}")
        for name, field in known.items():
            has_default = field.default is not _REQUIRED or field.default_factory is not _REQUIRED
            if name not in values and not has_default:
                raise InputError(f"{source}: setting {name!r} is missing")
        return _build(cls, values)

    @classmethod
    def add_flags(
        cls,
        parser: argparse._ActionsContainer,
        *,
        preset: bool = False,
        shared_with: Sequence[Type[Config]] = (),
    ) -> None:
        """Add a flag for each setting to `parser` (or to a group of a parser).

        Args:
            parser: receives the flags.
            preset: leave flags that are not given to the preset of `from_arguments`.
            shared_with: configurations whose flags the parser has; a setting of the same name
                shares the flag.
        """
        there = {one.name for other in shared_with for one in _settings(other)}
        for one in _settings(cls):
            if one.name not in there:
                _add_flag(parser, one, preset)

    @classmethod
    def from_arguments(
        cls: Type[C], arguments: argparse.Namespace, preset: Optional[Mapping[str, Any]] = None
    ) -> C:
        """Build from parsed flags; flags of other configurations are ignored.

        Args:
            arguments: the parsed flags.
            preset: values of settings whose flags are not given; needs flags that were added with
                `preset=True`.

        Raises:
            InputError: a value is not allowed.
        """
        given = {
            one.name: getattr(arguments, one.name)
            for one in _settings(cls)
            if preset is None or hasattr(arguments, one.name)
        }
        return cls.from_dict({**(preset or {}), **given}, "preset")


class _Setting(NamedTuple):
    """A setting of a configuration or of one of its parts."""

    name: str
    field: Any
    hint: Any
    help: str


def _settings(kind: Any) -> List[_Setting]:
    """Return the settings of a configuration in order, those of a part in the part's place."""
    hints = typing.get_type_hints(kind)
    found: List[_Setting] = []
    for field in dataclasses.fields(kind):
        inside = field.metadata.get("part")
        if inside is None:
            found.append(_Setting(field.name, field, hints[field.name], field.metadata["help"]))
            continue
        texts = field.metadata["help"]
        found += [one._replace(help=texts.get(one.name, one.help)) for one in _settings(inside)]
    names = [one.name for one in found]
    assert len(set(names)) == len(names), f"{kind.__name__} has a setting twice: {names}"
    return found


def _build(kind: Type[C], values: Mapping[str, Any]) -> C:
    """Build a configuration, parts included, from settings by name."""
    fields: Dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        inside = field.metadata.get("part")
        if inside is not None:
            own = {one.name for one in _settings(inside)}
            fields[field.name] = _build(inside, {n: v for n, v in values.items() if n in own})
        elif field.name in values:
            fields[field.name] = values[field.name]
    return kind(**fields)


def setting_names(kind: Type[Config]) -> List[str]:
    """Return the names of all settings of a configuration, aliases and those of parts included."""
    return [name for one in _settings(kind) for name in (one.name, *one.field.metadata["aliases"])]


def setting_texts(kind: Type[Config]) -> Dict[str, str]:
    """Return the help of every setting of a configuration, those of parts included."""
    return {one.name: one.help for one in _settings(kind)}


def defaults_of(kind: Any) -> Dict[str, Any]:
    """Return the default of every field of a dataclass that has one, JSON-ready.

    Runs that are older than a setting used the setting's default, or its `formerly` value if it
    has one.
    """
    values: Dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if isinstance(field.default, Config):
            values.update(defaults_of(type(field.default)))
        elif field.default is not dataclasses.MISSING:
            formerly = field.metadata.get("formerly")
            value = field.default if formerly is None else formerly
            values[field.name] = list(value) if isinstance(value, tuple) else value
    return values


def parse_boolean(text: str) -> bool:
    """Parse `true`/`false` (also yes/no, 1/0, on/off), so that `--flag False` is false."""
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "1", "on"):
        return True
    if lowered in ("false", "no", "0", "off"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is not a boolean, allowed are true and false")


def _add_flag(parser: argparse._ActionsContainer, one: _Setting, preset: bool) -> None:
    field = one.field
    kind, optional, many = _unwrap(one.hint)
    meta = field.metadata
    names = ["--" + field.name, *("--" + alias for alias in meta["aliases"])]
    options: Dict[str, Any] = {"dest": field.name}
    text = one.help.replace("%", "%%")
    if field.default is _REQUIRED:
        options["required"] = True
    else:
        options["default"] = argparse.SUPPRESS if preset else field.default
        if field.default not in (None, ()):
            text += f" (default: {field.default})"
        elif "default:" not in text:  # some settings describe what happens without them
            text += " (default: none)"
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


def _check_part(field: Any, value: Any) -> None:
    kind = field.metadata["part"]
    if not isinstance(value, kind):
        raise InputError(f"{field.name} is {value!r}, allowed is a {kind.__name__}")


def _coerce(value: Any, hint: Any, name: str) -> Any:
    kind, optional, many = _unwrap(hint)
    if value is None and optional:
        return None
    if many:
        if isinstance(value, str) or not isinstance(value, (list, tuple)):
            raise InputError(f"{name} is {value!r}, allowed is a list")
        return tuple(_coerce(item, kind, name) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            raise InputError(f"{name} has too many digits, allowed is a finite number") from error
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r}, allowed is a value of type {kind.__name__}")
    return value


def _maximum(field: Any, value: Any) -> Optional[float]:
    """Return the largest allowed value; that of an integer protects loops and memory."""
    maximum: Optional[float] = field.metadata["maximum"]
    if maximum is None and isinstance(value, int):
        return LARGEST_SEED if "seed" in field.name.split("_") else LARGEST_INTEGER
    if maximum is None and isinstance(value, float):
        return LARGEST_NUMBER
    return maximum


def _check(field: Any, value: Any) -> None:
    meta = field.metadata
    is_folder = not {"dir", "folder"}.isdisjoint(field.name.split("_"))
    for item in value if isinstance(value, tuple) else (value,):
        if item is None:
            continue
        if item == "" and is_folder:  # an empty path is the current folder, which nobody means
            raise InputError(f"{field.name} is '', allowed is the name of a folder")
        if meta["choices"] is not None and item not in meta["choices"]:
            allowed = ", ".join(map(str, meta["choices"]))
            raise InputError(f"{field.name} is {item!r}, allowed are {allowed}")
        if isinstance(item, float) and not math.isfinite(item):
            raise InputError(f"{field.name} is {item!r}, allowed is a finite number")
        if meta["minimum"] is not None and item < meta["minimum"]:
            raise InputError(f"{field.name} is {item!r}, allowed is at least {meta['minimum']}")
        maximum = _maximum(field, item)
        if maximum is not None and item > maximum:
            raise InputError(f"{field.name} is {item!r}, allowed is at most {maximum}")
        if meta["above"] is not None and item <= meta["above"]:
            raise InputError(f"{field.name} is {item!r}, allowed is more than {meta['above']}")
