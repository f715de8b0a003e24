"""Tests of reading merges, and of noticing that some are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from bort.errors import InputError
from bort.text.merges import check_made, check_merges, merge_lines, merge_tokens

PLACE = Path("merges.txt")


def test_lines_with_their_numbers() -> None:
    for end in ("\n", "\r\n", "\r"):
        content = end.join(["#version: 0.2", "a b", "ab c", "", ""]).encode()
        assert merge_lines(content, PLACE) == [(2, "a b"), (3, "ab c")]
    assert merge_lines(b"# b\n", PLACE) == [(1, "# b")]
    for content in (b"a b c\n", b"a\n", b"a b\n\nc d\n", b"a  b\n"):
        with pytest.raises(InputError, match=r"merges\.txt line \d: .* expected two tokens"):
            merge_lines(content, PLACE)


def test_single_signs_added_tokens_and_fillers_need_no_merge() -> None:
    names = ["a", "b", "ab", "<x>", "[unused1]", "madeupword0000", "b</w>", "new"]
    check_made(names, ["ab", "new"], "here", suffix="</w>")
    with pytest.raises(InputError, match="here: 1 tokens .* such as 'new': the list of merges"):
        check_made(names, ["ab"], "here", suffix="</w>")


def test_the_model_of_a_tokenizer_json() -> None:
    model: Dict[str, Any] = {"type": "BPE", "vocab": {"a": 0, "##b": 1, "ab": 2, "new": 3}}
    model.update(continuing_subword_prefix="##", merges=[["a", "##b"]])
    with pytest.raises(InputError, match="2 tokens .* such as 'ab'"):
        check_merges({**model, "merges": []}, [], "here")
    check_merges(model, ["new"], "here")
    check_merges({**model, "merges": [], "ignore_merges": True}, [], "here")
    check_merges({**model, "type": "WordPiece"}, [], "here")
    for wrong in (["a"], "a", 5, [1, 2], "a b c"):
        with pytest.raises(InputError, match="is no merge of two tokens"):
            check_merges({**model, "merges": [wrong]}, ["new"], "here")


@pytest.mark.parametrize("first", [b"", b"#version: 0.2\n", b"#version: 0.2\r\n", b"#version: 0.2"])
@pytest.mark.parametrize(
    "rest",
    [b"", b"\n", b"a b", b"a b\n", b"a b\nc d\n", b"a b\n\n", b"a b\r\nc d\r\n", b"a\tx b\n"]
    + [b"a  b\n", b"a b c\n", b"a\n", b" a\n", b"\na b\n", b"a b\n\nc d\n", b"a b\n \n", b"\xff"]
    + ["a\u2028x b\n".encode()],
)
def test_tokens_of_a_merges_file_are_those_of_its_lines(first, rest):
    expected = _or_message(
        lambda: [token for _, line in merge_lines(first + rest, PLACE) for token in line.split(" ")]
    )
    assert _or_message(lambda: merge_tokens(first + rest, PLACE)) == expected


def _or_message(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except InputError as error:
        return str(error)
