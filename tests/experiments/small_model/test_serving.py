"""The model and the precision that serve."""

import pytest

from bort.storage.files import write_json
from experiments.small_model.serving import best_candidate, choose_precision, write_served
from experiments.small_model.statements import FASTEST


def row(precision, score, milliseconds):
    dev = {"accuracy": score}
    return {"precision": precision, "engine": "x", "dev": dev, "latency_ms": milliseconds}


def test_the_fastest_precision_within_the_loss_serves():
    rows = [row("fp32", 0.90, 3.0), row("bf16", 0.899, 2.0), row("int8", 0.88, 1.0)]
    assert choose_precision(rows, 0.005) == 1
    assert [one["taken"] for one in rows] == [False, True, False]
    assert rows[2]["reason"] == "loses 2.0 points on dev, allowed are 0.5"


def test_a_precision_that_is_not_faster_does_not_serve():
    rows = [row("fp32", 0.90, 3.0), row("int8", 0.91, 3.5)]
    assert choose_precision(rows, 0.005) == 0
    assert "takes 3.50 ms" in rows[1]["reason"]


@pytest.mark.parametrize(
    ("bf16", "most", "taken", "reason"),
    [
        (0.88, 1.45, 1, "the best that keeps the limit; it loses 2.0 points on dev"),
        (0.88, 1.25, 2, "the best that keeps the limit; it loses 4.0 points on dev"),
        (0.90, 1.36, 1, FASTEST),  # noise gives no score away
        (0.90, 1.30, 2, "the best that keeps the limit; it loses 4.0 points on dev"),
        (0.90, 1.05, 1, FASTEST),  # none keeps the limit
        (0.88, 3.50, 0, FASTEST),
    ],
)
def test_what_breaks_the_limit_does_not_serve(bf16, most, taken, reason):
    """The limit holds in a faster precision, and float32 need not keep it."""
    rows = [row("fp32", 0.90, 3.0), row("bf16", bf16, 1.4), row("int8", 0.86, 1.2)]
    assert choose_precision(rows, 0.005, most) == taken
    assert [number for number, one in enumerate(rows) if one["taken"]] == [taken]
    assert rows[taken]["reason"] == reason
    if bf16 == 0.88 and taken:
        assert rows[0]["reason"] == "takes 3.00 ms, more than the limit"


def test_what_an_unfinished_attempt_would_serve_is_replaced(tmp_path):
    for name in ("int8", "bf16", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.file").write_text(name)
    for export in ("int8", "bf16"):
        write_served(
            tmp_path / "served", tmp_path / export, tmp_path / "no huggingface", tmp_path / "model"
        )
    found = sorted(path.name for path in (tmp_path / "served").iterdir())
    assert found == ["bf16.file", "weights"]


def candidates(tmp_path, **scores):
    for name, (score, kept) in scores.items():
        place = tmp_path / name
        place.mkdir()
        write_json(place / "scores.json", {"dev": {"accuracy": score}, "keeps_limit": kept})
    return {name: tmp_path / name for name in scores}


def test_the_best_dev_score_serves_and_the_student_wins_ties(tmp_path):
    folders = candidates(tmp_path, student=(0.8, True), agora=(0.9, True), truncated=(0.9, True))
    assert best_candidate(folders) == "agora"


def test_a_model_outside_the_limit_does_not_serve(tmp_path):
    folders = candidates(tmp_path, student=(0.8, True), truncated=(0.9, False))
    assert best_candidate(folders) == "student"


@pytest.mark.parametrize("kept", [True, False])
def test_agora_serves_as_the_student_whose_sizes_it_has(tmp_path, kept):
    folders = candidates(tmp_path, student=(0.8, kept), agora=(0.9, False), truncated=(0.7, True))
    assert best_candidate(folders) == "agora"
