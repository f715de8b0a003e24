"""Typed access to the fields of JSON objects, with errors that name file and field."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple, cast

from bort.errors import InputError

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
            raise InputError(f"{source}: {within or 'it'} is {_shown(value)}, allowed is an object")
        return cls(value, source, within)

    def value(self, name: str) -> Any:
        """Return a field of any type."""
        if name not in self.values:
            raise InputError(f"{self.source}: {self._path(name)} is missing")
        return self.values[name]

    def integer(self, name: str) -> int:
        """Return an integer."""
        value = self.value(name)
        if type(value) is not int:
            raise self._refusal(name, "an integer")
        return int(value)

    def number(self, name: str) -> float:
        """Return a finite number; an integer stays an integer."""
        value = self.value(name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or value - value != 0:  # inf - inf and nan - nan are nan
            raise self._refusal(name, "a finite number")
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

    def texts(self, name: str) -> Tuple[str, ...]:
        """Return a list of strings."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._refusal(name, "a list of texts")
        return tuple(value)

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
        value = _shown(self.values[name])
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


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
