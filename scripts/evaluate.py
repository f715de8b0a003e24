"""Score a fine-tuned model, or a file of predictions, with a task's official metrics.

Prints the metrics as JSON, as fractions in published order with their mean. A table on stderr shows
the published test scores and this result. For SQuAD the official report is printed as well.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import sys
from pathlib import Path
from typing import Any, Mapping

from bort.process.command import make_parser, run_command
from bort.process.progress import Progress
from bort.tasks.metrics import as_published, mean_score
from bort.tasks.own.task import OwnTask
from bort.tasks.published import measured_row, published_rows, score_table
from bort.tasks.records import TaskRecord
from data.tasks.evaluation import (
    EvaluateConfig,
    Evaluation,
    evaluate_answers,
    evaluate_predictions,
    open_labelled_set,
)
from data.tasks.own_description import resolve_task


def evaluate_model(config: EvaluateConfig, model: Any, record: TaskRecord) -> Evaluation:
    """Return the scores of a fine-tuned model on a labelled split."""
    from bort.ranks import SingleProcess
    from bort.tasks.judging import answer_spans, make_judge

    model.check_task(record)
    task_set = open_labelled_set(
        model, record, config.split, data_dir=config.data_dir, sample=config.sample
    )
    features = task_set.features
    progress = Progress(len(features), f"{record.name} {config.split}", unit="input")
    outputs = model.outputs(features, SingleProcess(), config.batch_size, progress.advance)
    progress.close()
    if not record.has_spans:
        return Evaluation(make_judge(model.options, task_set)(outputs))
    return evaluate_answers(task_set, answer_spans(model.options, task_set, outputs))


def work(arguments: argparse.Namespace) -> None:
    config = EvaluateConfig.from_arguments(arguments)
    if config.model is None:
        record = resolve_task(config.task_name or "")
        found = evaluate_predictions(config, record)
    else:
        from bort.inference.task_model import TaskModel

        named = None if config.task_name is None else resolve_task(config.task_name)
        model = TaskModel.open(
            Path(config.model),
            engine=config.engine,
            precision=config.precision,
            threads=config.threads,
            record=named,
        )
        record = named or model.record
        found = evaluate_model(config, model, record)
    scores = found.metrics
    if not isinstance(record, OwnTask):
        print_published(config, record, scores)
    result = {
        "task": record.name,
        "metrics": scores,
        "mean": mean_score(scores),
        "as_published": as_published(scores),
        **({} if found.official is None else {"official": found.official}),
    }
    print(json.dumps(result, indent=2))


def print_published(
    config: EvaluateConfig, record: TaskRecord, scores: Mapping[str, float]
) -> None:
    """Print the published scores of a task beside these."""
    ours = "here" if config.gold is not None else f"here, on {config.split}"
    rows = [
        *published_rows(record.suite),
        measured_row(ours, record.suite, {record.name: [scores]}),
    ]
    print(f"published (test sets) and {ours}:", file=sys.stderr)
    print(score_table(record.suite, rows, only=record.name), file=sys.stderr)


if __name__ == "__main__":
    parser = make_parser(__doc__)
    EvaluateConfig.add_flags(parser)
    run_command(parser, work)
