"""Tests of the rows of a fine-tuning evaluation: store, means over seeds and tasks, order."""

from __future__ import annotations

import json
import statistics

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.finetuned_scores import (
    FinetunedRow,
    FinetunedScore,
    FinetunedStore,
    by_part,
    finetuned_table,
)

SMALL = Architecture(1, 2, 16, 32, vocabulary_size=100, maximum_length=8)
LARGE = SMALL.replace(depth=2)


def score(part, task, seed, *values):
    metrics = dict(zip(("f1", "accuracy"), values))
    return FinetunedScore(FinetunedRow(part, task, seed), metrics, metrics, 1, 7)


ROWS = [
    score(SMALL, "MRPC", 0, 0.5, 0.7),
    score(SMALL, "MRPC", 1, 0.7, 0.9),
    score(SMALL, "RTE", 1, 0.6),
    score(SMALL, "RTE", 0, 0.4),
    *(score(LARGE, task, seed, 0.7) for task in ("RTE", "MRPC") for seed in (0, 1)),
]


def test_means_are_over_metrics_then_tasks_and_deviations_over_seeds():
    best, second = by_part(ROWS, 8)
    assert (best.architecture, second.architecture) == (LARGE, SMALL)
    assert second.tasks["MRPC"].values == pytest.approx([0.6, 0.8])
    assert second.metrics["MRPC"]["f1"].values == [0.5, 0.7]
    assert second.score.values == pytest.approx([(0.6 + 0.4) / 2, (0.8 + 0.6) / 2])
    assert second.score.mean == pytest.approx(0.6)
    assert second.score.deviation == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert second.error == pytest.approx(0.4)
    values = second.as_dict()
    assert values["parameters"] == SMALL.parameter_count()
    assert values["multiply_adds"] == SMALL.multiply_adds(1, 8)
    assert values["tasks"]["RTE"]["metrics"]["f1"]["values"] == [0.4, 0.6]


def test_one_seed_has_no_deviation_and_equal_scores_put_the_smaller_first():
    parts = by_part([score(LARGE, "RTE", 3, 0.5), score(SMALL, "RTE", 3, 0.5)], 8)
    assert [one.architecture for one in parts] == [SMALL, LARGE]
    assert parts[0].as_dict()["score"] == {"mean": 0.5, "deviation": None, "values": [0.5]}
    assert "±" not in finetuned_table(parts)


def test_rows_survive_the_store_of_every_rank(tmp_path):
    for number, one in enumerate(ROWS):
        FinetunedStore(tmp_path, number % 2).append(one.row, one)
    found = FinetunedStore(tmp_path, 0).load()
    assert found == {one.row: one for one in ROWS}


def test_a_row_that_was_evaluated_twice_is_found(tmp_path):
    FinetunedStore(tmp_path, 0).append(ROWS[0].row, ROWS[0])
    FinetunedStore(tmp_path, 1).append(ROWS[0].row, ROWS[0])
    message = (
        r"scores-rank1.jsonl, line 1: holds 1-2-16-32-16 on MRPC, seed 0 a second time, the first "
        r"is in .*scores-rank0.jsonl, line 1"
    )
    with pytest.raises(InputError, match=message):
        FinetunedStore(tmp_path, 0).load()


def test_a_line_may_have_a_task_of_the_user(tmp_path):
    line = json.dumps({**ROWS[0].as_dict(), "task": "messages"})
    (tmp_path / "scores-rank0.jsonl").write_text(line + "\n")
    (row,) = FinetunedStore(tmp_path, 0, ("messages",)).load()
    assert row.task == "messages"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "X"}, "line 1: task 'X': is not known"),
        ({"metrics": {}}, r"line 1: metrics is \{\}, allowed is at least one"),
        ({"metrics": {"f1": "x"}}, "line 1: "),
        ({"seed": -1}, "line 1: seed is -1"),
        ({"epoch": 0}, "line 1: epoch is 0"),
        ({"architecture": {}}, "line 1: "),
    ],
)
def test_a_damaged_line_is_refused(tmp_path, changes, message):
    line = json.dumps({**ROWS[0].as_dict(), **changes})
    (tmp_path / "scores-rank0.jsonl").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        FinetunedStore(tmp_path, 0).load()
