"""Reading: blocks put together are the file, cut only between documents, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from data.corpus import text_files
from data.corpus.documents import read_documents, split_documents
from data.corpus.text_files import find_files, read_blocks
from tests.data.corpus.corpora import documents, text_of


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(text_files, "BLOCK_BYTES", 64)
    monkeypatch.setattr(text_files, "LONGEST_DOCUMENT_BYTES", 2000)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_any_packing_gives_the_documents_back(tmp_path, small_blocks, pack):
    expected = documents(30)
    path = tmp_path / "no-telling-suffix"
    path.write_bytes(pack(text_of(expected).encode()))
    assert list(read_documents([path])) == expected
    blocks = list(read_blocks(path))
    assert len(blocks) > 10
    assert b"".join(block.content for block in blocks) == text_of(expected).encode()
    assert blocks[-1].position == path.stat().st_size


LINES = st.sampled_from(["", " ", "\t", "a", "b c", " = T = ", " = = S = = ", "é" * 20, "\r"])


@given(lines=st.lists(LINES, min_size=1, max_size=60), wikitext=st.booleans())
def test_where_blocks_are_cut_does_not_show(lines, wikitext, tmp_path_factory):
    content = ("\n".join(lines) + "\n").encode()
    path = tmp_path_factory.mktemp("blocks") / "text"
    path.write_bytes(content)
    form = "wikitext" if wikitext else "sentences"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "BLOCK_BYTES", 16)
        patch.setattr(text_files, "LONGEST_DOCUMENT_BYTES", 1 << 20)
        blocks = list(read_blocks(path, 0, form))
    assert b"".join(block.content for block in blocks) == content
    found = [d for block in blocks for d in split_documents(block.content, wikitext).sentences]
    assert found == split_documents(content, wikitext).sentences


def test_a_long_document_goes_on_as_another_and_an_endless_line_is_refused(tmp_path, small_blocks):
    path = tmp_path / "long.txt"
    path.write_text("word word\n" * 1000)
    blocks = list(read_blocks(path))
    assert b"".join(block.content for block in blocks) == path.read_bytes()
    assert all(len(block.content) <= 2064 for block in blocks)
    assert [block.cut for block in blocks] == [True] * (len(blocks) - 1) + [False]
    path.write_text("a line\nand one more\n\n" * 3 + "endless " * 2000)
    with pytest.raises(InputError, match=r"long.txt line 10: is longer than 2000 bytes"):
        list(read_blocks(path))


def test_the_format_is_told_by_the_first_line(tmp_path):
    path = tmp_path / "text"
    wiki = (
        " \n = One = \n \n First . Second ! \n \n = = Part = = \n \n Third . \n = Two = \n End . \n"
    )
    path.write_text(wiki)
    assert list(read_documents([path])) == [["First .", "Second !", "Third ."], ["End ."]]
    assert [len(document) for document in read_documents([path], "sentences")] == [1, 1, 1, 3]
    path.write_text("\ufeffFirst.\n= no heading\n")
    assert list(read_documents([path])) == [["First.", "= no heading"]]


def test_bytes_that_are_no_utf8_are_counted():
    content = "é\ufffd".encode() + b"a\xffb\xe2\x82 c\xc3\n" + "東".encode()
    found = split_documents(content)
    assert found.replaced_bytes == 4
    assert found.sentences == [["é\ufffda\ufffdb\ufffd c\ufffd", "東"]]


@given(st.binary(max_size=80))
def test_the_count_of_replaced_bytes_is_what_a_decoder_skips(content):
    expected = 0
    rest = content
    while True:
        try:
            rest.decode("utf-8")
            break
        except UnicodeDecodeError as error:
            expected += error.end - error.start
            rest = rest[error.end :]
    assert split_documents(content).replaced_bytes == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bad.txt: is empty"),
        (b"one\ntwo\n\x00three", "bad.txt line 3: holds a NUL byte"),
        ("text".encode("utf-16"), "bad.txt line 1: holds a NUL byte"),
        (gzip.compress(b"text " * 99, mtime=0)[:-12], "bad.txt: is truncated"),
        (gzip.compress(bytes(range(1, 250)), mtime=0)[:-8] + b"damaged!", "bad.txt: is damaged"),
        (bz2.compress(b"text " * 999)[:-12], "bad.txt: is truncated"),
        (b"BZh9 and no more", "bad.txt: is damaged"),
        (lzma.compress(b"text " * 999)[:-12], "bad.txt: is truncated"),
        (gzip.compress(b"", mtime=0), "bad.txt: is empty"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_blocks(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".XZ"])
def test_a_name_that_says_compressed_needs_compressed_content(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"one\n")
    with pytest.raises(InputError, match=f"name ends in {suffix}, but it is not compressed"):
        list(read_blocks(path))


def test_a_nul_far_inside_has_its_line(tmp_path, small_blocks):
    path = tmp_path / "bad.txt"
    path.write_bytes(b"a line\n\n" * 50 + b"x\x00")
    with pytest.raises(InputError, match="line 101: holds a NUL byte"):
        list(read_blocks(path))


def test_files_are_found_once_each(tmp_path):
    for name in ("b.txt", "a.txt", "c,d.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    names = [path.name for path in find_files([f"{tmp_path}/*.txt"])]
    assert names == ["a.txt", "b.txt", "c,d.txt"]
    listed = find_files([f"{tmp_path}/b.txt,{tmp_path}/a.txt", f"{tmp_path}/[ab].txt"])
    assert [path.name for path in listed] == ["b.txt", "a.txt"]
    assert find_files([f"{tmp_path}/c,d.txt"])[0].name == "c,d.txt"
    for pattern, message in (
        (f"{tmp_path}/z.txt", "z.txt: no such file"),
        (f"{tmp_path}/*.gz", "no file matches"),
        (f"{tmp_path}/sub", "sub: is a folder"),
        (" , ", "no input file"),
    ):
        with pytest.raises(InputError, match=message):
            find_files([pattern])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_lines_gives_the_same_documents(tmp_path, small_blocks, end):
    expected = documents(30)
    path = tmp_path / "text.txt"
    path.write_bytes(text_of(expected).replace("\n", end).encode())
    assert list(read_documents([path])) == expected
    assert len(list(read_blocks(path))) > 10


def test_a_carriage_return_inside_a_line_stays_there(tmp_path, small_blocks):
    path = tmp_path / "text.txt"
    path.write_bytes(b"one\rtwo\nthree\n")
    assert list(read_documents([path])) == [["one\rtwo", "three"]]
    path.write_bytes(b"x" * 63 + b"\r\nthree\n")
    assert list(read_documents([path])) == [["x" * 63, "three"]]
