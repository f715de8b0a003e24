"""Lines of Python that use the model at the end of a run, with this package and without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from bort.engines.protocol import AUTO, OPENVINO
from bort.formats.precisions import BF16, FP32, INT8
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks import records

_HUGGING_FACE = "huggingface"

_QUESTIONS: Mapping[str, str] = {
    records.PAIR: '("one text", "another text")',
    records.CHOICES: (
        '{"premise": "It rained.", "choice1": "We got wet.", "choice2": "We slept.", '
        '"question": "effect"}'
    ),
    records.ANSWERS: (
        '{"passage": "It rained.", "question": "What fell?", "answers": ["Rain", "Snow"]}'
    ),
    records.ENTITIES: (
        '{"passage": "Ann met Bo.", "query": "Ann knows @placeholder.", "entities": ["Ann", "Bo"]}'
    ),
    records.OPTIONS: (
        '{"article": "It rained.", "question": "What fell?", '
        '"options": ["Rain", "Snow", "Hail", "Ash"]}'
    ),
    records.WORD: (
        '{"word": "bank", "sentence1": "a bank", "start1": 2, "end1": 6, '
        '"sentence2": "the bank", "start2": 4, "end2": 8}'
    ),
    records.SPANS: (
        '{"text": "Ann says she is wet.", "span1_text": "Ann", "span1_index": 0, '
        '"span2_text": "she", "span2_index": 2}'
    ),
}
"""Formulation → a question of it, as Python; a question of every other one is a text."""


def usage_lines(
    settings: Mapping[str, Any],
    task: Mapping[str, Any],
    precisions: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the three lines of Python that open the served model and ask it.

    Args:
        settings: the settings of the run.
        task: `kind`, the formulation.
        precisions: the exported files. The engine of the one that serves is named where another one
            would be opened, and bf16 is asked for.

    >>> print(usage_lines({"output_dir": "out", "threads": 1}, {"kind": "single sentence"}))
    from bort import Predictor
    predictor = Predictor.from_pretrained('out/model', threads=1)
    print(*predictor(["a text", "another text"]), sep="\\n")
    """
    folder = Path(settings["output_dir"]) / MODEL_FOLDER
    unknown = {"precision": FP32, "engine": settings.get("engine", AUTO)}
    served = next((one for one in precisions if one.get("taken")), unknown)
    options = [repr(str(folder)), f"threads={settings['threads']}"]
    if served["precision"] != INT8 and served["engine"] not in (AUTO, OPENVINO):
        options.append(f'engine="{served["engine"]}"')
    if served["precision"] == BF16:
        options.append('precision="fast"')
    return (
        "from bort import Predictor\n"
        f"predictor = Predictor.from_pretrained({', '.join(options)})\n"
        f'print(*predictor([{_questions(task)}]), sep="\\n")'
    )


def usage_elsewhere(settings: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """Return lines that use the Hugging Face folder of a run with Transformers.

    Args:
        settings: the settings of the run.
        task: `kind`, the formulation, and whether a text has `several_labels`, of which the
            pipeline would give the likeliest one alone.

    Returns:
        The lines; "" without such a folder, or if a question is more than one or two texts.
    """
    output = Path(settings["output_dir"])
    places = (output / _HUGGING_FACE, output / MODEL_FOLDER / _HUGGING_FACE)
    folder = next((place for place in places if (place / "config.json").is_file()), None)
    kind = task.get("kind")
    if folder is None or kind in _QUESTIONS.keys() - {records.PAIR}:
        return ""
    question = '"a text"'
    if kind == records.PAIR:
        question = '{"text": "one text", "text_pair": "another text"}'
    options = ", top_k=None" if task.get("several_labels") else ""
    return (
        "from transformers import pipeline\n"
        f"classify = pipeline('text-classification', {str(folder)!r}{options})\n"
        f"print(classify({question}))"
    )


def _questions(task: Mapping[str, Any]) -> str:
    return _QUESTIONS.get(task.get("kind", ""), '"a text", "another text"')
