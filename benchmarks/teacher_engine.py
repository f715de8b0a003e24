"""Compare a teacher on other engines with the same teacher on MXNet, in time and in loss.

All engines answer the same batches in turn; a ratio is the median of the ratios of all rounds. The
losses are those of a student with random weights. On a busy machine, processor seconds of all
threads are more reliable than seconds on the clock.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any, Dict, List, Tuple

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count

ENGINES = ("openvino", "onnxruntime")


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--student", default="bort_4_8_768_1024")
    parser.add_argument("--teacher", default="roberta_24_1024_16")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument(
        "--rounds", type=int, default=5, help="measured rounds, after 1 for warm-up"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Load all teachers, then compute their answers in turn."""
    threads = set_thread_count()
    import mxnet as mx
    import numpy as np

    from benchmarks.synthetic import make_data, make_student_and_teacher, settings
    from bort.engines.teacher import teacher_of_network
    from bort.gluon.network.array_network import as_arrays
    from bort.gluon.pretraining.losses import MaskedTokenLoss
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.ranks import SingleProcess

    rounds = parsed.rounds + 1
    config = settings(parsed.batch_size, parsed.length, parsed.predictions, rounds)
    student, mxnet_teacher = make_student_and_teacher(parsed.student, parsed.teacher)
    teachers: Dict[str, Any] = {"mxnet float32": mxnet_teacher}
    network = as_arrays(mxnet_teacher.network)
    for engine in parsed.engines:
        for precision in ("fp32", "fast"):
            teacher = teacher_of_network(network, engine, precision, threads)
            teachers.setdefault(f"{engine} {teacher.precision}", teacher)
    del network
    size = student.architecture.vocabulary_size
    data = make_data(config, parsed.length, size, 16 * parsed.batch_size)
    plan = plan_batches(data.train, config, 1)
    batches = planned_batches(plan, data, config, SingleProcess(), 1)
    objective = MaskedTokenLoss(config.objective)
    seconds: Dict[str, List[Tuple[float, float]]] = {name: [] for name in teachers}
    losses: Dict[str, List[np.ndarray]] = {name: [] for name in teachers}
    differences: Dict[str, List[float]] = {name: [] for name in teachers}
    for number in range(rounds):
        batch = next(batches)[0]
        ids = mx.nd.array(batch.input_ids, dtype="int32")
        positions = mx.nd.array(batch.masked_positions, dtype="int32")
        logits = student(ids, mx.nd.array(batch.valid_lengths), positions)[-1]
        logits.wait_to_read()
        labels, weights = mx.nd.array(batch.labels), mx.nd.array(batch.weights)
        reference = None
        for name, teacher in teachers.items():
            time.sleep(0.05)  # threads of the last engine may still be spinning
            began, worked = time.perf_counter(), time.process_time()
            answers = teacher.answer(batch)
            if isinstance(answers, mx.nd.NDArray):
                answers.wait_to_read()
            taken = (time.perf_counter() - began, time.process_time() - worked)
            answers = answers if isinstance(answers, mx.nd.NDArray) else mx.nd.array(answers)
            reference = answers.asnumpy() if reference is None else reference
            if number:
                seconds[name].append(taken)
                differences[name].append(float(np.abs(answers.asnumpy() - reference).max()))
                losses[name].append(objective(logits, labels, weights, answers).asnumpy())
    return {
        "threads": threads,
        "load_average": os.getloadavg(),
        "largest_logit": float(np.abs(reference).max()),
        "teachers": {name: _summary(name, seconds, losses, differences[name]) for name in teachers},
    }


def _summary(
    name: str,
    seconds: Dict[str, List[Tuple[float, float]]],
    losses: Dict[str, List[Any]],
    differences: List[float],
) -> Dict[str, float]:
    first = "mxnet float32"
    pairs = list(zip(losses[name], losses[first]))
    return {
        "seconds": statistics.median(one[0] for one in seconds[name]),
        "processor_seconds": statistics.median(one[1] for one in seconds[name]),
        "times_as_fast": _ratio(seconds[first], seconds[name], 0),
        "times_as_fast_by_processor_seconds": _ratio(seconds[first], seconds[name], 1),
        "largest_difference_of_logits": max(differences),
        # The total loss, and its divergence term alone (T² times the divergence).
        "relative_difference_of_loss": max(float(abs(a[0] / b[0] - 1)) for a, b in pairs),
        "relative_difference_of_divergence": max(float(abs(a[2] / b[2] - 1)) for a, b in pairs),
    }


def _ratio(first: List[Tuple[float, float]], other: List[Tuple[float, float]], clock: int) -> float:
    return statistics.median(a[clock] / b[clock] for a, b in zip(first, other))


if __name__ == "__main__":
    main()
