"""Sub-networks named on the command line and in files: their architectures as text."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from bort.architecture import LARGEST_SIZE, PRESETS, Architecture, get_architecture
from bort.errors import InputError
from bort.network.sub_network import check_fits
from bort.storage.files import read_json
from bort.storage.json_fields import JsonFields, errors_naming, shown
from bort.storage.text_lines import read_lines
from bort.super_network.autotinybert import sizes_in
from bort.super_network.space import SubNetworkSpace

LARGEST_PART, SMALLEST_PART = "largest", "smallest"
_SIZES = re.compile(r"([0-9]{1,9}(?:-[0-9]{1,9}){3,4})(?:-(pre))?")
_OF_THE_PART = ("depth", "heads", "hidden", "intermediate", "qkv")


def part_name(architecture: Architecture) -> str:
    """Return D-A-H-I-Q, which identifies a sub-network of one super-network.

    >>> part_name(Architecture(3, 6, 192, 768))
    '3-6-192-768-192'
    """
    return "-".join(str(getattr(architecture, name)) for name in _OF_THE_PART)


def is_part_name(text: str) -> bool:
    """Return whether a text has the form of `part_name`."""
    matched = _SIZES.fullmatch(text)
    return matched is not None and matched[1] == text and text.count("-") == 4


def read_part(text: str, whole: Architecture, space: SubNetworkSpace) -> Architecture:
    """Return the architecture of a sub-network from its text.

    Args:
        text: D-A-H-I-Q or D-A-H-I, `largest` or `smallest` of the space, a preset, or a JSON file.
            Without Q, whole heads are kept if the space has an axis of heads, so that Q is A times
            the width of a head; otherwise Q is H.
        whole: sizes of the whole network, which give vocabulary, length and token types.
        space: the space of the super-network.

    Raises:
        InputError: the text is no architecture, or one that does not fit into the whole network.
    """
    if text == LARGEST_PART:
        return space.maximum(whole)
    if text == SMALLEST_PART:
        return space.minimum(whole)
    if not (_SIZES.fullmatch(text) or text in PRESETS or text.endswith(".json")):
        raise InputError(
            f"architecture is {shown(text)}, allowed are depth-heads-hidden-intermediate[-qkv], "
            f"{LARGEST_PART}, {SMALLEST_PART}, a preset and a .json file"
        )
    with errors_naming(text):
        matched = _SIZES.fullmatch(text)
        if matched:
            sizes: Dict[str, Any] = dict(zip(_OF_THE_PART, map(int, matched[1].split("-"))))
            if matched[2]:
                sizes["norm"] = matched[2]
            if space.heads:
                sizes.setdefault("qkv", min(sizes["heads"] * whole.head_width, LARGEST_SIZE))
        else:
            sizes = _sizes_of(get_architecture(text))
        return _part_of_sizes(sizes, whole)


def read_parts(
    texts: Sequence[str], whole: Architecture, space: SubNetworkSpace
) -> List[Architecture]:
    """Return the architectures of several sub-networks, each once, in the order of their names.

    Args:
        texts: texts of `read_part`, or files: a text file has one text a line, or a dictionary of
            AutoTinyBERT (`bort.super_network.autotinybert`); a `.json` file has a list of texts and
            of objects with the fields of `Architecture`.
        whole: sizes of the whole network.
        space: the space of the super-network.

    Raises:
        InputError: a text is bad; the message names the file and the line, if there is one.
    """
    found: Dict[Architecture, None] = {}  # a set in the order of insertion
    for text in texts:
        if text.endswith(".json"):
            found.update(dict.fromkeys(_in_json(Path(text), whole, space)))
        elif os.path.isfile(text):
            for where, line in _lines(Path(text)):
                with errors_naming(where):
                    if line.startswith("{"):
                        part = _part_of_sizes(sizes_in(line, where)._asdict(), whole)
                    else:
                        part = read_part(line, whole, space)
                    found[part] = None
        else:
            found[read_part(text, whole, space)] = None
    return list(found)


def _lines(path: Path) -> Iterator[Tuple[str, str]]:
    for line in read_lines(path):
        if line.text.strip():
            yield f"{path} line {line.number}", line.text.strip()


def _in_json(path: Path, whole: Architecture, space: SubNetworkSpace) -> Iterator[Architecture]:
    values = read_json(path)
    if not isinstance(values, list):
        yield read_part(str(path), whole, space)
        return
    if not values:
        raise InputError(f"{path}: is [], allowed is a list of at least one architecture")
    for number, value in enumerate(values):
        with errors_naming(f"{path}: [{number}]"):
            if isinstance(value, str):
                yield read_part(value, whole, space)
                continue
            if not isinstance(value, dict):
                raise InputError(f"is {shown(value)}, allowed are a text and an object")
            fields = JsonFields.of(value, str(path), f"[{number}]")
            yield _part_of_sizes(_sizes_of(Architecture.from_dict(fields.values)), whole)


def _sizes_of(named: Architecture) -> Dict[str, Any]:
    """Return the fields of an architecture that a sub-network takes from it.

    A norm that is not the default is taken, too, so that it is refused if the whole has another.
    """
    sizes = {name: getattr(named, name) for name in _OF_THE_PART}
    return sizes if named.norm == Architecture.norm else {**sizes, "norm": named.norm}


def _part_of_sizes(sizes: Dict[str, Any], whole: Architecture) -> Architecture:
    """Return the whole's architecture with other sizes; without `qkv`, it is the hidden size."""
    part = whole.replace(**{"qkv": 0, **sizes})
    check_fits(whole, part)
    return part
