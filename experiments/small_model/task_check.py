"""Check of the task's data: files, rows of each split, classes, and the language of the texts."""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Sequence, Tuple, cast

import numpy as np

from bort.agora.task_data import check_has_points
from bort.errors import InputError
from bort.tasks.items import TaskItem
from bort.tasks.own.task import OwnTask
from bort.tasks.records import REPORT, TRAIN, TaskRecord
from bort.text.vocabulary import Vocabulary
from data.corpus.summary import MOST_UNKNOWN
from experiments.small_model.task import SmallTask

LEAST_TRAINING_ROWS = 32
"""Fewest training rows: those of two steps."""

LEAST_SCORED_ROWS = 10
"""Fewest rows of a dev and a report split: with fewer, one row moves a score by more than ten
points."""

MOST_SINGLE_LETTERS = 0.75
"""Share of the letters that stand alone in their tokens above which a vocabulary does not know the
words of a text. English texts have 1 to 10 %; Russian, Greek or Arabic ones have 90 % and more in
an English vocabulary that knows their letters."""

_FEW_SCORED_ROWS = 200
_MANY_SHORTENED = 0.1
"""Share of shortened training inputs above which they are told of."""

_LOOKED_AT = 1_000
_MOST_TOKENS_PER_WORD = 2.0


@dataclass(frozen=True)
class CheckedTask:
    """The texts and splits of a task that can be used.

    Attributes:
        facts: result of `SmallTask.described`.
        unknown_share: share of the texts' tokens that are unknown to the teacher's vocabulary.
        single_letters: share of their letters that stand alone in a token.
        tokens_per_word: tokens of a word between spaces, on average.
        notes: remarks for the user.
    """

    facts: Mapping[str, Any]
    unknown_share: float
    single_letters: float
    tokens_per_word: float
    notes: Tuple[str, ...] = ()


def check_is_trainable(record: TaskRecord) -> None:
    """Raise `InputError` if a task has no training data, or answers that are spans of a passage."""
    check_has_points(record)
    if not record.trains:
        raise InputError(
            f"task_name is {record.name!r}, which has no training data; allowed is "
            f"{record.model_task!r}, whose model answers it"
        )


def check_task_data(task: SmallTask, teacher: str) -> CheckedTask:
    """Check that the rows of a task are enough, and that the teacher's vocabulary knows its texts.

    Args:
        task: the task.
        teacher: folder of the teacher, for messages.

    Raises:
        InputError: a split has too few rows, all rows have one label, or the texts are in another
            language; the message says what would do.
    """
    facts, data = task.described(), task.data
    _check_rows(data.record, facts)
    if len(np.unique(data.train.features.labels)) < 2:
        raise InputError(
            f"{data.record.name}: all {facts['train']:,} training rows have one label; allowed are "
            "two or more"
        )
    if data.record.is_regression:
        _check_numbers(task)
    texts = list(_texts(data.train.items))
    rows = data.vocabulary.encode_batch(texts)
    words = sum(len(text.split()) for text in texts)
    found = CheckedTask(
        facts,
        unknown_share=unknown_tokens(rows, data.vocabulary),
        single_letters=single_letters(texts, rows, data.vocabulary),
        tokens_per_word=sum(map(len, rows)) / max(1, words),
    )
    _check_language(found, data.record.name, teacher)
    notes = _notes(found, texts, is_regression=data.record.is_regression)
    return dataclasses.replace(found, notes=(*notes, *_on_length(task), *_on_range(task)))


def unknown_tokens(rows: Sequence[Sequence[int]], vocabulary: Vocabulary) -> float:
    """Return the share of the tokens of some texts that are `<unk>`, from 0 to 1."""
    unknown = sum(list(row).count(vocabulary.unk_id) for row in rows)
    return unknown / max(1, sum(map(len, rows)))


def single_letters(
    texts: Sequence[str], rows: Sequence[Sequence[int]], vocabulary: Vocabulary
) -> float:
    """Return the share of the letters of some texts that stand alone in a token, or in pieces.

    A vocabulary that lacks the language of a text but knows its letters cuts words into letters,
    and one of bytes cuts letters too. Characters outside of ASCII count as letters. Those of
    Chinese stand alone in every vocabulary, so they count only if they are in pieces.

    Args:
        texts: the texts.
        rows: their tokens.
        vocabulary: the vocabulary.
    """
    letters = alone = 0
    for text, row in zip(texts, rows):
        letters += sum(c.isalpha() or ord(c) > 127 for c in unicodedata.normalize("NFKC", text))
        alone += sum(_is_alone(vocabulary.surface_of(token)) for token in row)
    return min(1.0, alone / max(1, letters))


def _is_alone(surface: bytes) -> bool:
    """Return whether a token is one letter, not a Chinese one, or a part of a letter."""
    try:
        text = surface.decode("utf-8").strip().lstrip("#")
    except UnicodeDecodeError:
        return True
    return len(text) == 1 and text.isalpha() and not unicodedata.name(text, "").startswith("CJK")


