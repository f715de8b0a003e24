"""Learning curves: where they cross a level, their mean, and their figure."""

from __future__ import annotations

import pytest

from bort.report.learning_curves import Curve, draw_learning_curves, first_reaching, mean_curve


def curve(*values):
    steps = tuple(float(10 * n) for n in range(1, len(values) + 1))
    return Curve(steps, tuple(s / 2 for s in steps), {"accuracy": values})


@pytest.mark.parametrize(
    ("goal", "expected"), [(0.1, 10.0), (0.2, 10.0), (0.3, 15.0), (0.5, 30.0), (0.6, None)]
)
def test_first_reaching_interpolates(goal, expected):
    reached = first_reaching((10, 20, 30), (0.2, 0.4, 0.5), goal)
    assert reached == (None if expected is None else pytest.approx(expected))


def test_first_reaching_takes_the_first_crossing_of_a_curve_that_falls_again():
    assert first_reaching((10, 20, 30), (0.2, 0.4, 0.1), 0.3) == pytest.approx(15)


def test_mean_of_seeds():
    mean = mean_curve([curve(0.2, 0.4), curve(0.4, 0.8)])
    assert mean.values["accuracy"] == pytest.approx((0.3, 0.6))
    assert mean.steps == (10.0, 20.0)


def test_a_figure_is_a_png(tmp_path):
    path = tmp_path / "curves.png"
    draw_learning_curves(
        path,
        {"one": [curve(0.2, 0.4), curve(0.3, 0.5)], "other": [curve(0.1, 0.2)]},
        {"accuracy": "accuracy"},
        levels={"teacher": {"accuracy": 0.6}},
    )
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert path.stat().st_size > 10_000
