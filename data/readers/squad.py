"""Reader of SQuAD's files: one JSON object with articles, paragraphs and questions.

Sources: arXiv:1606.05250 (SQuAD 1.1), arXiv:1806.03822 (SQuAD 2.0).
"""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

from bort.errors import InputError
from bort.storage.text_lines import LARGEST_TEXT_BYTES
from bort.tasks.items import Label, TaskItem
from bort.tasks.records import TEST, Split, TaskRecord
from data.readers.indices import SeenIndices
from data.readers.json_objects import JsonObject, read_json_object


def read_squad(record: TaskRecord, split: Split, path: Path) -> List[TaskItem]:
    """Read a file of SQuAD.

    An item has the fields `question`, `context` and, with answers, `answer_starts`: the offset of
    each answer in the context, in characters. Its label is the tuple of its accepted answers, ()
    for a question without an answer. Question and context may be blank. Answers of a test split
    are never read.

    Args:
        record: SQuAD 1.1 or 2.0.
        split: the split that the file holds.
        path: the file.

    Raises:
        InputError: a field is missing or has a wrong type, an offset lies outside the context, an
            id occurs twice, a question of SQuAD 1.1 has no answer, or the file is not JSON; names
            the file and the field's place in it.
    """
    seen = SeenIndices()
    items: List[TaskItem] = []
    for article in read_json_object(path, LARGEST_TEXT_BYTES).objects("data"):
        for paragraph in article.objects("paragraphs"):
            context = paragraph.text("context", may_be_blank=True)
            for question in paragraph.objects("qas", may_be_empty=True):
                item = _item(record, question, context, split.role == TEST)
                seen.add(item.index, item.file)
                items.append(item)
    if not items:
        raise InputError(f"{path}: has no question")
    return items


def _item(record: TaskRecord, question: JsonObject, context: str, is_test: bool) -> TaskItem:
    index = question.text("id")
    fields = {"question": question.text("question", may_be_blank=True), "context": context}
    where = f"{question.where} {question.path('id')} {index}"
    if is_test:
        return TaskItem(index, fields, None, where)
    texts, starts = _answers(record, question, context)
    label: Optional[Label] = texts
    return TaskItem(index, {**fields, "answer_starts": starts}, label, where)


def _answers(
    record: TaskRecord, question: JsonObject, context: str
) -> Tuple[Tuple[str, ...], Tuple[int, ...]]:
    """Return the texts and offsets of the accepted answers."""
    answers = question.objects("answers", may_be_empty=record.answers_optional)
    is_impossible = question.value("is_impossible") if question.has("is_impossible") else None
    if is_impossible not in (None, True, False) or (is_impossible and answers):
        raise InputError(
            f"{question.where}: {question.path('is_impossible')} is {is_impossible!r} with "
            f"{len(answers)} answers, allowed are true without answers, and false"
        )
    starts = []
    for answer in answers:
        start = answer.number("answer_start")
        if not 0 <= start <= len(context):
            raise InputError(
                f"{answer.where}: {answer.path('answer_start')} is {start}, allowed are offsets "
                f"into the context (0 to {len(context)})"
            )
        starts.append(start)
    return tuple(answer.text("text", may_be_blank=True) for answer in answers), tuple(starts)
