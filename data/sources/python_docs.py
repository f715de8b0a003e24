"""A corpus of real English that needs no download: the docstrings of Python's standard library.

The modules are parsed in the order of their names and never imported, so one Python installation
always gives the same text. Examples, signatures, tables and lists of parameters are left out.
Sentences that nearly repeat an earlier one are also left out, since held-out text must not occur in
the training text in a similar wording.
"""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

from bort.errors import InputError
from bort.storage.files import PathLike, atomic_write

# Tests and demonstrations hold little prose; vendored packages differ between installations.
_LEFT_OUT = {
    *("site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"),
    *("turtledemo", "ensurepip", "_vendor", "lib-dynload"),
}
_SHINGLE_WORDS = 5
_SEEN_SHARE = 0.5
_FEWEST_WORDS = 4
_PLAIN_SHARE = 0.6

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[\"'(]?[A-Z])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|cf|vs|etc|Dr|Mr|Mrs|St|No|fig|Fig|[A-Z])\.)$")
_LIST_MARK = re.compile(r"(?:[-*+•o]|\(?\d+[.)]|\[\d+\])\s+")
_FIELD = re.compile(r"(?::\w[^:]*:|@\w+|\S+\s*(?:--|[-–=]>|:=|=)\s|\.\. )")
_MARKUP = re.compile(
    r":[a-z:]+:`~?!?([^`]*)`|``([^`]*)``|`([^`]*)`_{0,2}|\*\*([^*]+)\*\*|\*([^*\s]+)\*"
)
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")
_PLAIN_WORD = re.compile(r"[\"'(]*[A-Za-z][a-z'-]*[.,;:!?\"')]*")
_PROSE = re.compile(r"[A-Z\"'(].*[.!?][\"')]*")
_CODE = re.compile(r">>>|\w\(.*\)\s*->|[{}\\|<>]| = |\w=\w|\S{40}")


def write_python_docs(
    path: PathLike, maximum_documents: Optional[int] = None, folder: Optional[Path] = None
) -> Dict[str, int]:
    """Write the corpus: one sentence per line, a blank line between documents.

    Args:
        path: the file to write.
        maximum_documents: maximum number of documents; None: all.
        folder: a library folder; by default that of the running Python.

    Returns:
        The counts `documents`, `sentences`, `words` and `bytes`.

    Raises:
        InputError: the folder holds no prose.
        WorkError: the file cannot be written.
    """
    counts = {"documents": 0, "sentences": 0, "words": 0, "bytes": 0}
    with atomic_write(path) as stream:
        for sentences in python_documents(folder):
            if counts["documents"] == maximum_documents:
                break
            gap = "\n" if counts["documents"] else ""
            content = (gap + "\n".join(sentences) + "\n").encode("utf-8")
            stream.write(content)
            counts["documents"] += 1
            counts["sentences"] += len(sentences)
            counts["words"] += sum(len(sentence.split()) for sentence in sentences)
            counts["bytes"] += len(content)
        if not counts["documents"]:
            raise InputError(f"{folder or standard_library()}: holds no docstrings")
    return counts


def standard_library() -> Path:
    """Return the folder of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def python_documents(folder: Optional[Path] = None) -> Iterator[List[str]]:
    """Yield the sentences of each module's prose, without near duplicates.

    Args:
        folder: a library folder; by default that of the running Python.
    """
    root = standard_library() if folder is None else Path(folder)
    seen = _SeenSentences()
    for _, path in sorted(_modules(root)):
        sentences = [
            sentence
            for text in _texts(path)
            for sentence in prose_sentences(text)
            if seen.is_new(sentence)
        ]
        if sentences:
            yield sentences


def prose_sentences(docstring: str) -> List[str]:
    """Return the sentences of a docstring that are prose.

    >>> prose_sentences('''Return the mean of data.
    ...
    ... The mean is the sum
    ... of the data.  It is often used:
    ...
    ...     >>> mean([1, 2])
    ... ''')
    ['Return the mean of data.', 'The mean is the sum of the data.']
    """
    sentences = []
    for paragraph in _paragraphs(docstring):
        text = _MARKUP.sub(lambda match: next(filter(None, match.groups()), ""), paragraph)
        text = " ".join(text.split())
        for sentence in _sentences(text):
            if _PROSE.fullmatch(sentence) and _is_english(sentence):
                sentences.append(sentence)
    return sentences


def _modules(root: Path) -> Iterator[Tuple[str, Path]]:
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).parts
        if not _LEFT_OUT.intersection(parts) and not parts[-1].startswith("test_"):
            yield "/".join(parts), path


def _texts(path: Path) -> Iterator[str]:
    """Yield the docstrings of a module in the order of its lines; for `pydoc_data` its texts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    if path.parent.name == "pydoc_data":
        yield from _topics(tree)
        return
    yield from _docstrings(tree)


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Yield the docstrings below a node in the order of the source; only statements have one."""
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        docstring = ast.get_docstring(node)
        if docstring:
            yield docstring
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler)):
            yield from _docstrings(child)


def _topics(tree: ast.Module) -> Iterator[str]:
    """Yield the topics of the language reference that `help()` shows, from a dictionary."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value


def _paragraphs(docstring: str) -> Iterator[str]:
    """Yield paragraphs of prose, without examples, tables, headings and lists of parameters."""
    for block in re.split(r"\n\s*\n", docstring.expandtabs()):
        lines = block.split("\n")
        indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        lines = [line.rstrip()[indent:] for line in lines if line.strip()]
        if not lines or any(line.lstrip().startswith((">>>", "...", "$ ")) for line in lines):
            continue
        if any(re.fullmatch(r"[-=~^+|*#. ]{3,}", line) for line in lines):
            continue
        # An item of a list begins a new paragraph. So does a line with a deeper indent, which
        # `_running_text` drops.
        current: List[str] = []
        for line in lines:
            mark = _LIST_MARK.match(line)
            if mark or (current and line.startswith("    ")):
                yield from _running_text(current)
                current = []
            current.append(line[mark.end() :] if mark else line)
        yield from _running_text(current)


def _running_text(lines: List[str]) -> Iterator[str]:
    if lines and not _FIELD.match(lines[0]) and not lines[0].startswith(" "):
        yield " ".join(lines)


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.start() + len(match.group().rstrip())
        if not _ABBREVIATION.search(text[start : match.start()]):
            yield text[start:end]
            start = match.end()
    yield text[start:]


def _is_english(sentence: str) -> bool:
    words = sentence.split()
    plain = sum(1 for word in words if _PLAIN_WORD.fullmatch(word))
    return (
        len(words) >= _FEWEST_WORDS
        and plain >= _PLAIN_SHARE * len(words)
        and not _CODE.search(sentence)
        and sentence.isascii()
    )


class _SeenSentences:
    """The sentences read so far, as shingles: runs of five words.

    A sentence is a near duplicate if at least half of its shingles have occurred before.
    """

    def __init__(self) -> None:
        self._shingles: Set[Tuple[str, ...]] = set()

    def is_new(self, sentence: str) -> bool:
        words = _WORD.findall(sentence.lower())
        size = min(_SHINGLE_WORDS, len(words))
        shingles = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
        known = len(shingles & self._shingles)
        self._shingles |= shingles
        return known < _SEEN_SHARE * len(shingles)
