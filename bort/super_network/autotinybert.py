"""Files of AutoTinyBERT's tools: candidates, measured latencies and performances of sub-networks.

They hold architectures as text of Python dictionaries, or as JSON. Nothing is evaluated as code: a
line may hold only what a dictionary of numbers needs, and is read as JSON.

Source: the code of arXiv 2107.13686.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from bort.architecture import LARGEST_DEPTH, LARGEST_SIZE, Architecture
from bort.errors import InputError
from bort.storage.files import PathLike
from bort.storage.json_fields import JsonFields, shown
from bort.storage.json_text import parse_json
from bort.storage.text_lines import read_lines

LONGEST_CANDIDATE = 1 << 16
"""Maximum length of a line with an architecture."""

_DICTIONARY = re.compile(r"""[\w\s'":,.\[\]{}+-]*""", re.ASCII)
_DEPTH = "sample_layer_num"
_HIDDEN = "sample_hidden_size"
_OF_LAYERS = {
    "heads": "sample_num_attention_heads",
    "intermediate": "sample_intermediate_sizes",
    "qkv": "sample_qkv_sizes",
}
_FIELDS = (_DEPTH, _HIDDEN, *_OF_LAYERS.values())

_RULE = re.compile(r"\*+[SE]?\*+")
_SCORES = re.compile(r"f1: *([^;]+); *em: *(.+)")
_BLOCK_FIELDS = (
    "task_name",
    "architecture",
    "parameter size",
    "total training time",
    "best_acc",
    "time_per_batch_infer",
    "infer_cnt",
)


class SubNetworkSizes(NamedTuple):
    """The sizes of a sub-network, without those of its super-network."""

    depth: int
    heads: int
    hidden: int
    intermediate: int
    qkv: int

    def within(self, whole: Architecture) -> Architecture:
        """Return the architecture with vocabulary, length and types of the whole network."""
        return whole.replace(**self._asdict())


@dataclass(frozen=True)
class Performance:
    """The result of a sub-network on a task.

    Attributes:
        sizes: the sub-network.
        task: name of the task, as written.
        scores: metric to score, from 0 to 1: `score`, or `f1` and `exact_match`.
    """

    sizes: SubNetworkSizes
    task: str
    scores: Mapping[str, float]

    @property
    def score(self) -> float:
        """The score that AutoTinyBERT's search takes: the only one, or F1."""
        return self.scores["f1"] if "f1" in self.scores else self.scores["score"]


def read_candidates(path: PathLike) -> List[SubNetworkSizes]:
    """Return the sub-networks in a file of candidates, each once, in the order of the file.

    Args:
        path: a file with one dictionary a line, as Python text or as JSON.

    Raises:
        InputError: a line holds no sub-network; the message names file, line and field.
    """
    found = (sizes_in(line, where) for line, where in _lines(path))
    return list(dict.fromkeys(found))


def read_latencies(path: PathLike) -> List[Tuple[SubNetworkSizes, float]]:
    """Return the measurements in a file such as `lat.tmp`: sub-networks and seconds.

    Args:
        path: a file with a dictionary, a tab and milliseconds on each line.

    Raises:
        InputError: a line is no measurement; the message names file and line.
    """
    found = []
    for line, where in _lines(path):
        text, tab, milliseconds = line.partition("\t")
        if not tab:
            raise InputError(f"{where}: has no tab, allowed is an architecture, a tab and a time")
        seconds = _number(milliseconds, f"{where}: milliseconds") / 1e3
        if seconds <= 0:
            raise InputError(f"{where}: milliseconds is {shown(milliseconds)}, allowed is above 0")
        found.append((sizes_in(text, where), seconds))
    return found


def read_performances(path: PathLike) -> List[Performance]:
    """Return the results in a file such as `subbert.results`, in the order of the file.

    Args:
        path: a file of blocks of lines `name = value`; task_name begins a block.

    Raises:
        InputError: a line or block is none of a result; the message names file, line and field.
    """
    found: List[Performance] = []
    block: Dict[str, Tuple[str, str]] = {}
    where = str(path)
    for line, where in _lines(path):
        if _RULE.fullmatch(line.strip()):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or name not in _BLOCK_FIELDS:
            known = ", ".join(_BLOCK_FIELDS)
            raise InputError(
                f"{where}: is {shown(line)}, allowed are lines `name = value`: {known}"
            )
        if name == "task_name" and block:
            found.append(_performance(block))
            block = {}
        if name in block or (not block and name != "task_name"):
            raise InputError(f"{where}: {name} stands outside of its block, or twice in it")
        block[name] = (value, where)
    if block:
        found.append(_performance(block))
    return found


def mean_errors(
    performances: List[Performance], tasks: Optional[Tuple[str, ...]] = None
) -> Dict[SubNetworkSizes, float]:
    """Return 1 minus the mean score over tasks, for the sub-networks that have all of them.

    A later result of the same sub-network and task replaces an earlier one.

    Args:
        performances: results, as `read_performances` returns them.
        tasks: names of the tasks; None for all in the results.
    """
    scores: Dict[SubNetworkSizes, Dict[str, float]] = {}
    for one in performances:
        scores.setdefault(one.sizes, {})[one.task] = one.score
    wanted = tuple(dict.fromkeys(p.task for p in performances)) if tasks is None else tasks
    return {
        sizes: 1.0 - sum(by_task[task] for task in wanted) / len(wanted)
        for sizes, by_task in scores.items()
        if all(task in by_task for task in wanted)
    }


def _lines(path: PathLike) -> List[Tuple[str, str]]:
    """Return the lines that are not blank, each with its place for messages."""
    return [
        (line.text, f"{path} line {line.number}")
        for line in read_lines(Path(path))
        if line.text.strip()
    ]


def _performance(block: Mapping[str, Tuple[str, str]]) -> Performance:
    task, where = block["task_name"]
    for name in ("architecture", "best_acc"):
        if name not in block:
            raise InputError(f"{where}: the block of task {shown(task)} has no {name}")
    architecture, there = block["architecture"]
    return Performance(sizes_in(architecture, there), task, _scores(*block["best_acc"]))


def _scores(text: str, where: str) -> Dict[str, float]:
    matched = _SCORES.fullmatch(text)
    if matched is None:
        found = {"score": _number(text, f"{where}: best_acc")}
    else:
        names = ("f1", "exact_match")
        values = (_number(part, f"{where}: best_acc") / 100 for part in matched.groups())
        found = dict(zip(names, values))
    for value in found.values():
        if not -1 <= value <= 1:  # a correlation may be negative
            raise InputError(
                f"{where}: best_acc is {shown(text)}, allowed are a share and "
                "`f1: <percent>; em: <percent>`"
            )
    return found


def _number(text: str, where: str) -> float:
    try:
        if re.fullmatch(r"[0-9eE.+-]{1,40}", text.strip()) and math.isfinite(float(text)):
            return float(text)
    except ValueError:
        pass
    raise InputError(f"{where} is {shown(text)}, allowed is a finite number")


def sizes_in(text: str, where: str) -> SubNetworkSizes:
    """Return the sizes in the text of a dictionary.

    Args:
        text: Python text or JSON.
        where: place of the text in messages.

    Raises:
        InputError: the text is none of a sub-network; the message names the field.
    """
    if len(text) > LONGEST_CANDIDATE or not _DICTIONARY.fullmatch(text):
        raise InputError(
            f"{where}: is {shown(text)}, allowed is a dictionary of names and numbers of at most "
            f"{LONGEST_CANDIDATE} characters"
        )
    fields = JsonFields.of(parse_json(text.replace("'", '"'), where), where)
    for name in fields.values:
        if name not in _FIELDS:
            raise InputError(f"{where}: unknown field {name!r}, known are {', '.join(_FIELDS)}")
    depth = _size(fields.value(_DEPTH), f"{where}: {_DEPTH}", LARGEST_DEPTH)
    widths = {name: _of_layers(fields, field, depth) for name, field in _OF_LAYERS.items()}
    hidden = _size(fields.value(_HIDDEN), f"{where}: {_HIDDEN}", LARGEST_SIZE)
    sizes = SubNetworkSizes(depth=depth, hidden=hidden, **widths)
    if sizes.qkv % sizes.heads:
        raise InputError(
            f"{where}: sample_num_attention_heads is {sizes.heads}, which does not divide "
            f"sample_qkv_sizes {sizes.qkv}"
        )
    return sizes


def _of_layers(fields: JsonFields, name: str, depth: int) -> int:
    """Return the size that all layers have."""
    where = f"{fields.source}: {name}"
    values = fields.items(name)
    if len(values) != depth:
        raise InputError(f"{where} has {len(values)} values, allowed is one for each of {depth}")
    sizes = [_size(value, where, LARGEST_SIZE) for value in values]
    if len(set(sizes)) != 1:
        raise InputError(f"{where} is {shown(values)}, allowed is one size for all layers")
    return sizes[0]


def _size(value: Any, where: str, largest: int) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole or not 1 <= value <= largest:
        raise InputError(f"{where} is {shown(value)}, allowed is an integer from 1 to {largest}")
    return int(value)
