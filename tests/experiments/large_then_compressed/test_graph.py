"""The stages of the experiment: what a changed setting repeats, and the order."""

from __future__ import annotations

from typing import Dict, Set

import pytest

from bort.stages.plan import plan_of
from experiments.large_then_compressed.graph import make_stages
from tests.experiments.large_then_compressed.samples import tiny


def descriptions(**changes: object) -> Dict[str, str]:
    """Return everything that each stage's key depends on but the results of its inputs."""
    planned = plan_of(make_stages(tiny(**changes)))
    return {one.name: repr((one.kind, one.version, one.settings)) for one in planned}


def changed(**changes: object) -> Set[str]:
    """Return the kinds of the stages whose own settings a change concerns."""
    before, after = descriptions(), descriptions(**changes)
    kinds = {one.name: one.kind for one in make_stages(tiny(**changes))}
    return {kinds[name] for name in after if before.get(name) != after[name]}


@pytest.mark.parametrize(
    ("changes", "concerned"),
    [
        ({"ckpt_interval": 1}, set()),
        ({"processes": 7}, set()),
        ({"gpu": True}, set()),
        ({"lr": 0.5}, {"pretrain"}),
        ({"finetune_lr": 0.5}, {"finetune"}),
        ({"super_network_steps": 5}, {"teach-slices"}),
        ({"engine": "openvino"}, {"export", "latency"}),
        ({"latency_repeats": 4}, {"latency"}),
        ({"report_size": 17}, {"task"}),
        ({"documents": 301}, {"text"}),
    ],
)
def test_a_change_concerns_its_own_stages(changes: Dict[str, object], concerned: Set[str]) -> None:
    assert changed(**changes) == concerned


def test_another_seed_adds_stages_and_changes_none_of_a_run() -> None:
    before, after = descriptions(), descriptions(seeds=3)
    new = set(after) - set(before)
    assert all("seed2" in name for name in new)
    assert {name for name in before if before[name] != after[name]} == {"findings"}


def test_two_processes_train_different_sizes_of_a_seed_side_by_side() -> None:
    names = [one.name for one in make_stages(tiny()) if one.kind == "pretrain"]
    assert names[:4] == [
        "pretrain-1-2-32-64-seed0-part1",
        "pretrain-2-2-32-64-seed0-part1",
        "pretrain-1-2-32-64-seed1-part1",
        "pretrain-2-2-32-64-seed1-part1",
    ]


def test_a_part_goes_on_from_the_part_before() -> None:
    stages = {one.name: one for one in make_stages(tiny())}
    second = stages["pretrain-2-2-32-64-seed1-part2"]
    assert second.inputs["before"].name == "pretrain-2-2-32-64-seed1-part1"
    assert "before" not in stages["pretrain-2-2-32-64-seed1-part1"].inputs
    assert set(stages["latency"].inputs) == {
        f"{way}-seed{seed}"
        for way in (
            "trained-1-2-32-64",
            "trained-2-2-32-64",
            "sliced-1-2-32-64",
            "taught-1-2-32-64",
        )
        for seed in (0, 1)
    }
