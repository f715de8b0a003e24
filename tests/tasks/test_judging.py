"""Sets of a task: two of them as one."""

from __future__ import annotations

from typing import Sequence

import pytest

from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.items import TaskItem
from bort.tasks.judging import TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from tests.text.tiny_vocabulary import tiny_vocabulary

TEXTS = ["A cat sat.", "The old house by the river is quiet today.", "Rain.", "A dog ran."]
LONGEST = 12


def set_of(texts: Sequence[str], labelled: bool = False) -> TaskSet:
    """Return a tokenised set of some texts."""
    task = get_task("CoLA")
    items = [TaskItem(n, {"sentence": text}, "01"[n % 2]) for n, text in enumerate(texts)]
    inputs = make_inputs(task, items, TaskOptions())
    if not labelled:
        inputs = [one._replace(label=None) for one in inputs]
    return TaskSet(task, "unlabelled", items, tokenise(inputs, tiny_vocabulary(), LONGEST))


@pytest.mark.parametrize("labelled", [False, True])
def test_two_sets_as_one_are_the_set_of_all_texts(labelled: bool) -> None:
    whole = set_of(TEXTS, labelled)
    joined = set_of(TEXTS[:2], labelled).followed_by(set_of(TEXTS[2:], labelled))
    assert [item.text("sentence") for item in joined.items] == TEXTS
    assert len(joined.features) == len(TEXTS)
    for name in ("tokens", "offsets", "labels", "item_numbers", "choices"):
        own, expected = getattr(joined.features, name), getattr(whole.features, name)
        assert own.dtype == expected.dtype
        assert own.tolist() == expected.tolist(), name
    for name in ("truncated", "dropped_tokens", "vocabulary_fingerprint", "type_separator"):
        assert getattr(joined.features, name) == getattr(whole.features, name), name
    assert joined.features.truncated > 0
    assert joined.name == whole.name


def test_the_fingerprint_of_two_sets_depends_on_both_and_their_order() -> None:
    first, second = set_of(TEXTS[:2]), set_of(TEXTS[2:])
    found = {
        one.features.fingerprint
        for one in (first, second, first.followed_by(second), second.followed_by(first))
    }
    assert len(found) == 4
