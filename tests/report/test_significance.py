"""Significance tests: exact on few seeds, valid under the null hypothesis, Holm's correction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.report.significance import holm, sign_flip_p_value


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_it_is_the_share_of_sign_choices_that_do_as_well(differences):
    flips = itertools.product((-1, 1), repeat=len(differences))
    sums = [sum(s * d for s, d in zip(signs, differences)) for signs in flips]
    share = sum(one >= sum(differences) for one in sums) / len(sums)
    assert sign_flip_p_value(differences) == pytest.approx(share)


def test_it_is_one_sided():
    assert sign_flip_p_value([0.1] * 8) == pytest.approx(1 / 256)
    assert sign_flip_p_value([-0.1] * 8) == pytest.approx(1.0)


def test_chance_is_rarely_called_a_gain():
    generator = np.random.default_rng(3)
    p_values = [sign_flip_p_value(generator.normal(size=8)) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("differences", [[], [0.1], [0.1, float("nan")]])
def test_too_few_or_not_finite_is_refused(differences):
    with pytest.raises(InputError, match="differences|not finite"):
        sign_flip_p_value(differences)


def test_holm_keeps_the_order_and_never_helps():
    raw = [0.04, 0.001, 0.3, 0.02]
    adjusted = holm(raw)
    assert adjusted == pytest.approx([0.08, 0.004, 0.3, 0.06])
    assert all(after >= before for after, before in zip(adjusted, raw))
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
