"""The comparison of search methods, on a made-up ground where the best architecture is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks import search_ground
from benchmarks.search_arms import METHODS, RANDOM, Methods, MethodsConfig
from benchmarks.search_ground import Costs, Rate, halves, measure_rate
from benchmarks.search_picture import draw_methods
from benchmarks.search_tables import against_random, hyper_volume, orders, report, table
from benchmarks.stored import Basis, Stored
from bort.architecture import Architecture
from bort.network.from_teacher import OrderedNetwork
from bort.network.random_network import random_network
from bort.super_network.parts import part_name
from bort.super_network.space import SubNetworkSpace
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
WHOLE = Architecture(4, 4, 64, 128, vocabulary_size=len(VOCABULARY), maximum_length=16)


class MadeUp:
    """A ground whose trained errors fall with the depth, and whose searches see the same."""

    measure = "error"
    whole = WHOLE
    length = 16
    space = SubNetworkSpace((1, 2, 3, 4), (32, 48, 64), (64, 96, 128), heads=(1, 2, 4))

    vocabulary = VOCABULARY

    def __init__(self) -> None:
        self.trained = []

    def basis(self, seed):
        return Basis({"seed": seed})

    def ordered(self, seed):
        return OrderedNetwork(random_network(WHOLE, seed, decoder=True), (0, 1, 2, 3))

    def start(self, architecture, seed):
        return random_network(architecture, seed, decoder=True)

    def train(self, network, seed, steps, on_step):
        self.trained.append((network.architecture, steps))
        for _ in range(steps):
            on_step()
        return network

    def train_super_network(self, seed, steps, on_step):
        return self.train(self.ordered(seed).network, seed, steps, on_step)

    def search_error(self, network, seed):
        return 1.0 / network.architecture.depth

    def report(self, network, seed):
        return {"error": 1.0 / network.architecture.depth, "accuracy": 0.5}

    def teacher_report(self, seed):
        return {"error": 0.25}

    def unit(self, seed):
        return 1.0

    def few_step_error(self, architecture, seed):
        return float(architecture.depth)  # misleads the scheme


@pytest.fixture
def methods_with(tmp_path, monkeypatch):
    """A function from settings to methods of one folder.

    Their latency is the multiply-adds, and a step takes a second.
    """

    def latency(self, architecture):
        return architecture.multiply_adds(1, 16) * 1e-6

    monkeypatch.setattr(Costs, "latency", latency)
    monkeypatch.setattr(
        Costs, "predicted", lambda self: self.grid.multiply_adds(16).astype(float) * 1e-6
    )
    monkeypatch.setattr(Costs, "_rate", lambda self, name, run: Rate(1.0, 2.0))
    monkeypatch.setattr(
        Costs, "sample_stage", property(lambda self: Basis().stage("latencies", lambda work: {}))
    )
    return lambda **changed: made_up_methods(tmp_path / "store", **changed)


def made_up_methods(folder, **changed):
    usual = {"seconds": 40.0, "speed_ups": (2.0,), "scored": 9, "trainings": 2, "epsilon": 2}
    ground = MadeUp()
    return Methods(MethodsConfig(**{**usual, **changed}), ground, Costs(ground, Stored(folder)))


@pytest.fixture
def methods(methods_with):
    """The methods with the usual settings."""
    return methods_with()


def test_every_method_has_the_same_seconds_and_the_same_limit(methods):
    methods.stored.run([methods.super_network_stage(0)])
    limit = methods.costs.limit(2.0)
    for method in METHODS:
        methods.ground.trained.clear()
        result = methods.run(method, 2.0, 0)
        if method == "one_shot_fast":  # nothing in this space has its ratios
            assert list(result) == ["refused"]
            assert "none of the" in result["refused"]
            continue
        assert result["holds_limit"]
        assert result["measured_seconds"] <= limit.most
        assert result["measured_seconds"] >= 0.8 * limit.most
        pick, steps = methods.ground.trained[-1]
        assert part_name(pick) == result["architecture"]
        # 40 seconds without the little that the search really took: 2 fixed ones, 1 a step.
        assert steps == result["training_steps"] == int(40 - result["searching_seconds"] - 2)
        assert 30 <= steps <= 38
        assert result == methods.run(method, 2.0, 0), "a finished result is read"


def test_one_shot_picks_the_best_slice_and_counts_the_super_network(methods):
    found = methods.run("one_shot_evolved", 2.0, 0)
    assert len(found["errors"]) == 9
    best = min(found["errors"].values())
    within = [name for name, error in found["errors"].items() if error == best]
    assert found["architecture"] in within
    trained = methods.stored.value(methods.super_network_stage(0))
    assert trained["steps"] == 18  # half of 40 seconds, 2 of them fixed
    assert found["searching_seconds"] >= trained["seconds"]


def test_a_changed_setting_repeats_only_the_methods_that_read_it(methods_with):
    changes = {
        "scored": ({"scored": 6}, {"one_shot_random", "one_shot_fast", "one_shot_evolved"}),
        "generations": ({"generations": 2}, {"one_shot_evolved"}),
        "epsilon": ({"epsilon": 3}, {"scheme"}),
        "trainings": ({"trainings": 3}, {RANDOM}),
        "seconds": ({"seconds": 50.0}, set(METHODS)),
        "limits": ({"speed_ups": (2.0, 3.0)}, set()),
    }
    usual = methods_with()
    usual.stored.run([usual.stage(method, 2.0, 0) for method in METHODS])
    for changed, repeated in changes.values():
        other = methods_with(**changed)
        found = other.stored.finished([other.stage(method, 2.0, 0) for method in METHODS])
        assert {name for name, one in zip(METHODS, found) if one is None} == repeated
    other = methods_with(searching_share=0.25)
    steps = [other.stored.value(other.super_network_stage(0))["steps"]]
    found = other.stored.finished([other.stage(method, 2.0, 0) for method in METHODS])
    assert steps == [8]
    assert {name for name, one in zip(METHODS, found) if one is None} == {
        *("one_shot_random", "one_shot_fast", "one_shot_evolved", RANDOM)
    }


def test_nothing_is_trained_again_in_a_later_process(methods_with):
    first = methods_with()
    result = first.run("one_shot_random", 2.0, 0)
    later = methods_with()
    assert later.run("one_shot_random", 2.0, 0) == result
    assert later.ground.trained == []


def test_the_scheme_follows_its_misleading_error_and_random_trains_alone(methods):
    scheme = methods.run("scheme", 2.0, 0)
    assert scheme["errors"][scheme["architecture"]] == min(scheme["errors"].values())
    methods.ground.trained.clear()
    found = methods.run(RANDOM, 2.0, 0)
    assert [steps for _, steps in methods.ground.trained[:2]] == [8, 8]  # 40 · ½ ÷ 2, 2 fixed
    assert len(found["errors"]) == 2


def test_a_pick_that_breaks_the_limit_gives_way_to_the_next(methods, monkeypatch):
    first = methods.run("prior", 2.0, 0)["architecture"]
    slower = methods.costs.grid.architectures(np.arange(len(methods.costs.grid)))
    slow = next(one for one in slower if part_name(one) == first)
    right = Costs.latency

    def latency(self, architecture):
        return 1e3 if architecture == slow else right(self, architecture)

    monkeypatch.setattr(Costs, "latency", latency)
    second = methods.run("prior", 2.0, 1)
    assert second["architecture"] != first
    assert second["holds_limit"]


def test_the_report_has_a_row_for_each_method_and_says_who_does_not_beat_random(methods, tmp_path):
    for method, seed in itertools.product(("prior", RANDOM, "scheme", "hand_made"), (0, 1)):
        methods.run(method, 2.0, seed)
    methods.run("one_shot_fast", 2.0, 0)
    methods.stored.run([methods.proxies_stage(2.0, seed) for seed in (0, 1)])
    results = report(methods, [0, 1])
    assert set(results["limits"]["2"]) == {"prior", RANDOM, "scheme", "hand_made"}
    assert set(results["orders"]["sub-network"]) == {"spearman", "kendall"}
    text = table(results)
    assert "| prior |" in text
    assert "one_shot_fast at speed-up 2: strategy is 'fast', but none of" in text
    assert "scheme against random" in text
    assert "does not beat random" in text
    draw_methods(tmp_path / "methods.png", results)
    assert (tmp_path / "methods.png").read_bytes().startswith(b"\x89PNG")


def test_the_test_is_paired_over_limits_and_seeds():
    keys = list(itertools.product((2.0, 4.0), (0, 1, 2)))
    found = {("prior", *key): {"error": 1.0 + n} for n, key in enumerate(keys)}
    found.update({(RANDOM, *key): {"error": 1.5 + n} for n, key in enumerate(keys)})
    found["scheme", 2.0, 0] = {"error": 0.0}  # one pair alone is not tested
    tests = against_random(found)
    assert set(tests) == {"prior"}
    assert tests["prior"]["pairs"] == tests["prior"]["pairs_better"] == 6
    assert tests["prior"]["mean_gain"] == pytest.approx(0.5)
    assert tests["prior"]["p_value"] == pytest.approx(1 / 64)


def test_orders_are_those_of_each_group():
    group = {"trained": [1.0, 2.0, 3.0], "right": [10, 20, 30], "wrong": [3, 2, 1]}
    found = orders([group, group])
    assert found["right"]["spearman"] == [1.0, 1.0]
    assert found["wrong"]["kendall"] == [-1.0, -1.0]


def test_the_hyper_volume_equals_a_count_of_points():
    generator = np.random.default_rng(0)
    axis = (np.arange(400) + 0.5) / 400
    for _ in range(5):
        points = [tuple(one) for one in generator.random((6, 2)) * 1.3]
        covered = np.zeros((400, 400), dtype=bool)
        for x, y in points:
            covered |= (axis[:, None] >= x) & (axis[None, :] >= y)
        assert hyper_volume(points) == pytest.approx(covered.mean(), abs=0.01)


def test_a_rate_is_that_of_the_later_steps(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(search_ground.time, "process_time", lambda: float(next(clock)))

    def run(steps, on_step):
        next(clock)  # one second before the first step
        for _ in range(steps):
            on_step()

    rate = measure_rate(run)
    assert rate == Rate(1.0, 2.0)
    assert rate.steps_in(10.0) == 8
    assert rate.steps_in(0.5) == 1


def test_the_halves_share_no_example():
    search, held_back = halves(11)
    assert sorted([*search, *held_back]) == list(range(11))
