"""Content of YAML files, with the plain values of JSON."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Dict

from bort.errors import InputError
from bort.storage.files import read_json
from bort.storage.text_lines import LARGEST_TEXT_BYTES, NotTextError, decode_text, read_content

_FLOAT = r"^[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
_PLAIN_VALUES = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ("~", "n", "N", "")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
)
"""Tag, pattern and first characters of the values that are no texts, in the order of the tests."""


def read_json_or_yaml(path: Path) -> Any:
    """Return the content of a JSON file (`.json`) or of a YAML file (any other suffix).

    Raises:
        InputError: the file is missing or damaged, a key comes twice, or YAML's package is missing.
    """
    if path.suffix.lower() == ".json":
        return read_json(path)
    try:
        text = decode_text(read_content(path, LARGEST_TEXT_BYTES))
    except NotTextError as error:
        raise InputError(f"{path}: {error}") from error
    return _parse_yaml(text, path)


def _parse_yaml(text: str, path: Path) -> Any:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise InputError(
            f"{path}: YAML needs the package PyYAML (pip install PyYAML); a .json file does not"
        ) from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """A safe loader with the plain values of YAML 1.2, as in JSON.

        `2:6:2`, `010`, `no` and dates are texts. A key that comes twice is refused, and so are
        aliases.
        """

        yaml_implicit_resolvers: Dict[str, Any] = {}

        def construct_mapping(self, node: Any, deep: bool = False) -> Dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise InputError(f"{path}: {key!r} comes twice, allowed is once")
            return dict(super().construct_mapping(node, deep))

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise InputError(f"{path}: has an alias (*name), allowed are plain values")
            return super().compose_node(parent, index)

    for tag, pattern, first in _PLAIN_VALUES:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path}: is not valid YAML: {line[:300]}") from error
