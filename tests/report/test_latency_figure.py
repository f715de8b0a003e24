"""Test of the figure of predicted and measured inference times."""

from __future__ import annotations

import pytest

from bort.architecture import Architecture
from bort.report.latency_figure import draw_latencies
from bort.search.latency_predictor import LatencyPredictor
from tests.search.latency_samples import CONDITIONS, TRUE


@pytest.mark.parametrize("held_out", [{}, {Architecture(2, 2, 64, 128): 0.002}])
def test_the_figure_is_a_png(tmp_path, held_out):
    fitted = {Architecture(1, 2, 64, 128): 0.001, Architecture(4, 2, 64, 256): 0.004}
    predictor = LatencyPredictor(CONDITIONS, TRUE)
    draw_latencies(tmp_path / "latency.png", predictor, fitted, held_out, "e 1 fp32, 1 thread")
    assert (tmp_path / "latency.png").read_bytes().startswith(b"\x89PNG")
