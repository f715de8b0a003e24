"""Tests of sampling: the sandwich, equality over ranks, seeds, micro-batches."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.sampling import SamplingConfig, part_share, sampled
from bort.super_network.space import SPACES, SubNetworkSpace

BASE = Architecture(12, 12, 768, 3072, vocabulary_size=30522, token_types=2)
SPACE = SPACES["autotinybert_mlm"]
SANDWICH = SamplingConfig()
UNIFORM = SamplingConfig(sampling="uniform", random_samples=3)


def sequence(config, *, seed, steps=40, micros=(0,)):
    return [
        sampled(SPACE, BASE, config, seed=seed, step=step, micro=micro)
        for step in range(steps)
        for micro in micros
    ]


@pytest.mark.parametrize("count", [0, 2, 5])
def test_every_step_of_a_sandwich_has_the_largest_the_smallest_and_random_ones(count):
    for drawn in sequence(SamplingConfig(random_samples=count), seed=1):
        assert drawn[:2] == (SPACE.maximum(BASE), SPACE.minimum(BASE))
        assert len(drawn) == count + 2
        assert all(SPACE.holds(one, BASE) for one in drawn)


def test_uniform_steps_have_random_ones_alone():
    steps = sequence(UNIFORM, seed=1)
    assert all(len(drawn) == 3 for drawn in steps)
    assert len({one for drawn in steps for one in drawn}) == 3 * len(steps)
    assert SPACE.maximum(BASE) not in {one for drawn in steps for one in drawn}


@pytest.mark.parametrize("sampling", ["uniform", "sandwich"])
def test_random_ones_lie_in_a_band_of_multiply_adds(sampling):
    config = SamplingConfig(sampling, random_samples=2, least_part=0.25, most_part=0.3)
    drawn = [one for step in sequence(config, seed=1) for one in step[-2:]]
    assert all(0.25 <= part_share(one, BASE) <= 0.3 for one in drawn)
    assert len(set(drawn)) == len(drawn)


def test_without_a_sub_network_in_the_band_the_nearest_one_learns():
    space = SubNetworkSpace((3, 6), (384,), (1536,), (12,))
    whole = Architecture(6, 12, 384, 1536)
    config = SamplingConfig("uniform", random_samples=1, least_part=0.7, most_part=0.8)
    assert sampled(space, whole, config, seed=0, step=0) == (space.minimum(whole),)


def test_a_band_is_in_order():
    with pytest.raises(InputError, match="least_part is 0.5, allowed is at most"):
        SamplingConfig(least_part=0.5, most_part=0.4)


def test_uniform_needs_a_random_one():
    with pytest.raises(InputError, match="random_samples is 0, allowed is at least 1"):
        SamplingConfig(sampling="uniform", random_samples=0)


@pytest.mark.parametrize("config", [SANDWICH, UNIFORM])
def test_the_seed_and_the_step_change_the_draws(config):
    first, again, other = (sequence(config, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert all(one[-1] != two[-1] for one, two in zip(first, other))
    assert len({drawn[-1] for drawn in first}) == len(first)


def test_a_step_does_not_depend_on_earlier_ones():
    assert sampled(SPACE, BASE, SANDWICH, seed=3, step=17) == sequence(SANDWICH, seed=3)[17]


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_all_seeds_of_a_configuration_are_allowed(seed):
    assert len(sampled(SPACE, BASE, SANDWICH, seed=seed, step=10**9)) == 4


def test_micro_batches_share_a_draw_unless_new_ones_are_asked_for():
    shared = sequence(SANDWICH, seed=5, steps=10, micros=(0, 1, 2))
    assert all(len(set(shared[n : n + 3])) == 1 for n in range(0, len(shared), 3))
    anew = SANDWICH.replace(new_samples_per_micro_batch=True)
    drawn = sequence(anew, seed=5, steps=10, micros=(0, 1, 2))
    assert drawn[::3] == shared[::3]
    assert len({one[2:] for one in drawn}) == len(drawn)
    assert all(one[:2] == (SPACE.maximum(BASE), SPACE.minimum(BASE)) for one in drawn)


HASH_OF_THE_SEQUENCE = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from tests_sampling import SANDWICH, sequence
print(hashlib.sha256(repr(sequence(SANDWICH, seed=int(sys.argv[2]))).encode()).hexdigest())
"""


def test_two_processes_draw_the_same_sequence(tmp_path):
    (tmp_path / "tests_sampling.py").write_text(Path(__file__).read_text(encoding="utf-8"))
    here = hashlib.sha256(repr(sequence(SANDWICH, seed=4)).encode()).hexdigest()
    found = [
        subprocess.run(
            [sys.executable, "-c", HASH_OF_THE_SEQUENCE, str(tmp_path), str(seed)],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in (4, 5)
    ]
    assert found[0] == here != found[1]


def test_draws_of_successive_steps_are_uniform():
    """20 000 draws over steps; chi-square of the depth has 7 degrees of freedom, p > 1e-6."""
    config = SamplingConfig(sampling="uniform", random_samples=4)
    depths = [one.depth for drawn in sequence(config, seed=9, steps=5000) for one in drawn]
    counts = np.bincount(depths, minlength=9)[1:]
    statistic = float(((counts - 2500.0) ** 2 / 2500.0).sum())
    assert statistic < 40.5  # scipy.stats.chi2.isf(1e-6, 7)
