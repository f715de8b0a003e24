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
import statistics
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from benchmarks.demo_teacher import TEACHER_MODEL, teacher_stage, text_stage
from benchmarks.stored import Basis, Stored, on_all_ranks
from bort.architecture import Architecture
from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.ranks import ALONE
from bort.search.config import SearchConfig
from bort.search.driver import plan_trials
from bort.search.questions import SearchQuestions, SearchText
from bort.search.ranking import SearchResult, rank_candidates
from bort.search.space import SearchSpace
from bort.search.strategy import build_strategy
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency, Trial, check_error
from bort.stages.stage import Stage, StageWork
from bort.storage.files import write_json
from bort.storage.outputs import check_output_file
from bort.super_network.parts import part_name
from experiments.demo.plan import DemoConfig

STEPS = (3, 10, 30, 100)
SPACE = ((2, 4), (2, 4), (64, 96), (128, 256, 384))
"""Depths, heads, widths and intermediate sizes of the candidates."""

LONG_TRAINING = Hyperparameters(optimizer="bertadam", lr=1e-3, warmup_ratio=0.1, weight_decay=0.01)


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
    if parsed.output_file:
        check_output_file(parsed.output_file)
    stored = Stored(Path(parsed.folder), stop_requested=StopRequest().install().requested)
    trials = Trials(stored, DemoConfig(), parsed.long_steps, parsed.seeds)
    if on_all_ranks(trials.run) and trials.are_finished():
        results = trials.report()
        print(json.dumps(results, indent=2))
        if parsed.output_file:
            write_json(parsed.output_file, results)
    return 0


