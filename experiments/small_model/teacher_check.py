"""Check of the teacher: the model in its folder, and whether it was fine-tuned on the task."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.formats.huggingface.config import CONFIG_FILE
from bort.formats.network_folder import (
    check_rows,
    description_file,
    read_network_folder,
    vocabulary_of,
)
from bort.network.description import ModelDescription
from bort.search.latency_predictor import LEAST_ROWS
from bort.storage.file_tree import tree_files
from bort.storage.json_fields import shown
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import OwnTask, definition_of, recorded_task
from bort.tasks.records import REPORT, TaskRecord
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from experiments.small_model.space import measured_space

_NAME_OF_HUB = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_MOST_ROWS = 1.05
"""Rows of a token embedding, as a share of the tokens, above which a vocabulary is doubted. Models
have some more, so that their number suits the hardware."""

_OWN = "give the folder of the model before its fine-tuning"
_SPLITS = ("files", "sha256", "split_seed", "dev_share", "report_share")

KNOWN_REPORT = (
    "the teacher may have learned rows of the report split, since it was fine-tuned elsewhere: its "
    "score there, and those of models that learn from it, can be too good"
)
"""Note for a teacher of which `may_know_report` is true."""


@dataclass(frozen=True)
class CheckedTeacher:
    """A teacher that can be used.

    Attributes:
        folder: its folder.
        description: the model.
        vocabulary: its vocabulary.
        weight_bytes: bytes of its weights.
    """

    folder: str
    description: ModelDescription
    vocabulary: Vocabulary
    weight_bytes: int

    @property
    def architecture(self) -> Architecture:
        """The sizes of the teacher, with as many tokens as its vocabulary has."""
        return self.description.architecture.replace(vocabulary_size=len(self.vocabulary))

    @property
    def notes(self) -> Tuple[str, ...]:
        """Remarks for the user: many rows of the token embedding that no token uses."""
        rows, tokens = self.description.architecture.vocabulary_size, len(self.vocabulary)
        if rows <= _MOST_ROWS * tokens:
            return ()
        return (
            f"the teacher has {rows:,} tokens, its vocabulary {tokens:,}: the file of the "
            "vocabulary may be that of another model, or incomplete",
        )

    @property
    def has_head(self) -> bool:
        """Whether it was fine-tuned already."""
        return self.description.head is not None


def check_teacher(folder: str) -> CheckedTeacher:
    """Read a teacher whole, so that a damaged file is found now.

    Args:
        folder: the value of `--teacher`.

    Raises:
        InputError: it is no folder with a model (the message says how to get one), a file is
            damaged, a folder in it is a link, the vocabulary is not the model's, or the model has
            too few parts for a search.
    """
    path = Path(folder)
    if not path.is_dir():
        raise InputError(_no_folder(folder, path))
    network = read_network_folder(folder)
    tree_files(path, linked=True)  # all of them are read when the stages are planned
    vocabulary = load_vocabulary(vocabulary_of(folder))
    check_rows(folder, network.architecture.vocabulary_size, vocabulary)
    parts = measured_space(network.architecture).size()
    if parts < LEAST_ROWS:
        raise InputError(
            f"teacher is {folder!r}, {network.architecture}, which has {parts} parts of other "
            f"depths and widths; needed are {LEAST_ROWS}: a teacher with two layers or more"
        )
    size = sum(array.nbytes for array in network.arrays.values())
    return CheckedTeacher(folder, network.description, vocabulary, size)


def check_teacher_of_task(
    teacher: CheckedTeacher, record: TaskRecord, options: TaskOptions
) -> None:
    """Check that a fine-tuned teacher was fine-tuned on the task; any encoder fits.

    Args:
        teacher: the teacher.
        record: the task.
        options: the formulation of its items.

    Raises:
        InputError: it answers another task, or has other labels; the message says what differs.
    """
    head = teacher.description.head
    if head is None:
        return
    source, task = str(description_file(teacher.folder)), teacher.description.task
    head.check_for_task(source, spans=record.has_spans, several_labels=record.several_labels)
    if task is not None:
        known = recorded_task(task.name, task.definition, source)
        if known.name != record.model_task:
            same = ""
            if isinstance(record, OwnTask) and isinstance(known, OwnTask):
                same = (
                    f"; if it is the same task, name it so: scripts/describe_task.py --name "
                    f"{known.name} --output writes a task file"
                )
            raise InputError(
                f"{source}: the teacher was fine-tuned on {known.name}, the data are of "
                f"{record.name}; {_OWN}, or the data of {known.name}{same}"
            )
    labels, expected = teacher.description.labels, input_labels(record, options)
    outputs = output_count(record, options)
    if labels != expected or head.num_classes != outputs:
        found = shown(list(labels)) if labels else f"{head.num_classes} outputs without names"
        wanted = shown(list(expected)) if expected else "one number"
        how = ""  # other names do not make other outputs
        if head.num_classes == outputs:
            how = f", or {_how_to_name(source, record, sorted(labels) == sorted(expected))}"
        raise InputError(
            f"{source}: the teacher's labels are {found}, those of {record.name} are {wanted}; "
            f"{_OWN}{how}"
        )


def may_know_report(description: ModelDescription, record: TaskRecord, report_key: str) -> bool:
    """Return whether a teacher may have been trained on rows of the report split.

    Args:
        description: the teacher.
        record: the task.
        report_key: SHA-256 of the report split's examples.
    """
    if description.head is None:
        return False
    task = description.task
    if task is None:
        return True
    if task.held_out is not None:
        return task.held_out != report_key
    # Splits of an own task with a report split follow from these, and no training reads it.
    own, then = definition_of(record), task.definition
    if own is None or then is None or not record.splits_of(REPORT):
        return True
    return not own.get("sha256") or any(then.get(one) != own.get(one) for one in _SPLITS)


def _how_to_name(source: str, record: TaskRecord, is_same_set: bool) -> str:
    """Return how the labels of a teacher and of a task become the same, as the end of an error.

    Args:
        source: the description of the teacher.
        record: the task.
        is_same_set: whether they differ in their order alone. Then new names would exchange the
            meanings of the teacher's outputs.
    """
    if is_same_set and isinstance(record, OwnTask):
        return (
            "list the labels in the teacher's order in a task file, which scripts/describe_task.py "
            "--output writes"
        )
    where = ", in its id2label" if Path(source).name == CONFIG_FILE else ""
    return f"name the outputs like the labels, in the same order{where}"


def _no_folder(folder: str, path: Path) -> str:
    if path.exists():
        return f"teacher is {folder!r}, which is a file; allowed is the folder of a model"
    text = f"teacher is {folder!r}: no such folder; allowed are a model folder and a Hugging Face "
    if _NAME_OF_HUB.fullmatch(folder):
        return (
            f"{text}folder. If this is a name of the Hugging Face hub, get it first: "
            f"scripts/import_model.py --download {folder} --output_dir teacher, then --teacher "
            "teacher"
        )
    return f"{text}folder, such as one that scripts/import_model.py --download NAME writes"
