"""Formulations: conversion of official items into model inputs of one or two texts with labels.

Every input is a text A or one pair (A, B), whatever the number of an item's fields. For a model
with token types (see `bort.text.pair_form`), A has type 0 and B has type 1. A is the first
sentence, or the passage, article or premise with what follows it; B is the second sentence, or the
answer, candidate or option with its question or query.

The formulations follow arXiv 2010.10499 where it states them. Our assumptions are:

- COPA: the question follows the premise as a sentence; the choice is the second segment.
- MultiRC, RACE: the second segment is the question, a space and the answer; a blank in a question
  is not filled in.
- ReCoRD: the second segment is the query with the candidate in place of the placeholder; equal
  candidates are merged; line breaks and highlight marks of the passage become spaces.
- WiC: the word and a colon precede the first sentence.
- WSC: there is one segment, with a marker before and after both spans.
- Pairs: the segments are in the order of the record's fields.

SQuAD has another form: windows of a passage, see `bort.tasks.squad.windows`.
"""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Sequence, Tuple

from bort.errors import InputError
from bort.tasks import records
from bort.tasks.dropping import balanced_choices, half_of_the_passages
from bort.tasks.items import InputLabel, Piece, Segment, TaskInput, TaskItem
from bort.tasks.options import FOUR_WAY, TaskOptions
from bort.tasks.records import TaskRecord
from bort.tasks.spans import marked_spans, word_in_sentence

PLACEHOLDER = "@placeholder"
_COPA_QUESTIONS = {"cause": "What was the cause?", "effect": "What happened as a result?"}
_OPTION_SEPARATOR = " </sep> "  # plain text in the original release, not a special token
_BALANCED_BY_DEFAULT = (records.ENTITIES, records.OPTIONS)
_CHOSEN_FROM = (records.ANSWERS, records.ENTITIES, records.OPTIONS)
_BINARY = ("0", "1")

Segments = Tuple[Segment, ...]
Former = Callable[[TaskRecord, TaskItem, TaskOptions], List[Segments]]


def make_inputs(
    record: TaskRecord,
    items: Sequence[TaskItem],
    options: TaskOptions,
    training: bool = False,
) -> List[TaskInput]:
    """Return the model inputs of all items, in the order of `items`.

    Args:
        record: the task.
        items: official examples.
        options: options of the formulation.
        training: drop the inputs that training leaves out (see `TaskOptions`); requires labels.

    Raises:
        InputError: an item is inconsistent, or has no label for training; names file and line. Or
            the task has windows instead (SQuAD).
    """
    if record.has_spans:
        raise InputError(
            f"{record.name}: its inputs are windows of a passage, which make_span_features makes"
        )
    form, drops = _FORMERS[record.formulation], _drops_negatives(record, options)
    kept = [True] * len(items)
    if training and record.name == "RACE-H" and options.halve_race_h:
        kept = half_of_the_passages(items, options.drop_seed)
    inputs: List[TaskInput] = []
    for number, item in enumerate(items):
        if training and item.label is None:
            raise InputError(f"{item.where}: has no label to train on")
        if not kept[number]:
            continue
        several = form(record, item, options)
        targets = _targets(record, item, options, len(several))
        choices: Sequence[int] = range(len(several))
        if training and drops:
            right = [target == 1 for target in targets]
            choices = balanced_choices(right, item.index, options.drop_seed)
        inputs.extend(TaskInput(several[c], targets[c], number, c) for c in choices)
    return inputs


def input_labels(record: TaskRecord, options: TaskOptions) -> Tuple[str, ...]:
    """Return the class names in the order of a model's outputs; () for a regression and for spans.

    COPA, MultiRC, ReCoRD and RACE per option are binary: the answer is right or wrong.
    """
    if record.formulation == records.OPTIONS and options.race_form == FOUR_WAY:
        return record.labels
    if record.formulation in (records.CHOICES, *_CHOSEN_FROM):
        return _BINARY
    return record.labels


def output_count(record: TaskRecord, options: TaskOptions) -> int:
    """Return the number of model outputs: one per class or label, 1 for a regression.

    A model of spans has two outputs for every token, the logits of the start and of the end.
    """
    if record.has_spans:
        return 2
    return len(input_labels(record, options)) or 1


def candidates(item: TaskItem) -> Tuple[str, ...]:
    """Return ReCoRD's candidate entities, each text once, in order of first appearance."""
    return tuple(dict.fromkeys(item.texts("entities")))


def clean_passage(text: str) -> str:
    """Return a passage of MultiRC without markup.

    This removes sentence numbers in markup, other tags, soft hyphens and repeated white space, and
    changes nothing else.

    >>> clean_passage("<b>Sent 1: </b>It  rained.<br><b>Sent 2: </b>She stayed in. ")
    'It rained. She stayed in.'
    """
    text = re.sub(r"<b>\s*Sent\s*\d+\s*:\s*</b>", " ", text)
    text = re.sub(r"</?[a-zA-Z]+ ?/?>", " ", text)
    return " ".join(text.replace("\u00ad", "").split())