class Trials:
    """The short and the long trainings of all candidates, each a stage of one store.

    Args:
        stored: the results.
        demo: settings of text and teacher.
        long_steps: steps of the long trainings.
        seeds: seeds of the short trainings.
    """

    def __init__(self, stored: Stored, demo: DemoConfig, long_steps: int, seeds: int) -> None:
        from experiments.demo.training import INITIALIZER_RANGE

        self._stored, self._demo = stored, demo
        self._long_steps, self._seeds = long_steps, seeds
        self._built: Optional[Tuple[int, Any]] = None
        self._search = SearchConfig(
            strategy="exhaustive",
            error="kl",
            train_steps=long_steps,
            batch_size=demo.batch_size,
            held_out_batches=12,
            initializer_range=INITIALIZER_RANGE,
            cache_dtype="float16",
            latency="multiply_adds",
        )
        self._text_stage, self._teacher_stage = text_stage(demo), teacher_stage(demo)

    def run(self) -> None:
        """Train all candidates for each number of steps."""
        self._stored.run(self.stages())

    def are_finished(self) -> bool:
        """Return whether all trainings are finished, which they are not after a stop."""
        return None not in self._stored.finished(self.stages())

    def stages(self) -> List[Stage]:
        """Return the stages of all trainings, the short ones first."""
        steps_of_all = (*STEPS, self._long_steps)
        return [self._trial_stage(n, trial) for n in steps_of_all for trial in self._trials(n)]

    def report(self) -> Dict[str, Any]:
        """Return the comparison, after `run`."""
        results = {steps: self._ranked(steps) for steps in (*STEPS, self._long_steps)}
        entropy, long = self._entropy(), results.pop(self._long_steps)
        by_steps = {str(s): compare(found, long, entropy) for s, found in results.items()}
        return {
            "candidates": len(self._space),
            "teacher": str(self._teacher),
            "long_steps": self._long_steps,
            "teacher_entropy_nats": entropy,
            "long_kl": _spread_of([row.error for row in long.ranking]),
            "by_steps": by_steps,
        }

    def _trials(self, steps: int) -> List[Trial]:
        is_long = steps == self._long_steps
        theta = LONG_TRAINING if is_long else Hyperparameters()
        candidates = build_strategy(self._search, self._space).ask()
        return plan_trials(candidates, [theta], range(1 if is_long else self._seeds))

    def _ranked(self, steps: int) -> SearchResult:
        """Return the ranking by the errors after some steps."""
        trials = self._trials(steps)
        polynomial = MultiplyAddLatency(self._questions(steps).length)
        found = [self._stored.value(self._trial_stage(steps, one))["kl"] for one in trials]
        latencies = {one.architecture: polynomial.latency(one.architecture) for one in trials}
        latencies[self._teacher] = polynomial.latency(self._teacher)
        return rank_candidates(dict(zip(trials, found)), latencies, self._teacher)

    def _trial_stage(self, steps: int, trial: Trial) -> Stage:
        """Return the stage of the error of one candidate after some steps."""

        def make(work: StageWork) -> Dict[str, Any]:
            return {"kl": check_error(self._error_model(steps).error(trial), trial)}

        own = {
            "architecture": trial.architecture.as_dict(),
            "hyperparameters": trial.hyperparameters.as_dict(),
            "trial_seed": trial.seed,
        }
        return self._basis(steps).stage(
            f"steps-{steps}-{part_name(trial.architecture)}-{trial.seed}",
            make,
            own,
            inputs={"answers": self._answers_stage(steps)},
        )

    def _answers_stage(self, steps: int) -> Stage:
        """Return the stage of the teacher's answers; the short trainings share one."""
        kept = self._long_steps if steps == self._long_steps else max(STEPS)

        def make(work: StageWork) -> Dict[str, Any]:
            from bort.gluon.teacher.live import load_teacher

            teacher = load_teacher(str(work.inputs["teacher"] / TEACHER_MODEL))
            self._questions(kept).fill(work.folder / "answers", teacher, ALONE, lambda: False)
            return {}

        return self._basis(kept).stage(
            f"answers-{kept}", make, inputs={"teacher": self._teacher_stage}, continues=True
        )

    def _basis(self, steps: int) -> Basis:
        return Basis(
            {
                "search": self._config(steps).results_settings(),
                "scored_examples": self._demo.scored_examples,
            },
            {"text": self._text_stage},
        )

    def _config(self, steps: int) -> SearchConfig:
        return dataclasses.replace(self._search, train_steps=steps)

    @cached_property
    def _text(self) -> Any:
        from experiments.demo.text import open_text

        return open_text(self._demo, self._stored.result(self._text_stage).folder)

    @property
    def _teacher(self) -> Architecture:
        from experiments.demo.training import architecture_for

        return architecture_for(self._demo.teacher, self._text, self._demo)

    @property
    def _space(self) -> SearchSpace:
        return SearchSpace(
            *SPACE,
            vocabulary_size=len(self._text.vocabulary),
            maximum_length=self._demo.max_seq_length,
        )

    def _questions(self, steps: int) -> SearchQuestions:
        text = self._text
        asked = SearchText(text.train, text.held_out, text.vocabulary)
        return SearchQuestions(self._config(steps), asked)

    def _answers(self, steps: int) -> Path:
        return self._stored.result(self._answers_stage(steps)).folder / "answers"

    def _error_model(self, steps: int) -> Any:
        """Return the model of the errors after some steps, which is built once in a row."""
        if self._built is None or self._built[0] != steps:
            self._built = (steps, self._build_error_model(steps))
        return self._built[1]

    def _build_error_model(self, steps: int) -> Any:
        import mxnet as mx

        from bort.gluon.search.candidate_error import DistillationError

        questions = self._questions(steps)
        return DistillationError(
            self._config(steps),
            questions.train_batches(),
            questions.held_out_batches(),
            *questions.open(self._answers(steps)),
            mx.cpu(),
        )

    def _entropy(self) -> float:
        """Return the mean entropy of the teacher at the held-out masked positions, in nats."""
        import numpy as np
        from scipy.special import log_softmax

        questions = self._questions(self._long_steps)
        cache = questions.open(self._answers(self._long_steps))[1]
        total = count = 0.0
        for batch in questions.held_out_batches():
            log_p = log_softmax(cache.answer(batch).astype(np.float64), axis=-1)
            total -= float(((np.exp(log_p) * log_p).sum(axis=-1) * batch.weights).sum())
            count += float(batch.weights.sum())
        return total / count


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


def _spread_of(values: Sequence[float]) -> List[float]:
    return [min(values), statistics.median(values), max(values)]


if __name__ == "__main__":
    main()
