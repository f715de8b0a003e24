"""Measure what a fine-tuned model's score loses on other engines, and in int8 or bf16.

python -m benchmarks.precision_loss --model runs/finetune/RTE/model --data_dir path/to/data
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict

import numpy as np

from benchmarks.output import run_benchmark
from bort.engines.choosing import installed_engines, open_source
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.process.command import make_parser
from bort.tasks.features import TaskFeatures, tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.judging import TaskSet, make_judge
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.asking import types_of_rows
from bort.text.padding import pad_rows
from bort.text.vocabularies import load_vocabulary

_BATCH = 16


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--model", required=True, help="folder of a fine-tuned model")
    parser.add_argument("--file", help="labelled file, instead of the task's dev set")
    parser.add_argument("--data_dir", help="folder of data in the official layout")
    run_benchmark(parser, _work)


def _work(parsed: argparse.Namespace) -> Dict[str, Any]:
    return measure(Path(parsed.model), parsed.data_dir, parsed.file)


def measure(model: Path, data_dir: Any, file: Any) -> Dict[str, Any]:
    """Return the scores by engine and precision, and the differences from the first engine."""
    from data.tasks.files import read_items, read_labelled_file

    source = read_source(model)
    engines = [
        open_source(source, engine, precision, threads=1)
        for engine in installed_engines()
        for precision in ("fp32", "fast")
        if (engine, precision) != ("mxnet", "fast")
    ]
    task, length = source.description.task, source.description.input_length
    if task is None or length is None or source.vocabulary_folder is None:
        raise InputError(f"{model}: does not say what it was fine-tuned on")
    record = get_task(task.name)
    options = TaskOptions.from_dict(task.options or {}, str(model))
    vocabulary = load_vocabulary(source.vocabulary_folder)
    if file:
        items = read_labelled_file(record, Path(file))
    else:
        items = read_items(record, "dev", data_dir)
    if not items:
        raise InputError(f"{file or data_dir}: holds no example")
    pairs = source.description.pair_form(vocabulary)
    features = tokenise(make_inputs(record, items, options), vocabulary, length, pairs)
    asked = TaskSet(record, "dev", items, features)
    judge = make_judge(options, asked)
    results: Dict[str, Any] = {"task": record.name, "examples": len(items), "scores": []}
    reference = None
    for engine in engines:
        outputs = _outputs(engine, features, vocabulary.pad_id)
        scores = judge(outputs)
        if reference is None:
            reference = (outputs, scores)
        results["scores"].append(
            {
                "engine": engine.name,
                "precision": engine.precision,
                "metrics": dict(scores),
                "lost": {name: reference[1][name] - value for name, value in scores.items()},
                "largest_output_difference": float(np.abs(outputs - reference[0]).max()),
                "answers_changed": float(
                    np.mean(outputs.argmax(axis=1) != reference[0].argmax(axis=1))
                ),
            }
        )
    return results


def _outputs(engine: Any, features: TaskFeatures, pad_id: int) -> np.ndarray:
    found = []
    for start in range(0, len(features), _BATCH):
        batch = [features[n] for n in range(start, min(start + _BATCH, len(features)))]
        ids, lengths = pad_rows(batch, max(map(len, batch)), pad_id)
        found.append(engine.answer(ids, lengths, types_of_rows(features, ids, lengths)))
    return np.concatenate(found)


if __name__ == "__main__":
    main()
