"""Fields of JSON objects: valid ones are returned, errors name invalid ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError
from bort.storage.json_fields import JsonFields, errors_naming, read_fields

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


def test_ranges_are_checked() -> None:
    fields = JsonFields.of({"size": 3, "rate": 0.5}, "x.json")
    assert fields.integer("size", 3, 3) == 3
    assert fields.number("rate", 0, 1) == 0.5
    for allowed, limits in ((" of at least 4", (4, None)), (" from 4 to 5", (4, 5))):
        with pytest.raises(InputError, match=f"^x.json: size is 3, .* an integer{allowed}$"):
            fields.integer("size", *limits)
    with pytest.raises(InputError, match="rate is 0.5, allowed is a finite number of at most 0.25"):
        fields.number("rate", None, 0.25)


def test_lists_name_the_bad_entry() -> None:
    values = {"a": {"list": [{"n": 1}, 2], "numbers": [1, 2.5]}}
    fields = JsonFields.of(values, "x.json").fields("a")
    assert fields.numbers("numbers") == (1, 2.5)
    assert fields.items("list") == [{"n": 1}, 2]
    with pytest.raises(InputError, match=r"^x.json: a.list\[1\] is 2, allowed is an object$"):
        fields.objects("list")
    with pytest.raises(InputError, match=r"^x.json: a.list\[0\] is {'n': 1}, allowed is a finite"):
        fields.numbers("list")
    with pytest.raises(InputError, match=r"^x.json: a.numbers\[0\] is 1, allowed is .* least 2"):
        fields.numbers("numbers", 2)
    good = JsonFields.of({"list": [{"n": 1}, {"n": True}]}, "x.json").objects("list")
    assert good[0].all_numbers() == {"n": 1}
    with pytest.raises(InputError, match=r"^x.json: list\[1\].n is True, allowed is a finite"):
        good[1].all_numbers()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\\b", "a\0", 3])
def test_a_plain_name_leads_nowhere(name: Any) -> None:
    assert JsonFields.of({"file": "a..b"}, "x.json").plain_name("file") == "a..b"
    with pytest.raises(InputError, match="^x.json: file is .*, allowed is a"):
        JsonFields.of({"file": name}, "x.json").plain_name("file")


def test_a_file_is_read_as_fields(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('\ufeff{"a": 1}')
    assert read_fields(path).integer("a") == 1
    path.write_text("[1]")
    with pytest.raises(InputError, match=r"x\.json: it is \[1\], allowed is an object"):
        read_fields(path)


def test_an_error_names_its_file_once() -> None:
    for text in ("depth is 0", "x.json: depth is 0"):
        with pytest.raises(InputError, match="^x.json: depth is 0$"), errors_naming("x.json"):
            raise InputError(text)
    with pytest.raises(KeyError), errors_naming("x.json"):
        raise KeyError("depth")
