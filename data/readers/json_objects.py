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
            raise InputError(f"{self.where}: has no field {self.path(name)!r}, it has {known}")
        return self._values[name]

    def text(self, name: str, *, may_be_blank: bool = False) -> str:
        """Return the value of a field that must be a text, and not blank unless it may be."""
        value = self.value(name)
        if not isinstance(value, str) or not (may_be_blank or value.strip()):
            raise self._wrong(name, value, "a text")
        return value

    def number(self, name: str) -> int:
        """Return the value of a field that must be an integer."""
        value = self.value(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= LARGEST_INDEX:
            raise self._wrong(name, value, "a whole number")
        return value

    def items(self, name: str, *, may_be_empty: bool = False) -> List[Any]:
        """Return the value of a field that must be a list, and not empty unless it may be."""
        value = self.value(name)
        if not isinstance(value, list) or not (may_be_empty or value):
            raise self._wrong(name, value, "a list" if may_be_empty else "a list that is not empty")
        return value

    def texts(self, name: str) -> List[str]:
        """Return the value of a field that must be a list of texts."""
        value = self.items(name)
        if not all(isinstance(part, str) for part in value):
            raise self._wrong(name, value, "a list of texts")
        return value

    def object(self, name: str) -> JsonObject:
        """Return the value of a field that must be an object."""
        return JsonObject(self.value(name), self.where, self.line, self.path(name))

    def objects(self, name: str, *, may_be_empty: bool = False) -> List[JsonObject]:
        """Return the values of a field that must be a list of objects."""
        return [
            JsonObject(value, self.where, self.line, f"{self.path(name)}[{number}]")
            for number, value in enumerate(self.items(name, may_be_empty=may_be_empty))
        ]

    def path(self, name: str) -> str:
        """Return the path of a field in the file, for messages."""
        return f"{self._field}.{name}" if self._field else name

    def _wrong(self, name: str, value: Any, expected: str) -> InputError:
        return InputError(
            f"{self.where}: {self.path(name)} is {_shown(value)}, expected {expected}"
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


def read_json_object(path: Path, largest: int = LARGEST_JSON_BYTES) -> JsonObject:
    """Return the object of a file that holds a single JSON object.

    Args:
        path: the file.
        largest: maximum size in bytes.

    Raises:
        InputError: the file is missing, too large, empty or not UTF-8, or is not an object.
    """
    text = read_text(path, largest=largest)
    return JsonObject(parse_json(text, str(path)), str(path))


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
