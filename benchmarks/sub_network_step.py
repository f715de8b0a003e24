"""Measure a training step of a sub-network, compared with an ordinary network of the same size.

A step is one forward and backward pass over a micro-batch without the optimizer. Sub-networks are
measured as kept ones (weights in, gradients out) and as new ones, which are built and traced first.
Times are processor seconds of all threads, since other processes disturb a clock less than twice as
much; the measurements alternate, and the ratios are those of medians within one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, Callable, Dict, List

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count

DEFAULT_PARTS = ("4-8-256-1024", "2-8-256-1024", "4-4-128-512-128", "2-8-128-256-64")


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--whole", default="4-8-256-1024", help="sizes of the whole network")
    parser.add_argument("--parts", nargs="+", default=DEFAULT_PARTS, help="sub-networks")
    parser.add_argument("--vocabulary_size", type=int, default=8192)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--predictions", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each kind")
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Return medians and ratios for each sub-network."""
    threads = set_thread_count()
    whole = _sizes(parsed.whole, parsed)
    return {
        "threads": threads,
        "whole": str(whole),
        "parts": {
            name: _measure_part(_sizes(name, parsed), whole, parsed) for name in parsed.parts
        },
    }


def _sizes(name: str, parsed: argparse.Namespace) -> Any:
    from bort.architecture import get_architecture

    return get_architecture(name).replace(
        vocabulary_size=parsed.vocabulary_size, maximum_length=max(64, parsed.length)
    )


def _measure_part(part: Any, whole: Any, parsed: argparse.Namespace) -> Dict[str, float]:
    import mxnet as mx

    from bort.gluon.network.model import BortModel
    from bort.gluon.super_network.sub_models import SubModels
    from bort.gluon.training.flat import FlatParameters

    def built(sizes: Any) -> Any:
        mx.random.seed(0)
        model = BortModel(sizes)
        model.initialize()
        return model, FlatParameters(model, mx.cpu())

    batch = _batch(part, parsed)
    model, flat = built(part)
    ordinary = _learner(model, flat, None)
    parts: Any = SubModels(*built(whole), _learner, keep=1)
    other = part.replace(depth=1, hidden=part.heads, intermediate=1)

    def step() -> None:
        ordinary.learn(batch, seed=1, first=True)

    def sub_step() -> None:
        found = parts(part)
        found.load()
        found.learner.learn(batch, seed=1, first=True)
        found.add_gradients()

    def copies() -> None:
        found = parts(part)
        found.load()
        found.add_gradients()

    seconds: Dict[str, List[float]] = {
        "ordinary": [],
        "kept": [],
        "copies": [],
        "new": [],
        "copies_new": [],
    }
    for work in (step, sub_step):
        work()
        work()
    for _ in range(parsed.repeats):
        seconds["ordinary"].append(_seconds(step))
        seconds["kept"].append(_seconds(sub_step))
        seconds["copies"].append(_seconds(copies))
        if part != whole:
            parts(other)  # the part is dropped
            seconds["new"].append(_seconds(sub_step))
            parts(other)
            seconds["copies_new"].append(_seconds(copies))
            sub_step()
    medians = {f"{name}_seconds": statistics.median(v) for name, v in seconds.items() if v}
    ratios = {
        f"{name}_over_ordinary": medians[f"{name}_seconds"] / medians["ordinary_seconds"]
        for name in ("kept", "new")
        if seconds[name]
    }
    return {**medians, **ratios}


def _learner(model: Any, flat: Any, hidden_map: Any) -> Any:
    import mxnet as mx

    from bort.gluon.pretraining.learner import MaskedTokenLearner
    from bort.training.objective import WITHOUT_TEACHER

    return MaskedTokenLearner(model, flat, WITHOUT_TEACHER, mx.cpu())


def _batch(part: Any, parsed: argparse.Namespace) -> Any:
    import numpy as np

    from benchmarks.synthetic import make_data, settings
    from bort.text.batches import make_batch

    config = settings(parsed.batch_size, parsed.length, parsed.predictions, 1)
    data = make_data(config, parsed.length, part.vocabulary_size, parsed.batch_size)
    rows = np.arange(parsed.batch_size)
    return make_batch(data.train, rows, 0, parsed.length, data.masking)


def _seconds(work: Callable[[], None]) -> float:
    import mxnet as mx

    mx.nd.waitall()
    began = time.process_time()
    work()
    mx.nd.waitall()
    return time.process_time() - began


if __name__ == "__main__":
    main()
