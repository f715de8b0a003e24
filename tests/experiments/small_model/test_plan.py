"""The time of the stages: never negative, inside the hours, equal for the baseline, repeatable."""

from __future__ import annotations

from typing import Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.small_model.plan import (
    COMPARED,
    ESTIMATES,
    RESERVE,
    SHARES,
    STAGES,
    TimePlan,
    make_time_plan,
)

USES = st.fixed_dictionaries({name: st.floats(0.0, 4.0) for name in STAGES})
"""Used seconds as shares of the planned ones: early ends and overruns."""

EARLY = st.fixed_dictionaries({name: st.floats(0.0, 1.0) for name in STAGES})


@st.composite
def plans(draw: st.DrawFn, **fixed: bool) -> TimePlan:
    names = ("trains_teacher", "with_baseline", "with_agora")
    chosen = {name: fixed.get(name, draw(st.booleans())) for name in names}
    seconds = draw(st.floats(10.0, 1e6))
    shares = draw(st.fixed_dictionaries({name: st.floats(0.0, 0.08) for name in ESTIMATES}))
    estimates = {name: share * seconds for name, share in shares.items()}
    preparation = draw(st.floats(0.0, 0.5)) * seconds
    return make_time_plan(seconds, estimates=estimates, preparation=preparation, **chosen)


def run(plan: TimePlan, uses: Dict[str, float]) -> Dict[str, float]:
    """The seconds of all stages, each of which uses a share of its planned ones."""
    used: Dict[str, float] = {}
    for name in plan.stages:
        used[name] = uses[name] * plan.seconds_for(name, used)
    return used


def test_the_shares_and_the_reserve_are_all_of_the_time() -> None:
    assert sum(SHARES.values()) + RESERVE == pytest.approx(1)
    assert SHARES["truncated"] == pytest.approx(SHARES["super_network"] + SHARES["student"])
    assert SHARES.keys() | ESTIMATES.keys() == set(STAGES)


def test_without_estimates_each_stage_has_its_share() -> None:
    plan = make_time_plan(1000.0, estimates=dict.fromkeys(ESTIMATES, 0.0))
    found = plan.expected({})
    assert {name: found[name] for name in SHARES} == pytest.approx(
        {name: 1000 * share for name, share in SHARES.items()}
    )
    assert sum(found.values()) == pytest.approx(1000 * (1 - RESERVE))


@given(plans(), USES)
def test_no_stage_has_less_than_no_time(plan: TimePlan, uses: Dict[str, float]) -> None:
    used: Dict[str, float] = {}
    for name in plan.stages:
        planned = plan.seconds_for(name, used)
        assert planned >= 0
        used[name] = uses[name] * planned


@given(plans(), EARLY)
def test_stages_that_keep_their_time_end_inside_the_hours(
    plan: TimePlan, uses: Dict[str, float]
) -> None:
    assert sum(run(plan, uses).values()) <= plan.seconds * (1 - RESERVE) * (1 + 1e-9)


@given(plans(), USES, st.sampled_from(STAGES))
def test_after_an_overrun_the_others_share_what_is_left(
    plan: TimePlan, uses: Dict[str, float], late: str
) -> None:
    uses = {name: uses[name] if name == late else 1.0 for name in STAGES}
    used = run(plan, uses)
    after = plan.stages[plan.stages.index(late) + 1 :] if late in plan.stages else ()
    spent = sum(value for name, value in used.items() if name not in after)
    estimated = sum(plan.estimates.get(name, 0.0) for name in after)
    left = max(0.0, plan.seconds * (1 - RESERVE) - spent)
    clocked = sum(used[name] for name in after if name not in plan.estimates)
    assert clocked <= max(0.0, left - estimated) + 1e-6 * plan.seconds


@given(plans(with_baseline=True), EARLY)
def test_the_baseline_has_the_seconds_of_the_small_model(
    plan: TimePlan, uses: Dict[str, float]
) -> None:
    used = run(plan, uses)
    before = {name: used[name] for name in plan.stages[: plan.stages.index("truncated")]}
    expected = sum(used[name] for name in COMPARED)
    assert plan.seconds_for("truncated", before) == pytest.approx(expected, abs=1e-6 * plan.seconds)


@given(plans(with_baseline=True, with_agora=True), st.floats(1.0, 3.0))
def test_a_long_search_is_repaid_to_the_baseline(plan: TimePlan, factor: float) -> None:
    uses = {**dict.fromkeys(STAGES, 1.0), "search": factor}
    used = run(plan, uses)
    if used["student"] > 0:  # the search did not take the student's time too
        expected = sum(used[name] for name in COMPARED)
        assert used["truncated"] == pytest.approx(expected, abs=1e-6 * plan.seconds)


@given(plans(), st.floats(0.0, 1.0))
def test_an_early_end_gives_its_time_to_the_next(plan: TimePlan, share: float) -> None:
    planned = plan.expected({})
    first, *rest = plan.stages
    found = plan.expected({first: share * planned[first]})
    later = [name for name in rest if name not in plan.estimates]
    given = (1 - share) * planned[first]
    assert sum(found[n] - planned[n] for n in later) == pytest.approx(
        given if later else 0.0, abs=1e-6 * plan.seconds
    )
    assert all(found[name] >= planned[name] - 1e-6 * plan.seconds for name in later)


