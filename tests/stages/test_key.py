"""Canonical JSON has one text for a value, and the key is its SHA-256 in every Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.stages.key import canonical_hash, canonical_json, contents_hash, source_hash

VALUE = {"b": [1, 1.0, True, None, -0.0, 1e22, 0.1], "a": {"é": "\U0001f600\n", "Z": [], "z": {}}}
TEXT = '{"a":{"Z":[],"z":{},"é":"\U0001f600\\n"},"b":[1,1.0,true,null,-0.0,1e+22,0.1]}'
PRINT_KEY = """
import sys, types
sys.modules["numpy"] = types.ModuleType("numpy")  # this interpreter may have no packages
from bort.stages.key import canonical_hash
print(canonical_hash(eval(sys.argv[1])))
"""


def test_the_text_is_as_documented_and_hashed_as_by_sha256sum(tmp_path: Path) -> None:
    assert canonical_json(VALUE).decode("utf-8") == TEXT
    path = tmp_path / "value.json"
    path.write_text(TEXT, encoding="utf-8", newline="")
    done = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert canonical_hash(VALUE) == done.stdout.split()[0]


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
@pytest.mark.parametrize("python", [sys.executable, "3.8", "3.9", "3.10", "3.12"])
def test_another_interpreter_finds_the_same_key(project_root: Path, python: str, seed: str) -> None:
    found = [python] if python == sys.executable else other_pythons(python)
    if not found:
        pytest.skip(f"Python {python} is not installed")
    done = subprocess.run(
        [found[0], "-c", PRINT_KEY, repr(VALUE)],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(project_root)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [canonical_hash(VALUE)], done.stderr


def other_pythons(version: str) -> list[str]:
    """Interpreters of a version: on the path if they start, or those of pyenv."""
    found = [shutil.which(f"python{version}")]
    found += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return [
        one
        for one in found
        if one is not None
        and subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ("1", 1),
        (None, "null"),
        ("\u00e9", "e\u0301"),
        ([1, 2], [2, 1]),
        ([], {}),
        ([[1], 2], [1, [2]]),
    ],
)
def test_values_that_differ_have_different_keys(first: Any, second: Any) -> None:
    assert canonical_hash({"x": first}) != canonical_hash({"x": second})


def test_order_of_keys_and_the_type_of_a_list_do_not_count() -> None:
    assert canonical_hash({"a": 1, "b": (1, 2)}) == canonical_hash({"b": [1, 2], "a": 1})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"])),
    lambda inside: st.lists(inside) | st.dictionaries(st.text("abcé"), inside),
    max_leaves=20,
)


@given(JSON, JSON)
def test_equal_texts_are_equal_values(first: Any, second: Any) -> None:
    text = canonical_json(first)
    assert canonical_json(json.loads(text)) == text
    assert (text == canonical_json(second)) == (repr_of(first) == repr_of(second))


def repr_of(value: Any) -> str:
    """Return a text that tells 1, 1.0 and True apart, without any JSON."""
    if isinstance(value, dict):
        return str(sorted((name, repr_of(one)) for name, one in value.items()))
    if isinstance(value, list):
        return f"list {[repr_of(one) for one in value]}"
    return f"{type(value).__name__} {value!r}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "Out of range float"),
        ({"a": [float("inf")]}, "Out of range float"),
        ({1: "a"}, "the key 1 is no string"),
        ([{"a": {None: 1}}], "the key None is no string"),
        (Path("a"), "not JSON serializable"),
        ({1, 2}, "not JSON serializable"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_what_has_no_canonical_text_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        canonical_hash(value)


def test_a_value_inside_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InputError, match="has no canonical JSON"):
        canonical_hash(value)


def test_names_of_files_count_and_places_do_not(tmp_path: Path) -> None:
    assert contents_hash({"a": "1" * 64}) != contents_hash({"b": "1" * 64})
    for name in ("one", "two"):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "a.txt").write_text("content")
    assert source_hash(tmp_path / "one") == source_hash(tmp_path / "two")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "in").mkdir()
    (tmp_path / "linked" / "in" / "a.txt").symlink_to(tmp_path / "one" / "in" / "a.txt")
    assert source_hash(tmp_path / "linked") == source_hash(tmp_path / "one")
    (tmp_path / "two/in/a.txt").rename(tmp_path / "two/in/b.txt")
    assert source_hash(tmp_path / "one") != source_hash(tmp_path / "two")
    with pytest.raises(InputError, match=r"three: cannot be read: No such file"):
        source_hash(tmp_path / "three")
