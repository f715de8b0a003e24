"""Measure distillation steps on the ranks of a launch; rank 0 prints tokens per second.

`weak_scaling.py` starts it. To run it alone: `python benchmarks/rank_worker.py --alone`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any, List

from bort.process.command import make_parser, run_command


def main() -> None:
    """Parse the flags, make steps, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--alone", action="store_true", help="run in one process without Horovod")
    parser.add_argument("--student", default="bort_4_8_768_1024")
    parser.add_argument("--teacher", default="roberta_24_1024_16", help="architecture, or none")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--steps", type=int, default=5)
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    import mxnet as mx

    from benchmarks.synthetic import make_data, make_student_and_teacher, settings
    from bort.gluon.distributed import HorovodProcess
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.gluon.pretraining.trainer import DistillationTrainer
    from bort.ranks import SingleProcess
    from bort.text.batches import Prefetcher

    communicator: Any = SingleProcess() if parsed.alone else HorovodProcess()
    config = settings(parsed.batch_size, parsed.length, parsed.predictions, parsed.steps + 2)
    without = parsed.teacher == "none"
    model, teacher = make_student_and_teacher(
        parsed.student, parsed.student if without else parsed.teacher
    )
    data = make_data(config, parsed.length, model.architecture.vocabulary_size, 256)
    trainer = DistillationTrainer(
        model, config, communicator, mx.cpu(), None if without else teacher
    )
    plan = plan_batches(data.train, config, communicator.size)
    batches = Prefetcher(planned_batches(plan, data, config, communicator, 1))
    rates: List[float] = []
    for number, micro_batches in enumerate(batches, start=1):
        began = time.perf_counter()
        report = trainer.step(number, micro_batches)
        mx.nd.waitall()
        if number > 2:
            rates.append(report.tokens / (time.perf_counter() - began))
    if communicator.rank == 0:
        median = statistics.median(rates)
        print(json.dumps({"ranks": communicator.size, "tokens_per_second": median}))
    return 0


if __name__ == "__main__":
    main()
