"""The stages of a benchmark that a changed setting repeats."""

from __future__ import annotations

from typing import Sequence, Set

from benchmarks.stored import with_inputs
from bort.stages.plan import Experiment, plan_of
from bort.stages.stage import Stage


def repeated(before: Sequence[Stage], after: Sequence[Stage]) -> Set[str]:
    """Return the names of the stages that run again: those that changed, and what reads them.

    Args:
        before: the stages before the change.
        after: the stages of these names and others; new ones count as changed.
    """
    then = {one.name: one.description({}) for one in plan_of(with_inputs(before))}
    experiment = Experiment("benchmark", plan_of(with_inputs(after)))
    changed = {one.name for one in experiment.stages if then.get(one.name) != one.description({})}
    return {
        one.name
        for one in experiment.stages
        if changed & {each.name for each in experiment.with_ancestors([one.name])}
    }
