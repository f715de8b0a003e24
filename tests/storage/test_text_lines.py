"""Numbered lines of text files: their ends, and files that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.errors import InputError
from bort.storage import text_lines
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("one\n".encode("utf-16"), ": is text in UTF-16, allowed is UTF-8"),
        (b"\xfe\xff" + "one\n".encode("utf-16-be"), ": is text in UTF-16, allowed is UTF-8"),
        ("one\n".encode("utf-32"), ": is text in UTF-32, allowed is UTF-8"),
        (b"one\ntw\0o\n", " line 2: holds a NUL character, allowed is text"),
        ("one\n".encode("utf-16-le"), " line 1: holds a NUL character, allowed is text"),
        (b"caf\xe9\n", " line 1: byte 0xe9 is not valid UTF-8"),
    ],
)
def test_other_encodings_are_named(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_lines(path)
    assert str(caught.value) == f"{path}{message}"


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("one\nthree\n")
    assert read_text(path, largest=10) == "one\nthree\n"
    with pytest.raises(InputError, match=r"a\.txt: is larger than 9 bytes"):
        read_text(path, largest=9)
    with pytest.raises(InputError, match="/dev/zero: is larger than 5000000 bytes"):
        read_text(Path("/dev/zero"), largest=5_000_000)
    with pytest.raises(InputError, match="/dev/zero: is larger than 16777216 bytes"):
        read_text(Path("/dev/zero"))
    monkeypatch.setattr(text_lines, "LONGEST_LINE_BYTES", 4)
    with pytest.raises(InputError, match=r"a\.txt line 2: is longer than 4 bytes"):
        read_lines(path)


def test_a_folder_and_a_path_with_nul_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    with pytest.raises(InputError, match=r"a\\x00b': cannot be read: embedded null byte"):
        read_text(tmp_path / "a\0b")


def test_a_carriage_return_ends_a_line_where_no_line_feed_does(tmp_path):
    path = tmp_path / "a.txt"
    for end in ("\n", "\r\n", "\r"):
        path.write_bytes(end.join(["one", "", "two", "", ""]).encode())
        assert read_lines(path) == [(1, "one"), (2, ""), (3, "two")]
    path.write_bytes(b"one\rstill one\ntwo\n")
    assert read_lines(path) == [(1, "one\rstill one"), (2, "two")]
    path.write_bytes(b"one\rtwo\xff\r")
    with pytest.raises(InputError, match=r"a\.txt line 2: byte 0xff is not valid UTF-8"):
        read_lines(path)