def _drops_negatives(record: TaskRecord, options: TaskOptions) -> bool:
    per_choice = record.formulation in _CHOSEN_FROM and len(input_labels(record, options)) == 2
    if options.balance and not per_choice:
        raise InputError(
            f"balance is true, but {record.name} in this form has no wrong answers to drop; "
            "it is allowed for MultiRC, ReCoRD and RACE per option"
        )
    wanted = options.balance
    return per_choice and (record.formulation in _BALANCED_BY_DEFAULT if wanted is None else wanted)


def _targets(
    record: TaskRecord, item: TaskItem, options: TaskOptions, count: int
) -> List[InputLabel]:
    label = item.label
    if label is None:
        return [None] * count
    if record.formulation == records.ENTITIES:
        right = label if isinstance(label, tuple) else (label,)
        return [int(entity in right) for entity in candidates(item)]
    if record.formulation == records.ANSWERS:
        labels = label if isinstance(label, tuple) else (label,)
        if len(labels) != count:
            raise InputError(f"{item.where}: {count} answers have {len(labels)} labels")
        return [_class_id(record, item, part) for part in labels]
    if record.several_labels:
        if not isinstance(label, tuple):
            raise InputError(f"{item.where}: label is {label!r}, expected a list of labels")
        held = {_class_id(record, item, part) for part in label}
        return [tuple(float(number in held) for number in range(len(record.labels)))]
    if record.is_regression:
        if isinstance(label, (int, float)):
            return [float(label)]
        raise InputError(f"{item.where}: label is {label!r}, expected a number")
    number = _class_id(record, item, label)
    if input_labels(record, options) != record.labels or record.formulation == records.CHOICES:
        return [int(choice == number) for choice in range(count)]
    return [number]


def _class_id(record: TaskRecord, item: TaskItem, label: object) -> int:
    if label not in record.labels:
        allowed = ", ".join(record.labels)
        raise InputError(f"{item.where}: label is {label!r}, allowed are {allowed}")
    return record.labels.index(str(label))


def _plain(text: str, rank: int = 1) -> Segment:
    return Segment((Piece(text),), rank)


def _sentences(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    return [tuple(_plain(item.text(name), int(name != record.passage)) for name in record.fields)]


def _marked(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    return [(Segment(marked_spans(item, options.span_marker)),)]


def _word(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    first = word_in_sentence(item, "sentence1", "start1", "end1")
    second = word_in_sentence(item, "sentence2", "start2", "end2")
    head = Piece(f"{item.text('word')}:", keep=True)
    spaced = first[0]._replace(text=f" {first[0].text}")
    return [(Segment((head, spaced, *first[1:])), Segment(second))]


def _choices(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    asked = item.text("question")
    if asked not in _COPA_QUESTIONS:
        raise InputError(f"{item.where}: question is {asked!r}, allowed are cause and effect")
    premise = _plain(f"{item.text('premise')} {_COPA_QUESTIONS[asked]}", 0)
    return [(premise, _plain(item.text(name))) for name in ("choice1", "choice2")]


def _answers(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    text, question = item.text("passage"), item.text("question")
    passage = _plain(clean_passage(text) if options.clean_multirc else text, 0)
    return [(passage, _plain(f"{question} {answer}")) for answer in item.texts("answers")]


def _entities(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    passage = _plain(" ".join(item.text("passage").replace("@highlight", " ").split()), 0)
    before, found, after = item.text("query").partition(PLACEHOLDER)
    if not found:
        raise InputError(f"{item.where}: query {item.text('query')!r} has no {PLACEHOLDER}")
    space = before[len(before.rstrip()) :]
    head = [Piece(before.rstrip())] if before.strip() else []
    tail = [Piece(after)] if after else []
    return [
        (passage, Segment((*head, Piece(space + entity, keep=True), *tail)))
        for entity in candidates(item)
    ]


def _options(record: TaskRecord, item: TaskItem, options: TaskOptions) -> List[Segments]:
    article, question = item.text("article"), item.text("question")
    several = item.texts("options")
    if options.race_form == FOUR_WAY:
        text = Segment((Piece(article), Piece(f" {question}", keep=True)), 0)
        return [(text, _plain(_OPTION_SEPARATOR.join(several)))]
    passage = _plain(article, 0)
    return [(passage, _plain(f"{question} {option}")) for option in several]


_FORMERS: Dict[str, Former] = {
    records.SINGLE: _sentences,
    records.PAIR: _sentences,
    records.SPANS: _marked,
    records.WORD: _word,
    records.CHOICES: _choices,
    records.ANSWERS: _answers,
    records.ENTITIES: _entities,
    records.OPTIONS: _options,
}
