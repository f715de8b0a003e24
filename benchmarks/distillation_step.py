"""Measure the stages of a distillation step, compared with the bound of its multiply-adds.

The bound is the time of the multiply-adds at the rate of a large `FullyConnected`, measured in the
same run. The student counts three times its forward pass, the teacher one forward pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from typing import Any, Dict, List

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count
from bort.training.arithmetic import EXACT_MATH, FAST_MATH
from bort.training.objective import FeatureObjective

STUDENT_STAGES = ("student forward", "student backward")


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--student", default="bort_4_8_768_1024")
    parser.add_argument("--teacher", default="roberta_24_1024_16")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--steps", type=int, default=8, help="measured steps, after 2 for warm-up")
    parser.add_argument(
        "--math", choices=(EXACT_MATH, FAST_MATH), default=EXACT_MATH, help="as of a training"
    )
    FeatureObjective.add_flags(parser)
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Measure steps with a wait after each stage, then whole steps without waits."""
    set_thread_count()
    import mxnet as mx

    from benchmarks.multiply_add_bound import measure_rate
    from benchmarks.synthetic import make_data, make_student_and_teacher, settings
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.gluon.pretraining.trainer import DistillationTrainer
    from bort.gluon.teacher.features import GluonFeatureTeacher
    from bort.gluon.training.flat_trainer import StageClock
    from bort.ranks import SingleProcess
    from bort.text.batches import Prefetcher

    warm = 2
    config = settings(
        parsed.batch_size, parsed.length, parsed.predictions, 2 * (parsed.steps + warm)
    )
    features = FeatureObjective.from_arguments(parsed)
    config = dataclasses.replace(config, features=features, math=parsed.math)
    model, teacher = make_student_and_teacher(parsed.student, parsed.teacher)
    both = GluonFeatureTeacher(teacher.network) if features.is_on else None
    size = model.architecture.vocabulary_size
    data = make_data(config, parsed.length, size, 16 * parsed.batch_size)
    clock = _Switch(StageClock())
    trainer = DistillationTrainer(
        model, config, SingleProcess(), mx.cpu(), both or teacher, clock, feature_teacher=both
    )
    plan = plan_batches(data.train, config, 1)
    prefetcher = Prefetcher(planned_batches(plan, data, config, SingleProcess(), 1))
    batches = iter(prefetcher)
    stages: Dict[str, List[float]] = {}
    whole: List[float] = []
    rates: List[float] = [measure_rate()]
    waited = 0.0
    for number in range(1, config.num_steps + 1):
        staged = number <= parsed.steps + warm
        clock.on = staged
        clock.seconds.clear()
        before = prefetcher.waited_seconds
        began = time.perf_counter()
        trainer.step(number, next(batches))
        mx.nd.waitall()
        seconds = time.perf_counter() - began
        if number in (parsed.steps + warm, config.num_steps):
            rates.append(measure_rate())
        if (number - 1) % (parsed.steps + warm) < warm:
            continue
        waited += prefetcher.waited_seconds - before
        if staged:
            for stage, value in clock.seconds.items():
                stages.setdefault(stage, []).append(value)
        else:
            whole.append(seconds)
    prefetcher.close()
    medians = {stage: statistics.median(values) for stage, values in stages.items()}
    return _report(parsed, model, teacher, medians, statistics.median(whole), rates, waited)


def _report(
    parsed: argparse.Namespace,
    model: Any,
    teacher: Any,
    stages: Dict[str, float],
    step: float,
    rates: List[float],
    waited: float,
) -> Dict[str, Any]:
    rate = max(rates)
    shape = (parsed.batch_size, parsed.length, parsed.predictions)
    student_bound = 3 * model.architecture.multiply_adds(*shape) / rate
    teacher_bound = teacher.architecture.multiply_adds(*shape) / rate
    student = sum(stages[name] for name in STUDENT_STAGES)
    total = sum(stages.values())
    return {
        "step_seconds": step,
        "stage_seconds": stages,
        "multiply_adds_per_second": rates,
        "student_bound_seconds": student_bound,
        "student_over_bound": student / student_bound,
        "teacher_bound_seconds": teacher_bound,
        "teacher_over_bound": stages["teacher"] / teacher_bound,
        "share_of_everything_else": (total - student - stages["teacher"]) / total,
        "waited_for_data_seconds": waited,
    }


class _Switch:
    """A stage clock that can be turned off."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.seconds = clock.seconds
        self.on = True

    def start(self) -> None:
        if self.on:
            self._clock.start()

    def mark(self, stage: str) -> None:
        if self.on:
            self._clock.mark(stage)


if __name__ == "__main__":
    main()
