"""Reading and writing of prediction files in the submission formats of GLUE and SuperGLUE.

A file has the predictions of one task. A `.tsv` file has the header `index<TAB>prediction`. A
`.jsonl` file has one object per line with `idx` and `label`, nested by passage, question and answer
for MultiRC. Both formats are allowed for any task and split, but MultiRC and RACE need `.jsonl`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple, Union

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write
from bort.storage.json_text import parse_json
from bort.storage.text_lines import read_lines
from bort.tasks.own.task import OwnTask
from bort.tasks.records import ANSWERS, RACE, TaskRecord, get_task
from bort.tasks.squad.files import answers_json, read_answers

TSV_HEADER = "index\tprediction"

PredictionIndex = Union[int, str, Tuple[int, int, int], Tuple[str, int]]
"""An example's own index.

MultiRC: (passage, question, answer); RACE: (passage, question); SQuAD: the id of the question.
"""

_LONGEST_INDEX = 18  # digits
# Tasks whose labels a submission capitalises, and tasks whose labels it writes as numbers.
_CAPITALISED = ("WSC",)
_NUMBERS = ("COPA", "MultiRC")


def read_predictions(path: PathLike, task: Union[str, TaskRecord]) -> Dict[PredictionIndex, Any]:
    """Read a file of predictions, or of gold labels in the same form.

    Official `.jsonl` files with labels can be read too; their other fields are ignored.

    Args:
        path: a `.tsv` or `.jsonl` file; for SQuAD a `.json` file, see `bort.tasks.squad.files`.
        task: name or record of the task.

    Returns:
        Index → label string of the record, a number for STS-B, a text for ReCoRD, a tuple of label
        strings for a task with several labels.

    Raises:
        InputError: the header or a field is missing, a line is not valid JSON, an index is bad or
            repeated, a label is unknown, or the file is empty; names file and line.
    """
    record = get_task(task) if isinstance(task, str) else task
    if record.has_spans:
        return dict(read_answers(_with_suffix(Path(path), record)).items())
    found: Dict[PredictionIndex, Any] = {}
    for line, index, raw in _entries(Path(path), record):
        where = f"{path}:{line}"
        if index in found:
            raise InputError(f"{where}: index {_show(index)} comes twice")
        found[index] = parse_value(record, raw, where)
    if not found:
        raise InputError(f"{path}: has no predictions")
    return found


def write_predictions(
    path: PathLike, task: Union[str, TaskRecord], predictions: Mapping[Any, Any]
) -> None:
    """Write a file of predictions atomically, sorted by index.

    Numbers are clipped to the range of the task's: those of STS-B, 0–5, are written with three
    decimals, those of an own task, which may have any size, with seven significant digits. Answers
    of SQuAD keep their order.

    Raises:
        InputError: there are no predictions, or the format cannot store an index or a value.
    """
    content = prediction_bytes(Path(path).name, task, predictions)
    with atomic_write(path) as stream:
        stream.write(content)


def prediction_bytes(
    name: str, task: Union[str, TaskRecord], predictions: Mapping[Any, Any]
) -> bytes:
    """Return the content of a file of predictions; the suffix of its name selects the format.

    Raises:
        InputError: see `write_predictions`.
    """
    record = get_task(task) if isinstance(task, str) else task
    if not predictions:
        raise InputError(f"{name}: there are no predictions to write")
    if record.has_spans:
        _with_suffix(Path(name), record)
        for index, value in predictions.items():
            if not isinstance(index, str):
                raise InputError(f"{record.name}: index {index!r}: allowed is a question's id")
            parse_value(record, value, f"{record.name}: index {index!r}")
        return answers_json(predictions)
    suffix = _suffix(Path(name))
    for index in predictions:
        _check_index(record, index)
    values = {
        index: written_value(record, predictions[index], f"index {_show(index)}")
        for index in sorted(predictions)
    }
    if suffix == ".tsv" and (record.several_labels or isinstance(next(iter(values)), tuple)):
        raise InputError(f"{name}: a .tsv file cannot hold {record.name}, .jsonl can")
    if suffix == ".tsv":
        lines = [TSV_HEADER, *(f"{index}\t{_tsv_cell(value)}" for index, value in values.items())]
    elif record.formulation == ANSWERS:
        lines = [json.dumps(entry) for entry in _nested(values)]
    else:
        lines = [json.dumps({"idx": index, "label": value}) for index, value in values.items()]
    return "".join(line + "\n" for line in lines).encode("utf-8")


def parse_value(record: TaskRecord, raw: Any, where: str) -> Any:
    """Convert a value of a file into the form that metrics take.

    Raises:
        InputError: names `where`, the value and the allowed values.
    """
    if record.is_regression:
        return _number(raw, where)
    if record.several_labels:
        if not isinstance(raw, (list, tuple)):
            raise InputError(f"{where}: label is {raw!r}, allowed is a list of labels")
        held = {_known_label(record, part, where) for part in raw}
        return tuple(label for label in record.labels if label in held)
    if not record.labels:
        if not isinstance(raw, str):
            raise InputError(f"{where}: label is {raw!r}, allowed is an answer text")
        return raw
    return _known_label(record, raw, where)


def _known_label(record: TaskRecord, raw: Any, where: str) -> str:
    text = raw
    if set(record.labels) == {"false", "true"}:
        if isinstance(raw, bool) or raw in ("True", "False"):
            text = str(raw).lower()
    elif isinstance(raw, int) and not isinstance(raw, bool):
        text = str(raw)
    if not isinstance(text, str) or text not in record.labels:
        allowed = ", ".join(record.labels)
        raise InputError(f"{where}: label is {raw!r}, allowed are {allowed}")
    return text


def written_value(record: TaskRecord, value: Any, where: str) -> Any:
    """Convert a value from the form that metrics take into the form of a submission.

    Raises:
        InputError: names the task, `where`, the value and the allowed values.
    """
    checked = parse_value(record, value, f"{record.name}: {where}")
    if record.label_range is not None:
        low, high = record.label_range
        digits = ".7g" if isinstance(record, OwnTask) else ".3f"
        return format(min(high, max(low, checked)), digits)
    if record.name in _CAPITALISED:
        return checked.capitalize()
    if record.several_labels:
        return list(checked)
    return int(checked) if record.name in _NUMBERS else checked


def _entries(path: Path, record: TaskRecord) -> Iterator[Tuple[int, PredictionIndex, Any]]:
    """Yield (line, index, raw value) for each prediction of a file."""
    if _suffix(path) == ".tsv":
        yield from _tsv_entries(path)
        return
    for line, value in _json_lines(path):
        where = f"{path}:{line}"
        if record.formulation == ANSWERS:
            for index, raw in _flattened(value, where):
                yield line, index, raw
            continue
        raw = _field(value, "idx", object, where)
        index = _race_index(raw, where) if record.suite == RACE else _whole_number(raw, where)
        yield line, index, _field(value, "label", object, where)


def _tsv_entries(path: Path) -> Iterator[Tuple[int, PredictionIndex, Any]]:
    (_, header), *lines = read_lines(path)
    if header != TSV_HEADER:
        raise InputError(f"{path}:1: the header is {header!r}, allowed is {TSV_HEADER!r}")
    for line, text in lines:
        fields = text.split("\t")
        if len(fields) != 2:
            raise InputError(f"{path}:{line}: has {len(fields)} fields, allowed are 2")
        yield line, _whole_number(fields[0], f"{path}:{line}"), fields[1]


def _json_lines(path: Path) -> Iterator[Tuple[int, Any]]:
    for line, text in read_lines(path):
        yield line, parse_json(text, f"{path}:{line}")


def _flattened(value: Any, where: str) -> Iterator[Tuple[PredictionIndex, Any]]:
    passage = _whole_number(_field(value, "idx", int, where), where)
    for question in _field(_field(value, "passage", dict, where), "questions", list, where):
        number = _whole_number(_field(question, "idx", int, where), where)
        for answer in _field(question, "answers", list, where):
            index = _whole_number(_field(answer, "idx", int, where), where)
            yield (passage, number, index), _field(answer, "label", object, where)


def _nested(values: Mapping[Any, Any]) -> List[Dict[str, Any]]:
    passages: Dict[int, Dict[int, List[Dict[str, Any]]]] = {}
    for (passage, question, answer), label in values.items():
        answers = passages.setdefault(passage, {}).setdefault(question, [])
        answers.append({"idx": answer, "label": label})
    return [
        {
            "idx": passage,
            "passage": {
                "questions": [
                    {"idx": question, "answers": answers} for question, answers in questions.items()
                ]
            },
        }
        for passage, questions in passages.items()
    ]


def _field(value: Any, name: str, kind: Any, where: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise InputError(f"{where}: has no field {name!r}")
    if not isinstance(value[name], kind):
        raise InputError(f"{where}: {name} is {value[name]!r}, which is of the wrong type")
    return value[name]


def _whole_number(value: Any, where: str) -> int:
    try:
        is_short = len(str(value)) <= _LONGEST_INDEX
        if isinstance(value, (bool, float)) or not is_short or int(value) < 0:
            raise ValueError
        return int(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: index is {value!r}, allowed is a whole number") from None


def _race_index(value: Any, where: str) -> Tuple[str, int]:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise InputError(
            f"{where}: index is {value!r}, allowed is [name of the passage, number of the question]"
        )
    return value[0], _whole_number(value[1], where)


def _number(raw: Any, where: str) -> float:
    try:
        value = math.nan if isinstance(raw, bool) else float(raw)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: score is {raw!r}, allowed is a finite number")
    return value


def _check_index(record: TaskRecord, index: Any) -> None:
    if record.formulation == ANSWERS:
        kinds: Tuple[type, ...] = (int, int, int)
        allowed = "(passage, question, answer)"
    elif record.suite == RACE:
        kinds, allowed = (str, int), "(name of the passage, number of the question)"
    else:
        kinds, allowed = (int,), "a whole number"
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) != len(kinds) or not all(map(isinstance, parts, kinds)):
        raise InputError(f"{record.name}: index {index!r}: allowed is {allowed}")


def _tsv_cell(value: Any) -> str:
    text = str(value)
    if any(character in text for character in "\t\r\n"):
        raise InputError(f"prediction {text!r}: a .tsv file cannot hold it, .jsonl can")
    return text


def _suffix(path: Path) -> str:
    if path.suffix not in (".tsv", ".jsonl"):
        raise InputError(f"{path}: is of an unknown kind, allowed are .tsv and .jsonl")
    return path.suffix


def _with_suffix(path: Path, record: TaskRecord) -> Path:
    if path.suffix != ".json":
        raise InputError(f"{path}: is of an unknown kind, allowed for {record.name} is .json")
    return path


def _show(index: PredictionIndex) -> str:
    return "/".join(map(str, index)) if isinstance(index, tuple) else repr(index)
