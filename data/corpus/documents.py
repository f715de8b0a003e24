"""Splitting of text into documents, each a list of sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from data.corpus.text_files import read_blocks

_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=(?:[\"“'(] ?)?[A-Z])")


@dataclass
class Documents:
    """The documents of a block.

    Attributes:
        sentences: the sentences of each document, without leading and trailing white space; no
            document and no sentence is empty.
        replaced_bytes: the number of bytes that are not valid UTF-8; each invalid run becomes
            U+FFFD.
        headings: the number of heading lines, which are left out.
    """

    sentences: List[List[str]] = field(default_factory=list)
    replaced_bytes: int = 0
    headings: int = 0


def split_documents(content: bytes, wikitext: bool = False) -> Documents:
    r"""Split a block of text into documents and sentences.

    Args:
        content: UTF-8 text of whole documents.
        wikitext: True: each line is a paragraph, which is split into sentences, a heading `= … =`
            begins a document, and blank lines are ignored. False: each line is a sentence, and a
            blank line ends a document.

    >>> split_documents(b"One.\nTwo.\n\nThree.\n").sentences
    [['One.', 'Two.'], ['Three.']]
    >>> split_documents(b" = A = \n \n One . Two . \n\n = = B = = \n Three . \n", True).sentences
    [['One .', 'Two .', 'Three .']]
    """
    text, replaced = _decode(content)
    documents = Documents(replaced_bytes=replaced)
    current: List[str] = []
    for line in map(str.strip, text.split("\n")):
        if wikitext and line:
            level = heading_level(line)
            if level == 0:
                current.extend(_SENTENCE_END.split(line))
                continue
            documents.headings += 1
            if level > 1:
                continue
        elif line:
            current.append(line)
            continue
        elif wikitext:
            continue
        if current:
            documents.sentences.append(current)
            current = []
    if current:
        documents.sentences.append(current)
    return documents


def heading_level(line: str) -> int:
    """Return the level of a heading of wikitext, 0 for another line, in linear time.

    A heading of level n has n signs `=` at each end, all separated by spaces.

    >>> [heading_level(line) for line in ("= A =", "= = A = =", "= = A =", "A = B", "= =")]
    [1, 2, 1, 0, 0]
    """
    before = after = 0
    while line.startswith("= ", 2 * before):
        before += 1
    while line.endswith(" =", 0, len(line) - 2 * after):
        after += 1
    return min(before, after, len(line) // 4)  # both ends together have 4n characters


def read_documents(paths: Sequence[Path], text_format: str = "auto") -> Iterator[List[str]]:
    """Yield the documents of text files, one at a time.

    Args:
        paths: the files.
        text_format: see `data.corpus.text_files.read_blocks`.

    Raises:
        InputError: see `data.corpus.text_files.read_blocks`.
    """
    for path in paths:
        for block in read_blocks(path, 0, text_format):
            yield from split_documents(block.content, block.wikitext).sentences


def _decode(content: bytes) -> Tuple[str, int]:
    """Return the text and the number of bytes that are not valid UTF-8."""
    try:
        return content.decode("utf-8"), 0
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    # Each invalid run becomes one U+FFFD, which has three bytes in UTF-8.
    wrong_runs = text.count("\ufffd") - content.count(b"\xef\xbf\xbd")
    return text, len(content) - (len(text.encode("utf-8")) - 3 * wrong_runs)
