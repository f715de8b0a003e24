"""Lines of Python that use the model at the end of a run, with this package and without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Sequence

from bort.formats.precisions import BF16
from bort.storage.run_folder import MODEL_FOLDER

_HUGGING_FACE = "huggingface"


def usage_lines(
    settings: Mapping[str, Any],
    task: Mapping[str, Any],
    precisions: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the three lines of Python that open the served model and ask it.

    Args:
        settings: the settings of the run.
        task: `fields`, the names of the columns with texts.
        precisions: the exported files; of bf16, the engine is told to use it.

    >>> print(usage_lines({"output_dir": "out", "threads": 1}, {"fields": ["text"]}))
    from bort import Predictor
    predictor = Predictor.from_pretrained('out/model', threads=1)
    print(*predictor(["a text", "another text"]), sep="\\n")
    """
    folder = Path(settings["output_dir"]) / MODEL_FOLDER
    taken = [one["precision"] for one in precisions if one.get("taken")]
    options = [repr(str(folder)), f"threads={settings['threads']}"]
    if taken and taken[0] == BF16:
        options.append('precision="fast"')
    return (
        "from bort import Predictor\n"
        f"predictor = Predictor.from_pretrained({', '.join(options)})\n"
        f'print(*predictor([{_questions(task)}]), sep="\\n")'
    )


def usage_elsewhere(settings: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """Return lines that use the Hugging Face folder of a run with Transformers; "" without one.

    Args:
        settings: the settings of the run.
        task: `fields`, the names of the columns with texts.
    """
    output = Path(settings["output_dir"])
    places = (output / _HUGGING_FACE, output / MODEL_FOLDER / _HUGGING_FACE)
    folder = next((place for place in places if (place / "config.json").is_file()), None)
    if folder is None:
        return ""
    question = '"a text"'
    if _is_pair(task):
        question = '{"text": "one text", "text_pair": "another text"}'
    return (
        "from transformers import pipeline\n"
        f"classify = pipeline('text-classification', {str(folder)!r})\n"
        f"print(classify({question}))"
    )


def _questions(task: Mapping[str, Any]) -> str:
    return '("one text", "another text")' if _is_pair(task) else '"a text", "another text"'


def _is_pair(task: Mapping[str, Any]) -> bool:
    return len(task.get("fields", ())) == 2
