"""The numbers of the super-network's benchmark, from made-up results with a known answer."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks import super_network_tables
from benchmarks.distilled_students import RANDOM, StudentsConfig
from benchmarks.student_space import chosen, parameters, space
from benchmarks.super_network_arms import ARMS, SANDWICH, UNIFORM

ARCHITECTURES = [one for band in chosen(space()) for one in band]


@dataclasses.dataclass
class MadeUp:
    """Students whose loss alone falls with the number of parameters."""

    config: StudentsConfig = StudentsConfig(seeds=2)

    def architectures(self):
        return ARCHITECTURES

    def teacher_losses(self):
        return [1.0, 1.0]

    def found(self, start, architectures):
        if start != RANDOM:
            return {}
        return {
            (one, seed): {"steps": [300, 600], "mlm_loss": [5.0, loss(one)]}
            for one in architectures
            for seed in range(self.config.seeds)
        }

    def found_short(self, architecture):
        return [-loss(architecture)] * 2


def loss(architecture):
    return 4.0 - parameters(architecture) / 1e9


def arm(shift):
    return {
        "steps": 600,
        "processor_seconds": 10.0,
        "losses": {str(one): loss(one) + shift for one in ARCHITECTURES},
        "first_losses": {str(one): 6.0 for one in ARCHITECTURES},
        "largest": 2.0,
        "smallest": 4.0,
    }


@pytest.fixture
def results(monkeypatch):
    found = {name: {} for name in ARMS}
    found[SANDWICH] = {0: arm(0.1), 1: arm(0.1)}
    found[UNIFORM] = {0: arm(0.3), 1: arm(0.3)}
    monkeypatch.setattr(super_network_tables, "found_arms", lambda students: found)
    return super_network_tables.report(MadeUp())


def test_sub_networks_are_compared_with_the_same_architecture_alone(results):
    against = results["against_alone"]
    assert against["mean_gain"] == pytest.approx(-0.1)
    assert (against["pairs"], against["pairs_better"]) == (24, 0)
    row = against["by_architecture"][str(ARCHITECTURES[0])]
    final = loss(ARCHITECTURES[0])
    expected = 0.5 + 0.5 * (5.0 - final - 0.1) / (5.0 - final)
    assert row["share_of_steps_alone"] == pytest.approx([expected] * 2)


def test_rankings_are_correlated_with_that_of_the_loss_alone(results):
    found = results["rankings"]["correlations"]
    assert found["parameters"]["spearman"]["value"] == pytest.approx(1.0)
    assert found[SANDWICH]["kendall"]["value"] == pytest.approx(1.0)
    assert found["error after 3 steps"]["spearman"]["value"] == pytest.approx(-1.0)
    assert results["rankings_from_teacher"] == {}


def test_samplings_are_compared_by_pairs(results):
    test = results["sampling"]["sandwich_against"][UNIFORM]
    assert test["mean_gain"] == pytest.approx(0.2)
    assert test["pairs_better"] == test["pairs"] == 24
    assert test["p_value_holm"] < 1e-4


def test_the_table_shows_every_architecture(results):
    shown = super_network_tables.table(results)
    assert all(f"`{one}`" in shown for one in ARCHITECTURES)
