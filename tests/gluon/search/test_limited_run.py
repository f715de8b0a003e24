"""Tests of a search under a limit in a folder: a super-network, ranks, kills, files, refusals."""

from __future__ import annotations

import dataclasses
import functools
import json

import pytest

from bort.engines.latency import EngineLatency
from bort.errors import InputError
from bort.gluon.search.limited_run import LimitedPlan, known_predictor, run_limited_search
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.gluon.super_network.evaluation import MaskedTokenScorer
from bort.ranks import ALONE
from bort.search.grid import CandidateGrid
from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_sample import sample_latencies
from bort.search.limited_config import LimitConfig, LimitedSearchConfig
from bort.search.limited_strategy import StrategyOptions
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.parts import read_part
from tests.ranks_samples import on_ranks
from tests.search.fake_machine import FakeMachine, flipping, steady, truth
from tests.search.latency_samples import CONDITIONS
from tests.super_network.super_network_samples import SPACE, write_sample
from tests.text.toy import ToyExamples

SCORING = PartEvaluationConfig(batch_size=4)
EXAMPLES = ToyExamples(10)
LENGTH = 16


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("super") / "s")


class Gauge:
    """Latencies by formula; counts what it measures."""

    unit = "s"
    conditions = {"engine": "known 1", "precision": "fp32", "device": "cpu(0)"}
    conditions.update(threads=1, length=LENGTH, batch=1, repeats=5)

    def __init__(self, factor=1.0):
        self.asked, self.factor = [], factor

    def latency(self, architecture):
        self.asked.append(architecture)
        return self.factor * float(architecture.multiply_adds(1, LENGTH)) * 1e-9


class Formula:
    """Predicted latencies by formula, measured in turns with nothing."""

    reference = None

    def predict(self, sizes):
        return predict(sizes)


def predict(sizes):
    depth, _, hidden, intermediate, qkv = sizes.astype(float).T
    return 1e-9 * LENGTH * depth * (4 * hidden * qkv + 2 * hidden * intermediate + 2 * LENGTH * qkv)


class Errors(SubNetworkErrors):
    """Errors of sub-networks; counts the candidates, and may fail at one of them."""

    def __init__(self, source, fails_at=0):
        vocabulary = source.read_vocabulary()
        scorer = MaskedTokenScorer(EXAMPLES, vocabulary, SCORING, source.whole.maximum_length)
        super().__init__(source, scorer)
        self.asked, self._fails_at = [], fails_at

    def error(self, trial):
        self.asked.append(trial.architecture)
        if len(self.asked) == self._fails_at:
            raise KeyboardInterrupt
        return super().error(trial)


def plan_of(source, folder, errors=None, gauge=None, predictor=None, **changes):
    options = {"strategy": "exhaustive", **changes.pop("options", {})}
    limit = changes.pop("limit", LimitConfig(speed_up=2.0, band_least=0.2, band_most=1.6))
    return LimitedPlan(
        LimitedSearchConfig(limit, StrategyOptions(**options), **changes),
        CandidateGrid.of_sub_networks(SPACE, source.whole),
        folder,
        LENGTH,
        errors=errors,
        predictor=predictor or known_predictor(Formula()),
        gauge=gauge or Gauge(),
    )


def machine_of(slowness=steady):
    return FakeMachine(slowness, {**CONDITIONS, "length": LENGTH})


def sample_of(source, machine):
    grid = CandidateGrid.of_sub_networks(SPACE, source.whole)
    return functools.partial(sample_latencies, machine, grid, 12, 0)


