"""Tests of the scores of sub-networks: the store, the order, the table, looking one up."""

from __future__ import annotations

import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.scores import (
    EVALUATION_FILE,
    PartScore,
    ScoreStore,
    best_first,
    recorded_score,
    score_rows,
)

SMALL = Architecture(1, 2, 16, 16, vocabulary_size=50, maximum_length=32)
LARGE = SMALL.replace(depth=3)
NARROW = SMALL.replace(qkv=8)


def masked(part, loss):
    return PartScore(part, 32, {"mlm_loss": loss, "mlm_accuracy": 0.1})


def test_scores_of_all_ranks_come_back_and_the_first_counts(tmp_path):
    ScoreStore(tmp_path, 0).append(SMALL, masked(SMALL, 5.0))
    ScoreStore(tmp_path, 1).append(NARROW, masked(NARROW, 4.0))
    ScoreStore(tmp_path, 1).append(SMALL, masked(SMALL, 9.0))
    assert ScoreStore(tmp_path, 7).load() == {
        SMALL: masked(SMALL, 5.0),
        NARROW: masked(NARROW, 4.0),
    }


def test_a_line_tells_sizes_and_costs(tmp_path):
    ScoreStore(tmp_path, 0).append(NARROW, masked(NARROW, 4.0))
    line = json.loads((tmp_path / "scores-rank0.jsonl").read_text())
    assert line["name"] == "1-2-16-16-8"
    assert line["parameters"] == NARROW.parameter_count()
    assert line["multiply_adds"] == 32 * NARROW.multiply_adds_per_token(32)
    assert (line["score"], line["metrics"]["mlm_accuracy"]) == (4.0, 0.1)


def test_a_torn_last_line_is_left_out_and_a_damaged_one_is_named(tmp_path):
    store = ScoreStore(tmp_path, 0)
    store.append(SMALL, masked(SMALL, 5.0))
    path = tmp_path / "scores-rank0.jsonl"
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    assert set(store.load()) == {SMALL}
    path.write_text(whole.replace('"mlm_loss": 5.0', '"mlm_loss": null'))
    with pytest.raises(InputError, match=r"scores-rank0\.jsonl, line 1: metrics\.mlm_loss is None"):
        store.load()


def test_less_loss_and_more_accuracy_come_first_and_fewer_parameters_among_equals():
    losses = [masked(SMALL, 5.0), masked(LARGE, 4.0), masked(NARROW, 5.0)]
    assert [one.architecture for one in best_first(losses)] == [LARGE, NARROW, SMALL]
    task = [PartScore(SMALL, 32, {"accuracy": 0.5, "f1": 0.7}), PartScore(LARGE, 32, {"f1": 0.61})]
    assert [one.architecture for one in best_first(task)] == [LARGE, SMALL]
    assert task[0].score == pytest.approx(0.6)


def test_the_table_has_a_column_for_every_metric():
    table = score_rows([masked(LARGE, 4.0), masked(NARROW, 5.25)])
    assert table.splitlines()[0].split() == [
        *("D-A-H-I-Q", "parameters", "multiply-adds", "mlm_loss", "mlm_accuracy")
    ]
    assert table.splitlines()[2].split()[-2:] == ["5.2500", "0.1000"]


def test_a_recorded_score_is_of_the_same_super_network(tmp_path):
    with pytest.raises(InputError, match=EVALUATION_FILE):
        recorded_score(tmp_path, "a" * 64, SMALL)
    (tmp_path / EVALUATION_FILE).write_text(json.dumps({"super_network": "a" * 64}))
    ScoreStore(tmp_path, 0).append(SMALL, masked(SMALL, 5.0))
    assert recorded_score(tmp_path, "a" * 64, SMALL) == masked(SMALL, 5.0)
    with pytest.raises(InputError, match="super_network is 'aaaaaaaaaaaa', allowed is that of"):
        recorded_score(tmp_path, "b" * 64, SMALL)
    with pytest.raises(InputError, match="holds no score of 1-2-16-16-8, evaluate it first"):
        recorded_score(tmp_path, "a" * 64, NARROW)
    (tmp_path / EVALUATION_FILE).write_text(json.dumps({"super_network": "a" * 64, "tasks": {}}))
    with pytest.raises(InputError, match="its scores are those of fine-tuned models"):
        recorded_score(tmp_path, "a" * 64, SMALL)
