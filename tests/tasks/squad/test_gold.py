"""Gold answers become ranges of pieces, as in BERT's conversion of SQuAD."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.items import TaskItem
from bort.tasks.squad.gold import GoldPieces, first_answer
from bort.tasks.squad.pieces import make_context_pieces
from tests.tasks.squad.squad_questions import BERT, question
from tests.text.tiny_vocabulary import tiny_vocabulary

BYTES = tiny_vocabulary()


def found(context, answer, start=None, vocabulary=BERT):
    """The characters of the pieces that stand for an answer."""
    pieces = make_context_pieces([context], vocabulary)
    place = context.index(answer) if start is None else start
    gold = GoldPieces(pieces, vocabulary, [answer]).find(0, context, answer, place)
    return None if gold is None else context[pieces.begins[gold[0]] : pieces.ends[gold[1]]]


@pytest.mark.parametrize(
    ("context", "answer", "expected"),
    [
        ("the hotels, new york", "hotels", "hotels"),
        ("the hotels, new york", "hotel", "hotel"),
        ("the (2008) hotel", "2008", "2008"),
        ("the (2008) hotel", "200", "200"),
        ("the New  York hotel", "New  York", "New  York"),
        ("the new york hotel", "york hotel", "york hotel"),
        # an answer inside a token, or whose tokens are others: all pieces of its words
        ("the hotels, new york", "ote", "hotels,"),
        ("the hotels, new york", "s, new", "hotels, new"),
        # the first occurrence inside the words wins
        ("new new,new york", "new", "new"),
        ("in 19th.", "19th.", "19th."),
    ],
)
def test_the_range_of_an_answer(context, answer, expected):
    assert found(context, answer) == expected


def test_the_first_of_several_occurrences_inside_the_words():
    pieces = make_context_pieces(["a-b-a c"], BERT)
    gold = GoldPieces(pieces, BERT, ["a"])
    assert gold.find(0, "a-b-a c", "a", 4) == (0, 0)


def test_bytes_find_an_answer_with_and_without_the_space_in_front():
    assert found("a key, the key", "key", vocabulary=BYTES) == "key"
    assert found("old:the town", "the town", vocabulary=BYTES) == "the town"
    assert found("the man's key", "man", vocabulary=BYTES) == "man"


@pytest.mark.parametrize(
    ("context", "answer", "start"),
    [
        ("the hotel", "new", 0),  # other words are there
        ("the hotel", "hotel", 9),  # behind the end
        ("the hotel", "", 4),
        ("the hotel", " ", 3),
        ("  ", "the", 0),
        ("", "the", 0),
    ],
)
def test_an_answer_that_is_not_there(context, answer, start):
    assert found(context, answer, start) is None


def test_white_space_of_other_kinds_is_white_space():
    assert found("the new\u00a0york hotel", "new york", 4) == "new\u00a0york"
    assert found("  the hotel", "the", 0) is not None, "white space belongs to the next word"


def test_the_first_accepted_answer_counts():
    assert first_answer(question("the new hotel", "hotel", "new hotel")) == ("hotel", 8)
    assert first_answer(question("the hotel")) is None
    assert first_answer(question("the hotel", known=False)) is None
    torn = TaskItem("q", {"answer_starts": (1, 2)}, ("a",), "f.json data[0]")
    with pytest.raises(InputError, match=r"f.json data\[0\]: allowed is one answer_start for each"):
        first_answer(torn)