def test_the_pick_is_the_best_sub_network_that_keeps_the_limit(source, tmp_path):
    errors = Errors(source)
    result = run_limited_search(plan_of(source, tmp_path, errors), ALONE)
    whole = Gauge().latency(source.whole)
    assert result.limit.most == whole / 2
    fast = [row for row in result.ranking if Gauge().latency(row.architecture) <= whole / 2]
    assert 3 < len(fast) < len(result.ranking)
    assert result.best.architecture == min(fast, key=lambda row: row.error).architecture
    assert result.best.measured_seconds == pytest.approx(Gauge().latency(result.best.architecture))
    assert result.reference.architecture == source.whole
    assert result.reference.error is not None
    assert result.speed_up(result.best) >= 2
    assert len(set(errors.asked)) == len(errors.asked)
    chosen = read_part(str(tmp_path / "best.json"), source.whole, SPACE)
    assert chosen == result.best.architecture
    ranking = json.loads((tmp_path / "ranking.json").read_text())
    assert [row["error"] for row in ranking["ranking"]] == [row.error for row in result.ranking]
    lines = (tmp_path / "ranking.csv").read_text().splitlines()
    assert len(lines) == len(result.ranking) + 1
    assert (tmp_path / "front.png").stat().st_size > 10_000


def test_a_killed_search_resumes_measures_nothing_twice_and_ends_alike(source, tmp_path):
    options = {"strategy": "evolved", "generations": 3, "generation_size": 5}
    whole_errors = Errors(source)
    whole = run_limited_search(
        plan_of(source, tmp_path / "whole", whole_errors, options=options), ALONE
    )
    killed = Errors(source, fails_at=7)
    gauge = Gauge()
    with pytest.raises(KeyboardInterrupt):
        run_limited_search(plan_of(source, tmp_path / "k", killed, gauge, options=options), ALONE)
    again = Errors(source)
    plan = plan_of(source, tmp_path / "k", again, gauge, options=options)
    resumed = run_limited_search(plan, ALONE, resume=True)
    assert resumed == whole
    assert sorted(killed.asked[:-1] + again.asked) == sorted(whole_errors.asked)
    assert len(set(gauge.asked)) == len(gauge.asked)
    with pytest.raises(InputError, match="already holds a search"):
        run_limited_search(plan, ALONE)
    more = plan_of(source, tmp_path / "k", again, options={**options, "generations": 4})
    with pytest.raises(InputError, match="generations is 4, the search to resume started with 3"):
        run_limited_search(more, ALONE, resume=True)


def test_ranks_share_the_candidates_and_find_the_same(source, tmp_path):
    alone = run_limited_search(plan_of(source, tmp_path / "one", Errors(source)), ALONE)
    errors = [Errors(source) for _ in range(2)]
    results = on_ranks(
        2,
        lambda ranks: run_limited_search(
            plan_of(source, tmp_path / "two", errors[ranks.rank]), ranks
        ),
    )
    assert results == [alone, alone]
    asked = errors[0].asked + errors[1].asked
    assert len(set(asked)) == len(asked)
    assert all(one.asked for one in errors)


def test_a_stop_before_a_candidate_ends_without_a_result(source, tmp_path):
    plan = plan_of(source, tmp_path, Errors(source))
    assert run_limited_search(plan, ALONE, stop_requested=lambda: True) is None
    assert not (tmp_path / "ranking.json").exists()


def test_without_a_pick_the_nearest_is_told_and_there_is_no_best_file(source, tmp_path):
    class Slow(Gauge):
        def latency(self, architecture):
            return super().latency(architecture) if architecture == source.whole else 1.0

    plan = plan_of(source, tmp_path, Errors(source), Slow(), checks=2)
    result = run_limited_search(plan, ALONE)
    assert result.best is None
    assert result.nearest.measured_seconds == 1.0
    assert not (tmp_path / "best.json").exists()
    assert json.loads((tmp_path / "ranking.json").read_text())["nearest"] is not None


def test_a_candidate_that_is_slow_once_is_not_refused(source, tmp_path):
    class SlowAtFirst(Gauge):
        def latency(self, architecture):
            first = architecture not in self.asked and architecture != source.whole
            return super().latency(architecture) * (1.2 if first else 1.0)

    def found(name, gauge, speed_up):
        limit = LimitConfig(speed_up=speed_up, band_least=0.2, band_most=1.6)
        plan = plan_of(source, tmp_path / name, Errors(source), gauge, limit=limit)
        return run_limited_search(plan, ALONE)

    steady, gauge = found("steady", Gauge(), 2.0), SlowAtFirst()
    # The pick takes 1 / 1.1 of the second limit, and more than it once.
    tighter = Gauge().latency(source.whole) / steady.best.measured_seconds / 1.1
    best = found("slow", gauge, tighter).best
    assert best == dataclasses.replace(steady.best, on_front=best.on_front)
    assert gauge.asked.count(best.architecture) == 3


