"""SQuAD's files of answers: `predictions.json`, `nbest_predictions.json` and `null_odds.json`.

They are those of BERT's script (arXiv:1810.04805), which SQuAD's official scripts read: objects
with a value for each question, by id. The file of n-best lists is filled for both versions.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write, read_json
from bort.tasks.items import TaskItem
from bort.tasks.squad.decoding import SpanAnswer

PREDICTIONS_JSON = "predictions.json"
NBEST_JSON = "nbest_predictions.json"
NULL_ODDS_JSON = "null_odds.json"


def write_answers(
    folder: PathLike, items: Sequence[TaskItem], answers: Sequence[SpanAnswer]
) -> List[Path]:
    """Write the files of a set's answers, each atomically.

    Args:
        folder: output folder.
        items: questions.
        answers: result of `bort.tasks.squad.decoding.decode_spans`.

    Returns:
        The paths of the files. There is no `null_odds.json` if every question has an answer.
    """
    by_id = {str(item.index): answer for item, answer in zip(items, answers)}
    contents: Dict[str, Any] = {
        PREDICTIONS_JSON: {index: answer.text for index, answer in by_id.items()},
        NBEST_JSON: {index: _nbest(answer) for index, answer in by_id.items()},
    }
    odds = {i: one.null_odds for i, one in by_id.items() if one.null_odds is not None}
    if odds:
        contents[NULL_ODDS_JSON] = odds
    for name, values in contents.items():
        with atomic_write(Path(folder) / name) as stream:
            stream.write(answers_json(values))
    return [Path(folder) / name for name in contents]


def answers_json(values: Mapping[str, Any]) -> bytes:
    """Return the content of a file of answers: JSON in the order of the questions."""
    return (json.dumps(values, indent=4, allow_nan=False) + "\n").encode("utf-8")


def read_answers(path: PathLike) -> Dict[str, str]:
    """Read a file of predictions: question id → answer, "" for no answer.

    Raises:
        InputError: the file is missing or not JSON, or a value is not a text; names file and id.
    """
    return _values(path, str, "a text")


def read_null_odds(path: PathLike) -> Dict[str, float]:
    """Read a file of null odds: question id → a finite number.

    Raises:
        InputError: the file is missing or not JSON, or a value is not a finite number; names file
            and id.
    """
    found = _values(path, (int, float), "a finite number")
    for index, value in found.items():
        if isinstance(value, bool) or not math.isfinite(value):
            raise InputError(f"{path}: {index} is {value!r}, allowed is a finite number")
    return found


def _nbest(answer: SpanAnswer) -> List[Dict[str, Any]]:
    return [
        {
            "text": one.text,
            "probability": one.probability,
            "start_logit": one.start_logit,
            "end_logit": one.end_logit,
        }
        for one in answer.nbest
    ]


def _values(path: PathLike, kind: Any, allowed: str) -> Dict[str, Any]:
    values = read_json(path)
    if not isinstance(values, dict) or not values:
        raise InputError(f"{path}: allowed is an object with a value for each question")
    for index, value in values.items():
        if not isinstance(value, kind):
            raise InputError(f"{path}: {index} is {value!r}, allowed is {allowed}")
    return values
