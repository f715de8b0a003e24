"""Compare training steps of a task that read a teacher's kept features with steps that ask it.

A student and a super-network learn a task from labels and from the relations of an encoder. Steps
with live and with kept features alternate on the same batches. The pass that computes the features
is timed if `--folder` does not hold them yet. Run it once without a time limit to fill the folder.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count

log = logging.getLogger(__name__)

_SUPER, _STUDENT = "super-network", "student"


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--teacher", required=True, help="folder of an encoder")
    parser.add_argument("--task_name", default="STS-B")
    parser.add_argument("--data_dir", required=True, help="folder of the task's files")
    parser.add_argument("--folder", required=True, help="folder of the kept features")
    parser.add_argument("--student", default="4-8-384-512-256", help="sizes of the student")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--max_len", type=int, default=128)
    parser.add_argument("--batches", type=int, default=6, help="batches, each of another step")
    parser.add_argument("--rounds", type=int, default=4, help="timed passes over the batches")
    parser.add_argument("--kinds", nargs="+", default=[_STUDENT, _SUPER])
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Return the seconds of steps of each kind, live and kept, and their ratios."""
    set_thread_count()
    import mxnet as mx

    from bort.formats.network_folder import read_network_folder, vocabulary_of
    from bort.gluon.finetuning.asking_teacher import ask_task_teacher
    from bort.gluon.finetuning.finetune import plan_inputs
    from bort.gluon.finetuning.task_teacher import EncoderTeacher
    from bort.ranks import ALONE
    from bort.tasks.options import TaskOptions
    from bort.tasks.records import get_task
    from bort.teacher.keeping_features import KeptFeaturesConfig
    from bort.text.batch_plan import own_micro_batches
    from bort.text.labelled import make_labelled_batch
    from bort.text.vocabularies import load_vocabulary
    from bort.training.finetuning_config import FinetuningConfig
    from data.tasks.sets import open_task_data

    vocabulary = load_vocabulary(vocabulary_of(parsed.teacher))
    pairs = read_network_folder(parsed.teacher).description.pair_form(vocabulary)
    record = get_task(parsed.task_name)
    data = open_task_data(
        record, vocabulary, TaskOptions(), parsed.max_len, data_dir=parsed.data_dir, pairs=pairs
    )
    examples = data.train.features
    config = FinetuningConfig(batch_size=parsed.batch_size, optimizer="adamw")
    teacher = EncoderTeacher(parsed.teacher, data, mx.cpu())
    heads = _relation_heads(parsed.student, teacher.architecture)
    config = config.replace(relation_weight=1.0, relation_heads=heads)
    answers, began = {}, time.perf_counter()
    for name, gigabytes in (("live", 0.0), ("kept", 1e3)):
        began = time.perf_counter()
        answers[name] = ask_task_teacher(
            teacher,
            examples,
            Path(parsed.folder),
            config.features,
            KeptFeaturesConfig(kept_features_gb=gigabytes),
            batch_size=32,
            communicator=ALONE,
        )
    passed = time.perf_counter() - began
    plan = plan_inputs(examples.lengths, config, parsed.batch_size)
    batches = list(
        own_micro_batches(
            plan,
            range(1, parsed.batches + 1),
            ALONE,
            lambda planned, ids: make_labelled_batch(
                examples, ids, planned.length, vocabulary.pad_id
            ),
        )
    )
    report: Dict[str, Any] = {"inputs": len(examples), "pass_or_check_seconds": passed}
    makers = {_STUDENT: _student_step, _SUPER: _super_network_step}
    for kind in parsed.kinds:
        steps = {
            name: makers[kind](parsed, config, teacher.architecture, found)
            for name, found in answers.items()
        }
        report[kind] = _timed(steps, batches, parsed.rounds)
    return report


def _timed(
    steps: Mapping[str, Callable[[int, List[Any]], None]], batches: List[Any], rounds: int
) -> Dict[str, Any]:
    """Return the seconds of the steps, which take turns on each batch."""
    import mxnet as mx

    seconds: Dict[str, List[List[float]]] = {name: [] for name in steps}
    for _ in range(rounds + 1):
        for found in seconds.values():
            found.append([])
        for place, batch in enumerate(batches):
            for name, step in steps.items():
                began = time.perf_counter()
                step(place + 1, batch)
                mx.nd.waitall()
                seconds[name][-1].append(time.perf_counter() - began)
    # The first round compiles the networks for the lengths of the batches.
    sums = {name: [sum(one) for one in found[1:]] for name, found in seconds.items()}
    ratios = [live / kept for live, kept in zip(sums["live"], sums["kept"])]
    count = len(batches)
    return {
        "step_seconds": {name: statistics.median(one) / count for name, one in sums.items()},
        "steps_per_second": {name: count / statistics.median(one) for name, one in sums.items()},
        "kept_times_live": statistics.median(ratios),
        "lowest_and_highest": [min(ratios), max(ratios)],
    }


def _relation_heads(student: str, teacher: Any) -> int:
    import math

    from bort.architecture import get_architecture

    sizes = get_architecture(student, teacher)
    return math.gcd(math.gcd(sizes.qkv, teacher.qkv), teacher.heads)


def _network(sizes: Any) -> Any:
    """Return a regressor with random weights."""
    import mxnet as mx

    from bort.gluon.network.classifier import BortClassifier
    from bort.gluon.network.model import BortModel

    mx.random.seed(0)
    network = BortClassifier(BortModel(sizes, use_decoder=False), 1, head="linear")
    network.initialize()
    return network


def _student_step(parsed: Any, config: Any, teacher: Any, answers: Any) -> Any:
    import mxnet as mx

    from bort.architecture import get_architecture
    from bort.gluon.finetuning.trainer import ClassificationTrainer
    from bort.ranks import ALONE

    sizes = get_architecture(parsed.student, teacher)
    trainer = ClassificationTrainer(_network(sizes), config, ALONE, mx.cpu(), answers)
    return lambda number, batch: trainer.step(number, batch, 1e-4)


def _super_network_step(parsed: Any, config: Any, teacher: Any, answers: Any) -> Any:
    """Return a step of two sub-networks, one of the student's sizes and one with a layer less."""
    import mxnet as mx

    from bort.architecture import get_architecture
    from bort.gluon.super_network.lessons import TaskLessons
    from bort.gluon.super_network.trainer import SuperNetworkTrainer
    from bort.ranks import ALONE
    from bort.super_network.config import SuperNetworkConfig
    from bort.super_network.sampling import UNIFORM
    from bort.super_network.space import SubNetworkSpace

    part = get_architecture(parsed.student, teacher)
    space = SubNetworkSpace.from_dict(
        {
            "depths": [part.depth - 1, part.depth],
            "hiddens": [part.hidden],
            "intermediates": [part.intermediate],
            "heads": [part.heads],
        },
        "benchmark",
    )
    settings = SuperNetworkConfig.from_dict(
        {
            "num_steps": 1000,
            "optimizer": "adamw",
            "relation_weight": 1.0,
            "relation_heads": config.features.relation_heads,
            "sampling": UNIFORM,
            "random_samples": 2,
            "cached_parts": 2,
        },
        "benchmark",
    )
    lessons = TaskLessons(settings, mx.cpu(), answers, is_regression=True)
    trainer = SuperNetworkTrainer(_network(teacher), lessons, space, settings, ALONE, mx.cpu())
    return lambda number, batch: trainer.step(number, batch)


if __name__ == "__main__":
    main()
