"""Compare distillation steps with cached answers and with a live teacher.

Three equal students make the same steps in turn: with a live teacher, with a cache of all logits,
and with a cache of the largest logits. A step with cached answers has three times the multiply-adds
of the student's forward pass, since the backward pass counts twice. A live teacher adds its forward
pass. The ratio of the two is the bound of the speed-up, as if student and teacher ran at the
same rate. A second bound takes the rates as they are: the live step over the same step without the
stage of the teacher, as if cached answers cost nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count

LIVE, FULL, TOP = "live", "full", "top_k"


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--student", default="bort_4_8_768_1024")
    parser.add_argument("--teacher", default="roberta_24_1024_16")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--top_k", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8, help="measured steps, after 2 for warm-up")
    parser.add_argument(
        "--folder", help="folder for the caches, which are removed at the end (default: temporary)"
    )
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=parsed.folder) as folder:
        return measure(parsed, Path(folder))


def measure(parsed: argparse.Namespace, folder: Path) -> Dict[str, Any]:
    """Fill both caches, then make each step with all three students."""
    set_thread_count()
    import mxnet as mx

    from benchmarks.synthetic import make_data, make_student, make_teacher, settings
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.gluon.pretraining.trainer import DistillationTrainer
    from bort.gluon.training.flat_trainer import StageClock
    from bort.ranks import SingleProcess

    warm = 2
    config = settings(parsed.batch_size, parsed.length, parsed.predictions, parsed.steps + warm)
    students = {kind: make_student(parsed.student) for kind in (LIVE, FULL, TOP)}
    architecture = students[LIVE].architecture
    teacher = make_teacher(parsed.teacher, architecture)
    size = architecture.vocabulary_size
    data = make_data(config, parsed.length, size, parsed.batch_size * config.num_steps)
    answers, filled = _fill(parsed, folder, config, data, teacher)
    clock = StageClock()
    trainers = {
        kind: DistillationTrainer(
            students[kind], config, SingleProcess(), mx.cpu(), answers[kind], clock
        )
        for kind in students
    }
    plan = plan_batches(data.train, config, 1)
    batches = planned_batches(plan, data, config, SingleProcess(), 1)
    seconds: Dict[str, List[float]] = {kind: [] for kind in trainers}
    losses: Dict[str, List[float]] = {kind: [] for kind in trainers}
    stages: Dict[str, List[Dict[str, float]]] = {kind: [] for kind in trainers}
    for number, micro_batches in enumerate(batches, start=1):
        for kind, trainer in trainers.items():
            mx.nd.waitall()
            clock.seconds.clear()
            began = time.perf_counter()
            step = trainer.step(number, micro_batches)
            mx.nd.waitall()
            if number > warm:
                seconds[kind].append(time.perf_counter() - began)
                stages[kind].append(dict(clock.seconds))
            losses[kind].append(step.loss)
    report = _report(parsed, architecture, teacher.architecture, seconds, losses)
    return {**report, **_by_stage(report["step_seconds"], stages), **filled}


def _by_stage(
    seconds: Dict[str, float], stages: Dict[str, List[Dict[str, float]]]
) -> Dict[str, Any]:
    """Return the median seconds of every stage, and the bound of answers that cost nothing."""
    medians = {
        kind: {stage: statistics.median(step[stage] for step in steps) for stage in steps[0]}
        for kind, steps in stages.items()
    }
    bound = seconds[LIVE] / (seconds[LIVE] - medians[LIVE]["teacher"])
    shares = {
        f"{kind}_share_of_free_answers": seconds[LIVE] / seconds[kind] / bound
        for kind in (FULL, TOP)
    }
    return {"stage_seconds": medians, "free_answers_speed_up": bound, **shares}


def _fill(parsed: argparse.Namespace, folder: Path, config: Any, data: Any, teacher: Any) -> Any:
    """Return the three sources of answers, and the cost of the caches.

    The cache of the largest logits is made from that of all logits.
    """
    from benchmarks.synthetic import RandomVocabulary
    from bort.gluon.teacher.caching import batch_maker, every_row, row_length
    from bort.teacher.cache import CacheKey, TeacherCache, key_fields
    from bort.teacher.filling import fill_cache

    temperature = config.objective.distillation_temperature
    vocabulary = RandomVocabulary(teacher.vocabulary_size)
    answers: Dict[str, Any] = {LIVE: teacher}
    filled: Dict[str, Any] = {}
    for kind, source, top_k in ((FULL, LIVE, 0), (TOP, FULL, parsed.top_k)):
        key = CacheKey.of(
            teacher,
            top_k=top_k,
            temperatures=(temperature,) if top_k else (),
            **key_fields(data.masking, data.train, vocabulary, row_length(data.train)),
        )
        began = time.perf_counter()
        fill_cache(
            folder / kind,
            key,
            every_row(len(data.train), 1),
            batch_maker(data.train, data.masking, key),
            answers[source],
            batch_size=parsed.batch_size,
        )
        cache = TeacherCache.open(folder / kind, temperature=temperature)
        answers[kind] = cache
        filled[f"{kind}_fill_seconds"] = time.perf_counter() - began
        filled[f"{kind}_bytes_per_sequence"] = key.row_type.itemsize
    filled["top_k_deviation"] = answers[TOP].deviation
    return answers, filled


def _report(
    parsed: argparse.Namespace,
    student: Any,
    teacher: Any,
    seconds: Dict[str, List[float]],
    losses: Dict[str, List[float]],
) -> Dict[str, Any]:
    shape = (parsed.batch_size, parsed.length, parsed.predictions)
    cached = 3 * student.multiply_adds(*shape)
    bound = (cached + teacher.multiply_adds(*shape)) / cached
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    report: Dict[str, Any] = {"step_seconds": medians, "bound_speed_up": bound}
    for kind in (FULL, TOP):
        speed_up = medians[LIVE] / medians[kind]
        differences = [abs(a - b) for a, b in zip(losses[LIVE], losses[kind])]
        report[f"{kind}_speed_up"] = speed_up
        report[f"{kind}_share_of_bound"] = speed_up / bound
        report[f"{kind}_largest_loss_difference"] = max(differences)
    report["full_losses_agree_to_1e-4"] = report["full_largest_loss_difference"] <= 1e-4
    report["live_losses"] = losses[LIVE]
    return report


if __name__ == "__main__":
    main()
