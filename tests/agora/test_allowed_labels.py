"""Stored labels: those of the task are read, others are refused with file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bort.agora.allowed_labels import AllowedLabels
from bort.agora.store import AnswerStore
from bort.errors import InputError
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task


def test_the_labels_of_tasks() -> None:
    assert AllowedLabels.of(get_task("CB"), TaskOptions()) == (3, None)
    assert AllowedLabels.of(get_task("MultiRC"), TaskOptions()) == (2, None)
    assert AllowedLabels.of(get_task("STS-B"), TaskOptions()) == (0, (0.0, 5.0))


def load(folder: Path, allowed: AllowedLabels, *answers: Any) -> Any:
    line = json.dumps({"answers": answers})
    (folder / "answers-rank0.jsonl").write_text(line + "\n")
    return AnswerStore(folder, 0, allowed).load()


def test_answers_come_back(tmp_path: Path) -> None:
    found = load(tmp_path, AllowedLabels(2), ["a", 1, [0.25, 0.75]], ["b", 0, None])
    assert found == {"a": (1, (0.25, 0.75)), "b": (0, None)}
    assert load(tmp_path, AllowedLabels(0, (0.0, 5.0)), ["a", 5, None]) == {"a": (5.0, None)}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (["a", 2, None], r"answers\[0\].label is 2, allowed are 0 to 1"),
        (["a", -1, None], r"answers\[0\].label is -1, allowed are 0 to 1"),
        (["a", True, None], r"answers\[0\].label is True, allowed are 0 to 1"),
        (["a", 0.0, None], r"answers\[0\].label is 0.0, allowed are 0 to 1"),
        (["a", 1, [1.0]], r"probabilities are \[1.0\], allowed are 2 numbers that sum to 1"),
        (["a", 1, [0.5, 0.6]], r"probabilities are \[0.5, 0.6\], allowed are 2 numbers"),
        (["a", 1, [-0.5, 1.5]], r"probabilities\[0\] is -0.5, allowed is a finite number"),
        ([1, 1, None], r"answers\[0\].key is 1, allowed is a text"),
        (["a", 1], r"answers\[0\] is .*, allowed is a list of key, label and probabilities"),
    ],
)
def test_other_answers_are_refused(tmp_path: Path, answer: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"answers-rank0\.jsonl, line 1: .*{message}"):
        load(tmp_path, AllowedLabels(2), answer)


def test_values_outside_the_range_of_a_regression_are_refused(tmp_path: Path) -> None:
    for value in (5.5, -1, None, "3"):
        with pytest.raises(InputError, match="label is .*, allowed is 0.0 to 5.0"):
            load(tmp_path, AllowedLabels(0, (0.0, 5.0)), ["a", value, None])
