"""Tests of the measurement of a space, with a gauge whose times are known."""

from __future__ import annotations

import json
import logging

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.latency_config import LatencyTableConfig, LatencyTablePaths
from bort.search.latency_predictor import LatencyPredictor
from bort.search.sizes import sizes_of
from experiments import latency_table
from experiments.latency_table import measure_latency_table, open_grid
from tests.search.fake_machine import FakeMachine
from tests.search.latency_samples import CONDITIONS, true_seconds

SPACE = {
    "depths": [1, 2, 3, 4],
    "hiddens": {"from": 32, "to": 128, "step": 16},
    "intermediates": {"from": 32, "to": 512, "step": 32},
    "heads": [1, 2, 3, 4],
}


class FakeGauge(FakeMachine):
    """Stands for `EngineLatency`; counts what all of them open."""

    count = 0

    def __init__(self, **settings):
        super().__init__(conditions={**CONDITIONS, "threads": settings["threads"]})

    def open(self, architecture):
        type(self).count += 1
        return super().open(architecture)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(latency_table, "EngineLatency", FakeGauge)
    monkeypatch.setattr(FakeGauge, "count", 0)
    (tmp_path / "space.json").write_text(json.dumps(SPACE))
    return LatencyTablePaths(
        output_dir=str(tmp_path / "out"),
        space=str(tmp_path / "space.json"),
        architecture="4-4-128-512",
    )


CONFIG = LatencyTableConfig(count=40, held_out=12)


def test_table_predictor_errors_and_figure_are_written(paths, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        summary = measure_latency_table(paths, CONFIG)
    out = tmp_path / "out"
    assert (summary["stopped"], summary["architectures"], summary["noisy"]) == (False, 40, 0)
    assert summary["errors"]["predictor"]["count"] == 12
    assert summary["errors"]["predictor"]["mean"] < 1e-6 < summary["errors"]["parameters"]["mean"]
    assert json.loads((out / "errors.json").read_text()) == summary["errors"]
    predictor = LatencyPredictor.read(out / "predictor.json")
    assert predictor.rows == 40, "the predictor of the folder is fitted to all of them"
    one = Architecture(3, 2, 64, 320, qkv=64)
    assert predictor.latency(one) == pytest.approx(true_seconds(sizes_of([one]))[0])
    assert (out / "latency.png").exists()
    assert "estimate: the latencies of 40 architectures take" in caplog.text
    assert "on 12 architectures that were not fitted:" in caplog.text
    assert "autotinybert features" in caplog.text


def test_fitted_and_held_out_ones_differ_and_have_all_layer_counts(paths):
    fitted, held_out = latency_table.draw_sample(open_grid(paths), CONFIG)
    assert len(set(fitted)) == 28
    assert len(set(held_out)) == 12
    assert not set(fitted) & set(held_out)
    assert {one.depth for one in fitted} == {one.depth for one in held_out} == {1, 2, 3, 4}


def test_a_stopped_table_resumes_and_another_one_is_refused(paths, tmp_path):
    left = iter([False] * 7 + [True])
    summary = measure_latency_table(paths, CONFIG, lambda: next(left))
    assert summary == {"folder": str(tmp_path / "out"), "stopped": True}
    with pytest.raises(InputError, match="--resume"):
        measure_latency_table(paths, CONFIG)
    resumed = paths.replace(resume=True)
    with pytest.raises(InputError, match="threads"):
        measure_latency_table(resumed, CONFIG.replace(threads=2))
    with pytest.raises(
        InputError, match="hidden is 160, the latency table to resume started with 128"
    ):
        measure_latency_table(resumed.replace(architecture="4-4-160-512"), CONFIG)
    before = FakeGauge.count
    assert measure_latency_table(resumed, CONFIG)["architectures"] == 40
    assert FakeGauge.count == before + 1 + 33


def test_a_length_that_the_space_does_not_take_is_refused_at_once(paths, tmp_path):
    with pytest.raises(InputError, match="^length is 513, .* takes at most 512"):
        measure_latency_table(paths, CONFIG.replace(length=513))
    assert not (tmp_path / "out").exists()


def test_a_space_that_leaves_too_few_to_fit_is_refused_before_anything_is_timed(paths, tmp_path):
    small = {"depths": [1, 2], "hiddens": [32, 64], "intermediates": [32, 64], "heads": [1]}
    (tmp_path / "space.json").write_text(json.dumps(small))
    with pytest.raises(InputError, match="held_out is 12, allowed is at most 3 for a space of 8"):
        measure_latency_table(paths, CONFIG)
    (tmp_path / "space.json").write_text(json.dumps({**small, "depths": [1], "heads": [2]}))
    with pytest.raises(InputError, match="the space has 4 architectures, allowed are at least 5"):
        measure_latency_table(paths, CONFIG)
    assert FakeGauge.count == 0
    assert not (tmp_path / "out").exists()


def test_search_spaces_are_measured_too(tmp_path):
    space = {"depths": [2, 4], "heads": [2], "hiddens": [8, 16], "intermediates": [8]}
    (tmp_path / "space.json").write_text(json.dumps(space))
    grid = open_grid(LatencyTablePaths(output_dir="o", search_space=str(tmp_path / "space.json")))
    assert len(grid) == 4