def _check_rows(record: TaskRecord, facts: Mapping[str, Any]) -> None:
    least = {"train": LEAST_TRAINING_ROWS, "dev": LEAST_SCORED_ROWS, "report": LEAST_SCORED_ROWS}
    for name, needed in least.items():
        if facts[name] < needed:
            advice = "add rows" if name == TRAIN else "add rows to its file"
            if isinstance(record, OwnTask) and _is_drawn(record, name):
                advice = (
                    f"about {_rows_in_all(record)} labelled rows in all are enough, or files of "
                    "their own for dev and report (scripts/describe_task.py --dev --report)"
                )
            raise InputError(
                f"{record.name}: the {name} split has {facts[name]} rows, needed are {needed}; "
                f"{advice}"
            )


def _check_numbers(task: SmallTask) -> None:
    """Refuse a regression whose dev or report numbers are all equal; no model can be scored."""
    record = task.data.record
    for name, items in _scored(task):
        different = {item.label for item in items}
        if len(different) < 2:
            advice = "add rows to its file"
            if isinstance(record, OwnTask) and _is_drawn(record, name):
                advice = "another --split_seed or more rows draw others"
            raise InputError(
                f"{record.name}: all {len(items)} numbers of the {name} split are "
                f"{different.pop()}, and a correlation needs two different ones; {advice}"
            )


def _scored(task: SmallTask) -> Iterator[Tuple[str, Sequence[TaskItem]]]:
    """Yield the names and the examples of the sets that models are scored on."""
    for dev_set in task.data.dev:
        yield "dev", dev_set.items
    yield REPORT, task.whole.report_items


def _is_drawn(task: OwnTask, name: str) -> bool:
    """Return whether a split consists of rows of the training file."""
    return any(one.name == name and one.files[0] == task.train_file for one in task.splits)


def _rows_in_all(task: OwnTask) -> int:
    """Return how many rows of one file give enough rows for each split."""
    share = min(task.dev_share, task.report_share or task.dev_share)
    rows = max(LEAST_SCORED_ROWS / share, LEAST_TRAINING_ROWS / max(0.1, 1 - 2 * share))
    return int(math.ceil(rows / 10) * 10)


def _check_language(task: CheckedTask, name: str, teacher: str) -> None:
    if task.unknown_share > MOST_UNKNOWN:
        found = f"{100 * task.unknown_share:.0f} % of the tokens are unknown to the vocabulary of"
        most = f"{100 * MOST_UNKNOWN:.0f} %"
    elif task.single_letters > MOST_SINGLE_LETTERS:
        found = f"{100 * task.single_letters:.0f} % of the letters stand alone in the tokens of"
        most = f"{100 * MOST_SINGLE_LETTERS:.0f} %"
    else:
        return
    raise InputError(
        f"{name}: {found} the teacher {teacher}, allowed are {most}: it does not know the language "
        "or script of these texts; name a teacher of their language, or a multilingual one, with "
        "--teacher"
    )


def _notes(task: CheckedTask, texts: Sequence[str], is_regression: bool) -> Iterator[str]:
    score, most = ("a correlation", 100) if is_regression else ("an accuracy", 50)
    for name in ("dev", "report"):
        rows = task.facts[name]
        if rows < _FEW_SCORED_ROWS:
            yield (
                f"the {name} split has {rows} rows only: {score} has a standard error of up to "
                f"{most / math.sqrt(rows):.1f} points"
            )
    if task.tokens_per_word > _MOST_TOKENS_PER_WORD and _has_spaces(texts):
        yield (
            f"a word has {task.tokens_per_word:.1f} tokens on average: the teacher's vocabulary "
            "may be one of another language or field"
        )


def _on_length(task: SmallTask) -> Iterator[str]:
    """Yield a note if many training inputs are longer than the longest that is allowed."""
    features = task.data.train.features
    share = features.truncated / max(1, len(features))
    if share > _MANY_SHORTENED:
        lost = features.dropped_tokens / (features.dropped_tokens + len(features.tokens))
        yield (
            f"{100 * share:.0f} % of the training inputs are longer than {task.length} tokens and "
            f"are shortened, which drops {100 * lost:.0f} % of all tokens; a larger --max_len "
            "keeps them if the teacher takes so many"
        )


def _on_range(task: SmallTask) -> Iterator[str]:
    """Yield a note if numbers of a scored set are outside of those that predictions can be."""
    limits = task.data.record.label_range
    if limits is None:
        return
    low, high = limits
    for name, items in _scored(task):
        outside = sum(not low <= cast(float, item.label) <= high for item in items)
        if outside:
            yield (
                f"{outside:,} of the {len(items):,} numbers of the {name} split are outside of "
                f"{low:g} to {high:g}, the range of the task: predictions do not leave it"
            )


def _has_spaces(texts: Sequence[str]) -> bool:
    """Return whether words stand between spaces, as they do not in Chinese or Thai."""
    characters = sum(map(len, texts))
    return sum(text.count(" ") for text in texts) > characters / 20


def _texts(items: Sequence[TaskItem]) -> Iterator[str]:
    """Yield the texts of at most 1,000 items that are spread over all."""
    step = max(1, len(items) // _LOOKED_AT)
    for item in items[::step]:
        for value in item.fields.values():
            parts: List[object] = list(value) if isinstance(value, tuple) else [value]
            yield from (part for part in parts if isinstance(part, str))
