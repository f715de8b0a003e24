"""Measure how well the few steps of a search predict the error after long training.

Each of 24 candidates is trained long on generated English, and its error is compared with that
after s = 3, 10, 30 and 100 steps of SGD. The measures are Spearman's rank correlation and the share
of the best W that the chosen candidate of the scheme loses. On two cores it takes about half an
hour.

python -m bort.launch --ranks 2 benchmarks/surrogate_correlation.py --folder runs/surrogates
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
from pathlib import Path
from typing import Any, Dict, List, Sequence

from bort.process.command import make_parser, run_command

STEPS = (3, 10, 30, 100)


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument(
        "--folder", default="runs/surrogates", help="output folder; a second call continues the run"
    )
    parser.add_argument("--long_steps", type=int, default=1_000, help="steps of the long training")
    parser.add_argument("--seeds", type=int, default=2, help="seeds of the short trainings")
    parser.add_argument("--output_file", help="file to write the JSON to as well")
    run_command(parser, _work, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from bort.gluon.distributed import find_communicator
    from bort.storage.files import write_json

    communicator = find_communicator()
    results = measure(parsed, communicator)
    if communicator.rank == 0:
        print(json.dumps(results, indent=2))
        if parsed.output_file:
            write_json(parsed.output_file, results)
    return 0


def measure(parsed: argparse.Namespace, communicator: Any) -> Dict[str, Any]:
    """Run an exhaustive search for each number of steps, with the same answers of the teacher."""
    from bort.gluon.search.plan import SEARCH_SETTINGS_FILE, SearchPlan
    from bort.gluon.search.run import run_search
    from bort.gluon.teacher.live import load_teacher
    from bort.ranks import wait_for_all
    from bort.search.config import SearchConfig
    from bort.search.questions import SearchQuestions, SearchText
    from bort.search.space import SearchSpace
    from bort.search.surrogates import Hyperparameters
    from experiments.demo.plan import DemoConfig
    from experiments.demo.text import open_text, prepare_text
    from experiments.demo.training import INITIALIZER_RANGE, train_teacher

    folder = Path(parsed.folder)
    config = DemoConfig(folder=str(folder))
    if communicator.rank == 0 and not (folder / "teacher" / "model.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        train_teacher(config, prepare_text(config, folder), folder / "teacher")
    wait_for_all(communicator)
    text = open_text(config, folder)
    search = SearchConfig(
        strategy="exhaustive",
        error="kl",
        train_steps=parsed.long_steps,
        batch_size=config.batch_size,
        held_out_batches=12,
        initializer_range=INITIALIZER_RANGE,
        cache_dtype="float16",
        latency="multiply_adds",
    )
    space = SearchSpace(
        (2, 4),
        (2, 4),
        (64, 96),
        (128, 256, 384),
        vocabulary_size=len(text.vocabulary),
        maximum_length=config.max_seq_length,
    )
    theta = Hyperparameters(optimizer="bertadam", lr=1e-3, warmup_ratio=0.1, weight_decay=0.01)
    plan = SearchPlan(
        search,
        space,
        (theta,),
        SearchText(text.train, text.held_out, text.vocabulary),
        folder / "long",
        answers=folder / "answers",
        latencies=folder / "latencies.json",
        teacher=lambda: load_teacher(str(folder / "teacher")),
    )
    questions = SearchQuestions(search, plan.text)
    if not questions.is_complete(plan.answers):
        questions.fill(plan.answers, plan.teacher(), communicator, lambda: False)
    results = {}
    for steps in (*STEPS, parsed.long_steps):
        shorter = plan
        if steps != parsed.long_steps:
            shorter = dataclasses.replace(
                plan,
                config=dataclasses.replace(search, train_steps=steps, seeds=parsed.seeds),
                hyperparameters=(Hyperparameters(),),
                folder=folder / f"steps-{steps}",
            )
        resume = (shorter.folder / SEARCH_SETTINGS_FILE).exists()
        wait_for_all(communicator)
        results[steps] = run_search(shorter, communicator, resume=resume)
    entropy = _teacher_entropy(questions, plan.answers)
    long = results.pop(parsed.long_steps)
    return {
        "candidates": len(space),
        "teacher": str(load_teacher(str(folder / "teacher")).architecture),
        "long_steps": parsed.long_steps,
        "teacher_entropy_nats": entropy,
        "long_kl": _spread_of([row.error for row in long.ranking]),
        "by_steps": {str(s): compare(found, long, entropy) for s, found in results.items()},
    }


def compare(found: Any, long: Any, entropy: float) -> Dict[str, Any]:
    """Compare the errors after s steps with those after long training.

    Args:
        found: the result of the search with s steps; its error is the KL divergence in nats.
        long: the result of the search with long training, with the same error.
        entropy: the teacher's entropy in nats; cross-entropy is the KL divergence plus this
            constant.
    """
    from bort.search.strategy import sort_by_parameters
    from bort.search.w_coefficient import rank_correlation

    short = {row.architecture: row.error for row in found.ranking}
    true = {row.architecture: row.error for row in long.ranking}
    order = sort_by_parameters(list(true))
    report: Dict[str, Any] = {
        "rank_correlation_of_errors": rank_correlation(
            [short[a] for a in order], [true[a] for a in order]
        ),
        "kl": _spread_of([short[a] for a in order]),
        "deviation_between_seeds": statistics.median(
            row.error_spread or 0.0 for row in found.ranking
        ),
    }
    for kind, shift in (("kl", 0.0), ("cross_entropy", entropy)):
        guessed = {a: found_smallness(long, a) / (short[a] + shift) for a in order}
        real = {a: found_smallness(long, a) / (true[a] + shift) for a in order}
        best = max(real.values())
        picks = {
            f"epsilon_{epsilon}": max(order[::epsilon], key=guessed.__getitem__)
            for epsilon in (1, 3)
        }
        report[f"w_with_{kind}"] = {
            "rank_correlation_of_w": rank_correlation(
                [guessed[a] for a in order], [real[a] for a in order]
            ),
            "rank_correlation_with_size": rank_correlation(
                [guessed[a] for a in order], [found_smallness(long, a) for a in order]
            ),
            "best": str(max(real, key=real.__getitem__)),
            **{
                name: {
                    "pick": str(pick),
                    # Without a candidate that is smaller than the teacher there is no W to lose.
                    "loses_of_the_best_w": 1 - real[pick] / best if best else None,
                }
                for name, pick in picks.items()
            },
        }
    return report


def found_smallness(result: Any, architecture: Any) -> float:
    """Return the factor (1 − p)(1 − i) of a candidate's W-coefficient."""
    row = next(row for row in result.ranking if row.architecture == architecture)
    return float(result.smallness_of(row))


def _teacher_entropy(questions: Any, answers: Path) -> float:
    """Return the mean entropy of the teacher at the held-out masked positions, in nats."""
    import numpy as np
    from scipy.special import log_softmax

    cache = questions.open(answers)[1]
    total = count = 0.0
    for batch in questions.held_out_batches():
        log_p = log_softmax(cache.answer(batch).astype(np.float64), axis=-1)
        total -= float(((np.exp(log_p) * log_p).sum(axis=-1) * batch.weights).sum())
        count += float(batch.weights.sum())
    return total / count


def _spread_of(values: Sequence[float]) -> List[float]:
    return [min(values), statistics.median(values), max(values)]


if __name__ == "__main__":
    main()
