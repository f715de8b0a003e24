"""JSON objects read from files, whose every complaint names file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from bort.errors import InputError
from bort.storage.text_lines import read_lines, read_text


class JsonObject:
    """A JSON object and the place it came from."""

    def __init__(self, value: Any, where: str, line: int = 0, field: str = "") -> None:
        self.where = where
        self.line = line
        self._field = field
        if not isinstance(value, dict):
            what = f"{field} is" if field else "holds"
            raise InputError(f"{where}: {what} {_shown(value)}, expected an object")
        self._values: Dict[str, Any] = value

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        return name in self._values

    def value(self, name: str) -> Any:
        """A field of any type."""
        if name not in self._values:
            known = ", ".join(self._values)
            raise InputError(f"{self.where}: has no field {self._path(name)!r}, it has {known}")
        return self._values[name]

    def text(self, name: str) -> str:
        """A field that must be a text with something in it."""
        value = self.value(name)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(name, value, "a text")
        return value

    def number(self, name: str) -> int:
        """A field that must be a whole number."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(name, value, "a whole number")
        return value

    def items(self, name: str) -> List[Any]:
        """A field that must be a list with something in it."""
        value = self.value(name)
        if not isinstance(value, list) or not value:
            raise self._wrong(name, value, "a list that is not empty")
        return value

    def texts(self, name: str) -> List[str]:
        """A field that must be a list of texts."""
        value = self.items(name)
        if not all(isinstance(part, str) for part in value):
            raise self._wrong(name, value, "a list of texts")
        return value

    def object(self, name: str) -> JsonObject:
        """A field that must be an object."""
        return JsonObject(self.value(name), self.where, self.line, self._path(name))

    def objects(self, name: str) -> List[JsonObject]:
        """A field that must be a list of objects."""
        return [
            JsonObject(value, self.where, self.line, f"{self._path(name)}[{number}]")
            for number, value in enumerate(self.items(name))
        ]

    def _path(self, name: str) -> str:
        return f"{self._field}.{name}" if self._field else name

    def _wrong(self, name: str, value: Any, expected: str) -> InputError:
        return InputError(
            f"{self.where}: {self._path(name)} is {_shown(value)}, expected {expected}"
        )


def read_json_lines(path: Path) -> List[JsonObject]:
    """The objects of a file with one on every line.

    Raises:
        InputError: the file is missing, empty or not UTF-8, or a line holds no object.
    """
    objects = []
    for number, text in read_lines(path):
        where = f"{path} line {number}"
        objects.append(JsonObject(_parsed(text, where), where, number))
    return objects


def read_json_object(path: Path) -> JsonObject:
    """The one object of a file.

    Raises:
        InputError: the file is missing, empty, not UTF-8, or holds no object.
    """
    return JsonObject(_parsed(read_text(path), str(path)), str(path))


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from error


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
