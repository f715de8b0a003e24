"""Measure distillation steps on the ranks of a launch; rank 0 prints its rates as JSON.

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

    communicator = _TimedRanks(SingleProcess() if parsed.alone else HorovodProcess())
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
    reduced: List[float] = []
    for number, micro_batches in enumerate(batches, start=1):
        began = time.perf_counter()
        communicator.seconds = 0.0
        report = trainer.step(number, micro_batches)
        mx.nd.waitall()
        if number > 2:
            seconds = time.perf_counter() - began
            rates.append(report.tokens / seconds)
            reduced.append(communicator.seconds / seconds)
    if communicator.rank == 0:
        result = {
            "ranks": communicator.size,
            "tokens_per_second": statistics.median(rates),
            "share_of_reduction": statistics.median(reduced),
            "reduced_megabytes": trainer.flat.reduced.size * 4 / 1e6,
        }
        print(json.dumps(result))
    return 0


class _TimedRanks:
    """The ranks of another communicator, with the seconds of their sums.

    The device is waited for first, so the seconds are those of the exchange and of waiting for the
    slowest rank.
    """

    def __init__(self, communicator: Any) -> None:
        self._communicator = communicator
        self.rank, self.size = communicator.rank, communicator.size
        self.local_rank = communicator.local_rank
        self.broadcast = communicator.broadcast
        self.seconds = 0.0

    def sum_in_place(self, buffer: Any) -> None:
        """Replace `buffer` by its sum over all ranks."""
        import mxnet as mx

        mx.nd.waitall()
        began = time.perf_counter()
        self._communicator.sum_in_place(buffer)
        self.seconds += time.perf_counter() - began


if __name__ == "__main__":
    main()
