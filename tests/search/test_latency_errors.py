"""Tests of the errors of latency predictors and of the baselines beside them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from bort.architecture import Architecture
from bort.search.latency_errors import PredictionErrors, compare_predictors, error_table
from bort.search.sizes import sizes_of
from tests.search.latency_samples import CONDITIONS, drawn_sizes, true_seconds


def timed(count, seed):
    found = [
        Architecture(d, a, h, i, 1_000, qkv=q)
        for d, a, h, i, q in drawn_sizes(count, seed).tolist()
    ]
    return dict(zip(found, true_seconds(sizes_of(found)).tolist()))


def test_errors_by_hand_and_by_scipy():
    predicted, measured = np.array([1.1, 1.6, 3.0, 4.4]), np.array([1.0, 2.0, 3.0, 4.0])
    found = PredictionErrors.of(predicted, measured)
    assert found.mean == pytest.approx((0.1 + 0.2 + 0 + 0.1) / 4)
    assert found.percentile_95 == pytest.approx(np.percentile([0.1, 0.2, 0, 0.1], 95))
    assert found.spearman == pytest.approx(spearmanr(predicted, measured)[0])
    assert found.count == 4
    assert PredictionErrors.of(np.array([1.0]), np.array([2.0])).spearman is None


@pytest.fixture(scope="module")
def errors():
    return compare_predictors(timed(120, 0), timed(40, 1), CONDITIONS)


def test_the_predictor_is_exact_where_its_terms_hold(errors):
    assert list(errors) == [
        "predictor",
        "multiply_adds",
        "parameters",
        "autotinybert_features",
    ]
    assert errors["predictor"].mean < 1e-6
    assert errors["predictor"].spearman == 1
    assert {one.count for one in errors.values()} == {40}


def test_baselines_lack_what_they_do_not_see(errors):
    # Parameters know neither the products of the attention nor the depth apart from the widths;
    # multiply-adds know neither heads nor layer norms.
    assert 0.01 < errors["multiply_adds"].mean < errors["parameters"].mean
    assert 0.01 < errors["autotinybert_features"].mean < 0.3
    assert errors["autotinybert_features"].spearman > 0.9


def test_the_network_depends_on_its_rows_alone():
    again = compare_predictors(timed(40, 0), timed(10, 1), CONDITIONS)
    assert compare_predictors(timed(40, 0), timed(10, 1), CONDITIONS) == again


def test_an_undefined_correlation_is_shown_as_a_dash():
    assert "-" in error_table({"parameters": PredictionErrors(0.5, 0.5, None, 1)}).split()
