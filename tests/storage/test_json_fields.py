"""Fields of JSON objects: valid ones are returned, errors name invalid ones."""

from __future__ import annotations

from typing import Any

import pytest

from bort.errors import InputError
from bort.storage.json_fields import JsonFields, errors_naming

GOOD = {
    "integer": 3,
    "number": 0.5,
    "boolean": False,
    "text": "a",
    "texts": ["a", "b"],
    "fields": {"inner": {"size": 2}},
}
JUNK = (None, True, 1, 10**400, 0.5, float("nan"), float("inf"), "1", ["a", 1], [], {"a": 1})
TAKEN = {
    "integer": {"1", repr(10**400)},
    "number": {"1", repr(10**400), "0.5"},
    "boolean": {"True"},
    "text": {"'1'"},
    "texts": {"[]"},
    "fields": {"{'a': 1}"},
}


@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_a_field_of_the_right_type_is_given(kind: str) -> None:
    found = getattr(JsonFields.of(GOOD, "x.json"), kind)(kind)
    if kind == "fields":
        assert found.fields("inner").integer("size") == 2
    else:
        assert found == (tuple(GOOD[kind]) if kind == "texts" else GOOD[kind])


@pytest.mark.parametrize("value", JUNK, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("kind", sorted(TAKEN))
def test_another_type_is_refused(kind: str, value: Any) -> None:
    fields = JsonFields.of({"outer": {"field": value}}, "x.json").fields("outer")
    if repr(value) in TAKEN[kind]:
        getattr(fields, kind)("field")
        return
    with pytest.raises(InputError, match="^x.json: outer.field is .*, allowed is ") as caught:
        getattr(fields, kind)("field")
    assert repr(value)[:60] in str(caught.value)
    assert len(str(caught.value)) < 150


def test_a_missing_field_is_named() -> None:
    fields = JsonFields.of(GOOD, "x.json").fields("fields").fields("inner")
    with pytest.raises(InputError, match="^x.json: fields.inner.width is missing$"):
        fields.integer("width")


def test_null_is_no_object_and_may_be_allowed() -> None:
    fields = JsonFields.of({"head": None, "other": {}}, "x.json")
    assert fields.optional_fields("head") is None
    assert fields.optional_fields("other") is not None
    with pytest.raises(InputError, match="head is None, allowed is an object"):
        fields.fields("head")


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_a_file_that_holds_no_object_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="^x.json: it is .*, allowed is an object"):
        JsonFields.of(value, "x.json")


def test_fields_but_some() -> None:
    assert JsonFields.of({"a": 1, "b": 2, "c": 3}, "x.json").without("b", "d") == {"a": 1, "c": 3}


def test_an_error_names_its_file_once() -> None:
    for text in ("depth is 0", "x.json: depth is 0"):
        with pytest.raises(InputError, match="^x.json: depth is 0$"), errors_naming("x.json"):
            raise InputError(text)
    with pytest.raises(KeyError), errors_naming("x.json"):
        raise KeyError("depth")
