"""Typed access to the fields of JSON objects, with errors that name file and field."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, cast

from bort.errors import InputError
from bort.storage.files import PathLike, read_json

_SHOWN = 60


@dataclass(frozen=True)
class JsonFields:
    """An object in a JSON file.

    Every method that reads a field raises `InputError` if the field is missing or has another type.
    The message names the file, the field and its value.

    Attributes:
        values: the object's fields.
        source: name of the file in error messages.
        within: dotted name of the object in the file; "" for the file's outermost object.

    >>> JsonFields.of({"head": {"size": "2"}}, "model.json").fields("head").integer("size")
    Traceback (most recent call last):
    bort.errors.InputError: model.json: head.size is '2', allowed is an integer
    """

    values: Mapping[str, Any]
    source: str
    within: str = ""

    @classmethod
    def of(cls, value: Any, source: str, within: str = "") -> JsonFields:
        """Return the fields of a value, which must be an object."""
        if not isinstance(value, dict):
            raise InputError(f"{source}: {within or 'it'} is {shown(value)}, allowed is an object")
        return cls(value, source, within)

    def value(self, name: str) -> Any:
        """Return a field of any type."""
        if name not in self.values:
            raise InputError(f"{self.source}: {self._path(name)} is missing")
        return self.values[name]

    def has(self, name: str) -> bool:
        """Return whether there is a field."""
        return name in self.values

    def integer(
        self, name: str, minimum: Optional[int] = None, maximum: Optional[int] = None
    ) -> int:
        """Return an integer from `minimum` to `maximum`."""
        value = self.value(name)
        if type(value) is not int or not _is_within(value, minimum, maximum):
            raise self._refusal(name, f"an integer{_range(minimum, maximum)}")
        return int(value)

    def number(
        self, name: str, minimum: Optional[float] = None, maximum: Optional[float] = None
    ) -> float:
        """Return a finite number from `minimum` to `maximum`; an integer stays an integer."""
        value = self.value(name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not is_number
            or value - value != 0  # inf - inf and nan - nan are nan
            or not _is_within(value, minimum, maximum)
        ):
            raise self._refusal(name, f"a finite number{_range(minimum, maximum)}")
        return cast(float, value)

    def boolean(self, name: str) -> bool:
        """Return a Boolean."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self._refusal(name, "true or false")
        return value

    def text(self, name: str) -> str:
        """Return a string."""
        value = self.value(name)
        if not isinstance(value, str):
            raise self._refusal(name, "a text")
        return value

    def plain_name(self, name: str) -> str:
        """Return a string that is the name of a file or folder, without a path."""
        value = self.text(name)
        if value in ("", ".", "..") or set("/\\\0") & set(value):
            raise self._refusal(name, "a name without a path")
        return value

    def texts(self, name: str) -> Tuple[str, ...]:
        """Return a list of strings."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._refusal(name, "a list of texts")
        return tuple(value)

    def items(self, name: str) -> List[Any]:
        """Return a list of values of any type."""
        value = self.value(name)
        if not isinstance(value, list):
            raise self._refusal(name, "a list")
        return value

    def numbers(
        self, name: str, minimum: Optional[float] = None, maximum: Optional[float] = None
    ) -> Tuple[float, ...]:
        """Return a list of finite numbers from `minimum` to `maximum`."""
        named = {f"{name}[{n}]": value for n, value in enumerate(self.items(name))}
        inside = JsonFields(named, self.source, self.within)
        return tuple(inside.number(one, minimum, maximum) for one in named)

    def all_numbers(self, minimum: Optional[float] = None) -> Dict[str, float]:
        """Return all fields, which must be finite numbers of at least `minimum`."""
        return {name: self.number(name, minimum) for name in self.values}

    def objects(self, name: str) -> List[JsonFields]:
        """Return a list of objects."""
        return [
            JsonFields.of(value, self.source, f"{self._path(name)}[{number}]")
            for number, value in enumerate(self.items(name))
        ]

    def fields(self, name: str) -> JsonFields:
        """Return an object."""
        return JsonFields.of(self.value(name), self.source, self._path(name))

    def optional_fields(self, name: str) -> Optional[JsonFields]:
        """Return an object, or None for `null`."""
        return None if self.value(name) is None else self.fields(name)

    def without(self, *names: str) -> Dict[str, Any]:
        """Return all fields except some."""
        return {name: value for name, value in self.values.items() if name not in names}

    def _path(self, name: str) -> str:
        return f"{self.within}.{name}" if self.within else name

    def _refusal(self, name: str, allowed: str) -> InputError:
        value = shown(self.values[name])
        return InputError(f"{self.source}: {self._path(name)} is {value}, allowed is {allowed}")


@contextlib.contextmanager
def errors_naming(source: str) -> Iterator[None]:
    """Prepend the file's name to every `InputError` of the block that does not start with it."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(f"{source}: "):
            raise
        raise InputError(f"{source}: {error}") from error


def read_fields(path: PathLike) -> JsonFields:
    """Read a JSON file that holds an object.

    Raises:
        InputError: see `bort.storage.files.read_json`; or the value is not an object.
    """
    return JsonFields.of(read_json(path), str(path))


def _is_within(value: float, minimum: Optional[float], maximum: Optional[float]) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _range(minimum: Optional[float], maximum: Optional[float]) -> str:
    if minimum is None and maximum is None:
        return ""
    if maximum is None:
        return f" of at least {minimum}"
    return f" of at most {maximum}" if minimum is None else f" from {minimum} to {maximum}"


def shown(value: Any) -> str:
    """Return the start of a value's `repr` for error messages."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
