"""JSON objects with checked fields, whose errors name file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from bort.errors import InputError
from bort.storage.files import LARGEST_JSON_BYTES
from bort.storage.json_text import parse_json
from bort.storage.text_lines import read_lines, read_text
from data.readers.indices import LARGEST_INDEX


class JsonObject:
    """A JSON object and its position in a file.

    Args:
        value: the parsed value, which must be an object.
        where: the position to name in errors.
        line: the line number, from 1; 0 if the object is a whole file.
        field: the path of the field that holds the object; "" at the top.

    Raises:
        InputError: the value is not an object.
    """

    def __init__(self, value: Any, where: str, line: int = 0, field: str = "") -> None:
        self.where = where
        self.line = line
        self._field = field
        if not isinstance(value, dict):
            what = f"{field} is" if field else "holds"
            raise InputError(f"{where}: {what} {_shown(value)}, expected an object")
        self._values: Dict[str, Any] = value

    def has(self, name: str) -> bool:
        """Return whether the object has a field."""
        return name in self._values

    def value(self, name: str) -> Any:
        """Return the value of a field of any type."""
        if name not in self._values:
            known = ", ".join(self._values)
            raise InputError(f"{self.where}: has no field {self._path(name)!r}, it has {known}")
        return self._values[name]

    def text(self, name: str) -> str:
        """Return the value of a field that must be a text and not blank."""
        value = self.value(name)
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(name, value, "a text")
        return value

    def number(self, name: str) -> int:
        """Return the value of a field that must be an integer."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= LARGEST_INDEX:
            raise self._wrong(name, value, "a whole number")
        return value

    def items(self, name: str) -> List[Any]:
        """Return the value of a field that must be a list and not empty."""
        value = self.value(name)
        if not isinstance(value, list) or not value:
            raise self._wrong(name, value, "a list that is not empty")
        return value

    def texts(self, name: str) -> List[str]:
        """Return the value of a field that must be a list of texts."""
        value = self.items(name)
        if not all(isinstance(part, str) for part in value):
            raise self._wrong(name, value, "a list of texts")
        return value

    def object(self, name: str) -> JsonObject:
        """Return the value of a field that must be an object."""
        return JsonObject(self.value(name), self.where, self.line, self._path(name))

    def objects(self, name: str) -> List[JsonObject]:
        """Return the values of a field that must be a list of objects."""
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
    """Return the objects of a file that has one JSON object per line.

    Raises:
        InputError: the file is missing, empty or not UTF-8, or a line is not an object.
    """
    objects = []
    for number, text in read_lines(path):
        where = f"{path} line {number}"
        objects.append(JsonObject(parse_json(text, where), where, number))
    return objects


def read_json_object(path: Path) -> JsonObject:
    """Return the object of a file that holds a single JSON object.

    Raises:
        InputError: the file is missing, empty or not UTF-8, or is not an object.
    """
    text = read_text(path, largest=LARGEST_JSON_BYTES)
    return JsonObject(parse_json(text, str(path)), str(path))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
