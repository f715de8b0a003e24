"""Tests of the published rows: they give the printed benchmark scores, also in the table."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.metrics import score_task
from bort.tasks.published import (
    PUBLISHED,
    benchmark_score,
    measured_row,
    published_rows,
    score_table,
    tasks_of,
)
from bort.tasks.records import SUITES, get_task

PRINTED = {
    ("GLUE", "Bort"): 83.6,
    ("GLUE", "BERT-large"): 80.5,
    ("SuperGLUE", "Bort"): 74.1,
    ("SuperGLUE", "BERT-large"): 69.0,
}


def test_the_benchmark_scores_come_out_as_printed() -> None:
    found = {
        (row.suite, row.system): round(benchmark_score(row.suite, row.scores), 1)
        for row in PUBLISHED
        if row.printed is not None
    }
    assert found == PRINTED
    assert found == {(r.suite, r.system): r.printed for r in PUBLISHED if r.printed is not None}


def test_no_other_reading_gives_the_printed_score() -> None:
    scores = next(row.scores for row in published_rows("GLUE") if row.system == "Bort")
    means = {name: sum(values) / len(values) for name, values in scores.items()}
    counted = [means[task.name] for task in tasks_of("GLUE") if task.name != "AX"]
    without_wnli = [value for name, value in means.items() if name not in ("WNLI", "AX")]
    halves = [*without_wnli, means["WNLI"], means["MNLI"]]
    single = [v for name, values in scores.items() if name != "AX" for v in values]
    others = [list(means.values()), without_wnli, halves, single]
    assert round(sum(counted) / 9, 1) == 83.6
    assert [round(sum(other) / len(other), 1) for other in others] == [80.4, 85.1, 84.0, 84.5]


@pytest.mark.parametrize("suite", SUITES)
def test_every_row_has_every_task_with_its_metrics(suite: str) -> None:
    for row in published_rows(suite):
        assert set(row.scores) == {task.name for task in tasks_of(suite)}
        for name, values in row.scores.items():
            halves = 2 if name == "MNLI" else 1
            assert len(values) == halves * len(get_task(name).metrics)


def test_a_missing_task_and_a_wrong_number_of_metrics() -> None:
    scores = dict(published_rows("GLUE")[0].scores)
    del scores["AX"]
    assert benchmark_score("GLUE", scores) == pytest.approx(88.1, abs=0.05)
    del scores["WNLI"], scores["QQP"]
    with pytest.raises(InputError, match="GLUE: there is no score for QQP, WNLI"):
        benchmark_score("GLUE", scores)
    with pytest.raises(InputError, match="QQP: has 1 values, allowed are 2 \\(f1, accuracy\\)"):
        benchmark_score("GLUE", {**scores, "WNLI": (1.0,), "QQP": (1.0,)})
    with pytest.raises(InputError, match="suite is 'RACE', allowed are GLUE and SuperGLUE"):
        benchmark_score("RACE", scores)


def test_a_measured_row_is_shown_with_the_published_rows() -> None:
    mrpc = score_task("MRPC", list("1100"), list("1000"))
    half = score_task("MNLI", ["neutral", "neutral"], ["neutral", "entailment"])
    row = measured_row("ours", "GLUE", {"mrpc": [mrpc], "MNLI": [half, half]})
    assert row.scores["MNLI"] == (50.0, 50.0)
    lines = score_table("GLUE", [*published_rows("GLUE"), row]).splitlines()
    assert lines[0].split() == [task.name for task in tasks_of("GLUE")] + ["score"]
    assert lines[3].split() == (
        "Bort 63.9 96.2 94.1/92.3 89.2/88.3 66.0/85.9 88.1/87.8 92.3 82.7 71.2 51.9 83.6".split()
    )
    assert lines[-1].split() == "ours - - 66.7/75.0 - - 50.0/50.0 - - - - -".split()
    assert len({len(line) for line in lines}) == 1


def test_race_has_no_benchmark_score() -> None:
    lines = score_table("RACE", published_rows("RACE")).splitlines()
    assert lines[0].split() == ["RACE-H", "RACE-M"]
    assert lines[-1].split() == ["Bort", "80.7", "85.9"]