def test_speed_ups_are_exact_on_a_machine_whose_speed_flips_by_three(source, tmp_path):
    space, served = machine_of(flipping(seed=1)), machine_of(flipping(seed=2))
    limit = LimitConfig(speed_up=1.6, band_least=0.2, band_most=1.6)
    plan = plan_of(source, tmp_path, Errors(source), served, sample_of(source, space), limit=limit)
    result = run_limited_search(plan, ALONE)
    assert result.speed_up(result.best) >= 1.6
    timed = [row for row in result.ranking if row.measured_seconds is not None]
    assert result.best in timed
    for row in timed:
        known = truth(source.whole) / truth(row.architecture)
        assert result.speed_up(row) == pytest.approx(known, rel=0.02)
    predicted = [result.reference.seconds / row.predicted_seconds for row in result.ranking]
    known = [truth(source.whole) / truth(row.architecture) for row in result.ranking]
    assert predicted == pytest.approx(known, rel=0.02)
    conditions = json.loads((tmp_path / "ranking.json").read_text())["latency_conditions"]
    assert conditions["beside"] == str(source.whole)
    assert conditions["beside_seconds"] == result.reference.measured_seconds


def test_the_reference_is_timed_in_every_search_and_is_no_constant(source, tmp_path):
    found = []
    for slowness in (1.0, 3.0):
        machine = machine_of(lambda machine, one, factor=slowness: factor)
        folder = tmp_path / str(slowness)
        plan = plan_of(source, folder, Errors(source), machine, sample_of(source, machine))
        found.append(run_limited_search(plan, ALONE))
        assert machine.ran.count(source.whole) > 50
    seconds = [result.reference.measured_seconds for result in found]
    assert seconds == [pytest.approx(truth(source.whole)), pytest.approx(3 * truth(source.whole))]
    assert found[0].best.architecture == found[1].best.architecture


def test_a_table_of_another_reference_times_the_teacher_too(source, tmp_path):
    machine = machine_of(flipping(seed=4))
    plan = plan_of(source, tmp_path / "first", Errors(source), machine, sample_of(source, machine))
    run_limited_search(plan, ALONE)
    table = LatencyPredictor.read(tmp_path / "first" / "predictor.json")
    teacher = source.whole.replace(depth=source.whole.depth + 2)
    served = machine_of(flipping(seed=5))
    plan = plan_of(source, tmp_path / "second", Errors(source), served, known_predictor(table))
    result = run_limited_search(dataclasses.replace(plan, reference=teacher), ALONE)
    assert teacher in served.opened
    known = truth(teacher) / truth(source.whole)
    assert result.reference.measured_seconds / table.reference.seconds == pytest.approx(known, 0.02)
    known = truth(teacher) / truth(result.best.architecture)
    assert result.speed_up(result.best) == pytest.approx(known, rel=0.02)


def test_a_limit_of_the_parameters_times_nothing(source, tmp_path):
    gauge, limit = Gauge(), LimitConfig(parameters=30_000, band_least=0.0)
    result = run_limited_search(
        plan_of(source, tmp_path, Errors(source), gauge, limit=limit), ALONE
    )
    assert result.best.predicted_seconds > 0
    assert gauge.asked == []


def test_the_prior_measures_no_error(source, tmp_path):
    plan = plan_of(source, tmp_path, None, options={"strategy": "prior"})
    with pytest.raises(InputError, match="speed_up is 2.0, which needs a teacher"):
        run_limited_search(plan, ALONE)


def test_a_real_engine_measures_the_pick(source, tmp_path):
    gauge = EngineLatency(engine="mxnet", threads=1, length=LENGTH, repeats=2)
    limit = LimitConfig(latency_ms=1e5)
    plan = plan_of(source, tmp_path, Errors(source), gauge, limit=limit)
    result = run_limited_search(plan, ALONE)
    assert 0 < result.best.measured_seconds < 100