@given(plans(), USES, st.data())
def test_a_resumed_run_finds_the_same_number(
    plan: TimePlan, uses: Dict[str, float], data: st.DataObject
) -> None:
    used = run(plan, uses)
    stage = data.draw(st.sampled_from(plan.stages))
    before = {name: used[name] for name in plan.stages[: plan.stages.index(stage)]}
    assert plan.seconds_for(stage, used) == plan.seconds_for(stage, before)
    again = TimePlan(plan.seconds, plan.stages, dict(plan.estimates), {}, plan.preparation)
    assert again.seconds_for(stage, dict(reversed(list(used.items())))) == plan.seconds_for(
        stage, used
    )


@pytest.mark.parametrize(
    ("absent", "stage"),
    [
        ({"trains_teacher": False}, "teacher"),
        ({"with_baseline": False}, "truncated"),
        ({"with_agora": False}, "agora"),
    ],
)
def test_a_stage_that_is_not_there_shares_its_time(absent: Dict[str, bool], stage: str) -> None:
    estimates = dict.fromkeys(ESTIMATES, 10.0)
    whole = make_time_plan(3600.0, estimates=estimates).expected({})
    less = make_time_plan(3600.0, estimates=estimates, **absent).expected({})
    assert sum(less.values()) == pytest.approx(sum(whole.values()))
    assert less.get(stage, 10.0) == 10.0
    for name in SHARES.keys() - {stage}:
        assert less[name] > whole[name]


def test_seconds_that_are_left_shrink_with_the_run() -> None:
    plan = make_time_plan(1000.0)
    all_of_it = plan.seconds_left({})
    assert all_of_it == pytest.approx(950)
    used = {"teacher": plan.seconds_for("teacher", {})}
    assert plan.seconds_left(used) == pytest.approx(all_of_it - used["teacher"])
    assert plan.seconds_left(used, "latency", 5.0) == pytest.approx(all_of_it - used["teacher"] - 5)
    late = plan.seconds_left(used, "latency", 1e6)
    assert late == pytest.approx(all_of_it - used["teacher"] - plan.estimates["latency"])


def test_the_progress_names_stage_time_and_end() -> None:
    plan = make_time_plan(40.0, with_agora=False)
    assert plan.describe("teacher", {}, 2.0) == "stage 1 of 8 teacher, 2 s of 40, 36.0 s left"


def test_what_epochs_do_not_need_goes_to_the_later_stages() -> None:
    plan = make_time_plan(7200.0, ends={"teacher": 60.0, "student": 9e9, "latency": 1.0})
    whole, found = make_time_plan(7200.0).expected({}), plan.expected({})
    assert found["teacher"] == 60.0
    assert sum(found.values()) == pytest.approx(sum(whole.values()))
    assert all(found[name] > whole[name] for name in SHARES if name != "teacher")
    assert found["latency"] == whole["latency"], "no training"
    assert plan.seconds_for("teacher", {}) == whole["teacher"], "a slow machine needs more"
    used = {"teacher": 70.0}
    assert plan.planned(used) == {**plan.expected(used), "teacher": 60.0}
    assert plan.seconds_left({}) == pytest.approx(sum(found.values()))
    lines = [line.split() for line in plan.table().splitlines()]
    assert lines[1] == ["teacher", "1", "min", "0", "s", "its", "epochs"]
    assert lines[3][-2:] == lines[5][-2:] == ["the", "clock"]


@pytest.mark.parametrize("with_baseline", [True, False])
def test_the_time_before_the_first_step_of_the_super_network_is_a_cost_of_all(
    with_baseline: bool,
) -> None:
    def expected(preparation: float) -> Dict[str, float]:
        plan = make_time_plan(7200.0, with_baseline=with_baseline, preparation=preparation)
        return plan.expected({})

    without, found = expected(0.0), expected(600.0)
    assert sum(found.values()) == pytest.approx(sum(without.values()))
    trained = {**found, "super_network": found["super_network"] - 600}
    ratios = [trained[n] / without[n] for n in ("teacher", "super_network", "student", "agora")]
    assert ratios == pytest.approx([ratios[0]] * 4)
    assert 0.6 < ratios[0] < 0.95
    if with_baseline:
        assert found["truncated"] == pytest.approx(sum(found[name] for name in COMPARED))


def test_a_preparation_of_any_length_leaves_half_of_the_time() -> None:
    found = make_time_plan(1000.0, with_baseline=False, preparation=1e9).expected({})
    assert sum(found.values()) == pytest.approx(950)
    assert found["student"] > 80


def test_the_table_has_a_line_for_each_stage_and_the_reserve() -> None:
    lines = make_time_plan(7200.0).table().splitlines()
    assert [line.split()[0] for line in lines] == ["stage", *STAGES, "reserve"]
    assert lines[1].endswith("the clock")
    assert lines[2].endswith("estimate")
    assert "6 min 0 s" in lines[-1]
