"""Numbered lines of text files: their ends, and files that are refused."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.storage.text_lines import read_lines, read_text


def test_only_a_line_feed_ends_a_line_and_blank_lines_at_the_end_are_left_out(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\u2028still\r\n\n two\x0b\n \n\n".encode())
    assert read_lines(path) == [(1, "one\u2028still"), (2, ""), (3, " two\x0b")]
    assert read_text(path).startswith("one")


def test_what_is_missing_empty_or_no_text_is_named(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(InputError, match=r"a\.txt: cannot be read: No such file"):
        read_lines(path)
    path.write_bytes(b"\xef\xbb\xbf \n")
    with pytest.raises(InputError, match=r"a\.txt: is empty"):
        read_lines(path)
    assert read_lines(path, may_be_empty=True) == []
    path.write_bytes(b"one\ntwo\xff\n")
    with pytest.raises(InputError, match=r"a\.txt line 2: byte 0xff is not valid UTF-8"):
        read_lines(path)
