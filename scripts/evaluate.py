"""Scores a file of predictions against gold with the task's official metrics.

Prints the metrics as JSON (fractions, in published order, and their mean), and on stderr a table of
the published test scores with this result beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Dict, Optional

from bort.command import make_parser, run_command
from bort.config import Config, setting
from bort.errors import InputError
from bort.tasks.metrics import as_published, mean_score, score_task
from bort.tasks.predictions import read_predictions
from bort.tasks.published import measured_row, published_rows, score_table
from bort.tasks.records import TEST, get_task
from data.gold import gold_of_file, gold_of_split


@dataclasses.dataclass(frozen=True)
class EvaluateConfig(Config):
    """What to score, and against what."""

    task_name: str = setting(..., "the task, e.g. CoLA, MNLI, SuperGLUE-RTE, RACE-H")
    predictions: str = setting(..., "file of predictions, .tsv or .jsonl, as in a submission")
    gold: Optional[str] = setting(
        None, "official file with labels, or gold labels in the form of predictions"
    )
    data_dir: Optional[str] = setting(
        None, "folder of official data, when --gold is not given (none: GluonNLP's cache)"
    )
    split: str = setting("dev", "split of the official data, e.g. dev, train, dev_mismatched")

    def check(self) -> None:
        if self.gold is not None and self.data_dir is not None:
            raise InputError("gold and data_dir are both given, allowed is one of them")


def evaluate(config: EvaluateConfig) -> Dict[str, float]:
    """The metrics of a file of predictions."""
    record = get_task(config.task_name)
    predictions = read_predictions(config.predictions, record)
    if config.gold is not None:
        return score_task(record, predictions, gold_of_file(record, config.gold))
    if record.split(config.split).role == TEST:
        raise InputError(f"split is {config.split!r}, allowed is one that has labels")
    return score_task(record, predictions, gold_of_split(record, config.split, config.data_dir))


def work(arguments: argparse.Namespace) -> None:
    config = EvaluateConfig.from_arguments(arguments)
    record = get_task(config.task_name)
    scores = evaluate(config)
    ours = "here" if config.gold is not None else f"here, on {config.split}"
    rows = [
        *published_rows(record.suite),
        measured_row(ours, record.suite, {record.name: [scores]}),
    ]
    print(f"published (test sets) and {ours}:", file=sys.stderr)
    print(score_table(record.suite, rows, only=record.name), file=sys.stderr)
    result = {
        "task": record.name,
        "metrics": scores,
        "mean": mean_score(scores),
        "as_published": as_published(scores),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    EvaluateConfig.add_flags(parser)
    run_command(parser, work)
