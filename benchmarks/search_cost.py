"""Compare the cost of the paper's search, 50 candidates, with cached answers and a live teacher.

A few of the candidates are measured in both ways in turn, and the others are interpolated by their
multiply-adds. The bound is the ratio of multiply-adds: with a live teacher, each candidate needs
the teacher's forward passes of s training steps and h held-out batches; with cached answers, all
candidates share them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--teacher", default="roberta_24_1024_16")
    parser.add_argument("--epsilon", type=int, default=6)
    parser.add_argument("--train_steps", type=int, default=3)
    parser.add_argument("--held_out_batches", type=int, default=4)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--measured", type=int, default=4, help="number of measured candidates")
    parser.add_argument("--vocabulary_size", type=int, default=50265)
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        return measure(parsed, Path(folder))


def measure(parsed: argparse.Namespace, folder: Path) -> Dict[str, Any]:
    """Fill the cache, then measure some candidates in both ways."""
    set_thread_count()
    import mxnet as mx

    from benchmarks.synthetic import RandomExamples, RandomVocabulary, make_teacher
    from bort.architecture import Architecture
    from bort.gluon.search.candidate_error import DistillationError
    from bort.ranks import SingleProcess
    from bort.search.config import SearchConfig
    from bort.search.questions import SearchQuestions, SearchText
    from bort.search.space import PAPER_SPACE, SearchSpace
    from bort.search.strategy import ApproximationScheme
    from bort.search.surrogates import Hyperparameters, Trial
    from bort.text.masking_config import TokenMasks

    size, length = parsed.vocabulary_size, parsed.length
    sizes = {"vocabulary_size": size, "maximum_length": length}
    space = SearchSpace.from_dict({**PAPER_SPACE.as_dict(), **sizes})
    candidates = ApproximationScheme(space, parsed.epsilon).ask()
    config = SearchConfig(
        epsilon=parsed.epsilon,
        train_steps=parsed.train_steps,
        held_out_batches=parsed.held_out_batches,
        batch_size=parsed.batch_size,
        masks=TokenMasks(parsed.predictions / (length - 2), parsed.predictions),
    )
    text = SearchText(
        RandomExamples(parsed.batch_size * (parsed.train_steps + 1), length, size),
        RandomExamples(parsed.batch_size * parsed.held_out_batches, length, size),
        RandomVocabulary(size),
    )
    teacher = make_teacher(parsed.teacher, Architecture(2, 4, 512, 256, **sizes))
    questions = SearchQuestions(config, text)
    train, held_out = questions.train_batches(), questions.held_out_batches()
    teacher.answer(train[0]).wait_to_read()  # warm-up: allocates memory and compiles
    began = time.perf_counter()
    questions.fill(folder, teacher, SingleProcess(), lambda: False)
    fill_seconds = time.perf_counter() - began
    models = {
        "live": DistillationError(config, train, held_out, teacher, teacher, mx.cpu()),
        "cached": DistillationError(config, train, held_out, *questions.open(folder), mx.cpu()),
    }
    shape = (parsed.batch_size, length, parsed.predictions)
    passes = parsed.train_steps + parsed.held_out_batches
    asked = passes * teacher.architecture.multiply_adds(*shape)
    own = [
        (3 * parsed.train_steps + parsed.held_out_batches) * a.multiply_adds(*shape)
        for a in candidates
    ]
    order = np.argsort(own, kind="stable")
    places = np.linspace(0, len(order) - 1, parsed.measured).round().astype(int)
    chosen = [int(order[place]) for place in places]
    seconds: Dict[str, List[float]] = {kind: [] for kind in models}
    errors: Dict[str, List[float]] = {kind: [] for kind in models}
    for index in chosen:
        for kind, model in models.items():
            began = time.perf_counter()
            errors[kind].append(model.error(Trial(candidates[index], Hyperparameters(), 0)))
            seconds[kind].append(time.perf_counter() - began)
    costs = [own[index] for index in chosen]
    totals = {kind: float(np.interp(own, costs, found).sum()) for kind, found in seconds.items()}
    totals["cached"] += fill_seconds
    bound = (sum(own) + len(own) * asked) / (sum(own) + asked)
    speed_up = totals["live"] / totals["cached"]
    return {
        "candidates": len(candidates),
        "measured": [str(candidates[index]) for index in chosen],
        "measured_giga_multiply_adds": [cost / 1e9 for cost in costs],
        "teacher_giga_multiply_adds": asked / 1e9,
        "seconds": seconds,
        "fill_seconds": fill_seconds,
        "extrapolated_seconds": totals,
        "speed_up": speed_up,
        "bound_speed_up": bound,
        "share_of_bound": speed_up / bound,
        "errors": errors,
        "largest_error_difference": float(
            np.max(np.abs(np.subtract(errors["live"], errors["cached"])))
        ),
        "same_ranking": bool(
            np.array_equal(np.argsort(errors["live"]), np.argsort(errors["cached"]))
        ),
    }


if __name__ == "__main__":
    main()
