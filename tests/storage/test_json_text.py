"""JSON of unknown origin: damage ends in one line, and no value is out of bounds."""

from __future__ import annotations

from typing import Any

import pytest

from bort.errors import InputError
from bort.storage.json_text import DEEPEST_NESTING, LONGEST_INTEGER, parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, -2.5, true, null, "é"]}', {"a": [1, -2.5, True, None, "é"]}),
        ("9" * LONGEST_INTEGER, int("9" * LONGEST_INTEGER)),
        ("-" + "9" * LONGEST_INTEGER, -int("9" * LONGEST_INTEGER)),
        ("1e308", 1e308),
        ("1e-9999", 0.0),
        ('"' + "9" * 5000 + ' 1e999"', "9" * 5000 + " 1e999"),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\u0000"', "\0"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_values_come_back(text: str, value: Any) -> None:
    assert parse_json(text, "x") == value
    assert type(parse_json(text, "x")) is type(value)


def test_nesting_is_bounded_on_both_sides() -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        deepest = opening * DEEPEST_NESTING + "1" + closing * DEEPEST_NESTING
        parse_json(deepest, "x")
        with pytest.raises(InputError, match="^x: is not valid JSON: it is nested too deeply$"):
            parse_json(opening + deepest + closing, "x")
    parse_json("[" + "[]," * 1000 + "[]]", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[1] 2", "Extra data"),
        ("NaN", "NaN is not a number of JSON"),
        ("[-Infinity]", "-Infinity is not a number of JSON"),
        ("1e999", "the number 1e999 is too large"),
        ("-1E+4000", r"the number -1E\+4000 is too large"),
        ("9" * 5000, "an integer has 5000 digits, allowed are 300"),
        ("-" + "9" * 301, "an integer has 301 digits"),
        ('{"a": 1, "b": 2, "a": 3}', "the field 'a' comes twice"),
        ("[" * 100_000, "it is nested too deeply"),
        ('{"a":' * 100_000, "it is nested too deeply"),
        (r'["\ud800"]', r"a string holds \\ud800, half of a surrogate pair"),
        (r'{"\udfff": 1}', r"a string holds \\udfff, half of a surrogate pair"),
        ('"\0"', "Invalid control character"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_damage_ends_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^x: is not valid JSON: {message}") as caught:
        parse_json(text, "x")
    assert len(str(caught.value)) < 200


def test_a_caller_may_allow_repeated_fields_and_half_pairs() -> None:
    assert parse_json('{"a": 1, "a": 2}', "x", may_repeat=True) == {"a": 2}
    assert parse_json(r'"\ud800"', "x", may_have_surrogates=True) == "\ud800"


@pytest.mark.parametrize("place", range(0, LONGEST_INTEGER, 23))
def test_a_long_integer_is_found_wherever_it_is(place):
    text = " " * place + "[" + "8" * (LONGEST_INTEGER + 1) + "]" + " " * place
    with pytest.raises(InputError, match="an integer has 301 digits, allowed are 300"):
        parse_json(text, "here")
    assert parse_json(text.replace("88", "8", 1), "here") == [int("8" * LONGEST_INTEGER)]
