"""Tests of the settings: the defaults follow the paper, and bad values are named."""

from __future__ import annotations

import argparse
import json

import pytest

from bort.agora.config import AgoraConfig, AgoraPaths, AgoraSets, make_sets
from bort.agora.hyperparameters import PAPER_SETS, HyperparameterSet, grid
from bort.errors import InputError


def test_the_defaults_are_the_papers_or_the_measured_ones_and_economies_are_off():
    config = AgoraConfig()
    assert (config.extent, config.direction) == ("prefix", "worst_first")
    assert (config.sources, config.points_per_source) == ("dev", 4), "the paper: mistakes"
    assert not config.is_economical
    assert AgoraConfig(halving=3).is_economical
    assert AgoraConfig(warm_start=True).is_economical
    assert make_sets(AgoraSets()) == PAPER_SETS


def test_going_on_with_a_weak_socrates_is_no_setting_that_changes_results():
    allowed = AgoraConfig(allow_weak_socrates=True).results_settings()
    assert allowed == AgoraConfig().results_settings()
    assert "seed" in allowed


def test_flags_are_made_from_all_settings_without_clashes():
    parser = argparse.ArgumentParser()
    for kind in (AgoraConfig, AgoraSets, AgoraPaths):
        kind.add_flags(parser)
    given = "--task RTE --timaeus t --socrates s --output_dir o --taus deletion part_swap --lrs 0.1"
    arguments = parser.parse_args(given.split())
    assert AgoraConfig.from_arguments(arguments).taus == ("deletion", "part_swap")
    assert len(make_sets(AgoraSets.from_arguments(arguments))) == 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"direction": "up"}, "direction is 'up', allowed are worst_first, best_first"),
        ({"halving": 1}, "halving is 1, allowed are 0"),
        ({"minimum_distance": 0.8}, "band of edit distance is 0.8 to 0.7"),
        ({"taus": ("magic",)}, "taus is 'magic'"),
    ],
)
def test_a_bad_setting_is_named(change, message):
    with pytest.raises(InputError, match=message):
        AgoraConfig(**change)


def test_sets_come_from_a_file_flags_or_a_former_run(tmp_path):
    path = tmp_path / "chs.json"
    theta = HyperparameterSet(1, 1e-5, 10.0, 0.4)
    path.write_text(json.dumps(theta.as_dict()))
    assert make_sets(AgoraSets(chs=str(path))) == (theta,)
    assert make_sets(AgoraSets(hyperparameters=str(path))) == (theta,)
    flags = AgoraSets(seeds=(9,), lrs=(0.1, 0.2), weight_decays=(0.0,), warmup_ratios=(0.5,))
    assert make_sets(flags) == grid([9], [0.1, 0.2], [0], [0.5])
    few = AgoraSets(economical_sets=6)
    assert len(make_sets(few, seed=1)) == 6
    assert make_sets(few, seed=1) != make_sets(few, seed=2)
    path.write_text(json.dumps([theta.as_dict(), {**theta.as_dict(), "seed": 2}]))
    with pytest.raises(InputError, match="has 2 hyperparameter sets, allowed is one"):
        make_sets(AgoraSets(chs=str(path)))
    with pytest.raises(InputError, match="chs and seeds exclude each other"):
        AgoraSets(chs="a", seeds=(1,), lrs=(0.1,))
