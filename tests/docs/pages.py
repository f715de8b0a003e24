"""Reading the documentation: its pages, their fenced blocks, and what those blocks run.

The first word behind the fence of a block is its language. A block of `bash` or `python` has a
second word: `test` means that the tests run it, provided that the packages are installed that
further words name. Any other word says why they do not (`NOT_RUN`). A block `text output` directly
behind a block that is run shows a part of what it prints.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
"""The pages whose commands are run."""

OTHER_PAGES = (
    "CONTRIBUTING.md",
    "experiments/demo/README.md",
    "model/README.md",
    "test_data/README.md",
)

RUN = "test"
NOT_RUN = {
    "setup": "makes or enters the environment that the tests run in",
    "long": "takes more than a minute",
    "network": "downloads something",
    "files": "needs files of the reader, such as RoBERTa's weights or official data",
}
COMMANDS = ("bash", "python")
OUTPUT = ("text", "output")

_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*(.*?)\s*$")
_INLINE = re.compile(r"`([^`\n]+)`")
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_SHOWN_DECIMAL = re.compile(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?")
_ENDS = ("|", "||", "&&", ";", "&")


class Block(NamedTuple):
    """A fenced block.

    Attributes:
        page: path from the root.
        line: of the opening fence, from 1.
        info: the words behind the fence.
        code: the lines between the fences.
    """

    page: str
    line: int
    info: Tuple[str, ...]
    code: str

    @property
    def language(self) -> str:
        return self.info[0] if self.info else ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return self.language in COMMANDS and self.info[1:2] == (RUN,)

    @property
    def packages(self) -> Tuple[str, ...]:
        """Return the packages that the block needs."""
        return self.info[2:]


class Command(NamedTuple):
    """A simple command of a block.

    Attributes:
        where: page and line of its block.
        words: the command as a shell would split it.
    """

    where: str
    words: Tuple[str, ...]


def read_blocks(text: str, page: str) -> Tuple[List[Block], str]:
    """The fenced blocks of a page, and its text without them (a block leaves empty lines)."""
    blocks: List[Block] = []
    prose: List[str] = []
    fence, line, info, code = "", 0, (), []  # type: ignore[var-annotated]
    for number, content in enumerate(text.splitlines(), start=1):
        found = _FENCE.match(content)
        if fence:
            if found and found.group(2).startswith(fence) and not found.group(3):
                blocks.append(Block(page, line, info, "\n".join(code) + "\n"))
                fence = ""
            else:
                code.append(content)
        elif found:
            fence, line, info = found.group(2), number, tuple(found.group(3).split())
            code = []
        prose.append("" if fence or found else content)
    assert not fence, f"{page}:{line}: this block has no end"
    return blocks, "\n".join(prose) + "\n"


def read_page(page: str) -> Tuple[List[Block], str]:
    """`read_blocks` of a file."""
    return read_blocks((ROOT / page).read_text(encoding="utf-8"), page)


def inline_code(page: str) -> Iterator[Tuple[str, str]]:
    """(where, code) of every `code` in the text of a page."""
    for number, line in enumerate(read_page(page)[1].splitlines(), start=1):
        yield from ((f"{page}:{number}", code) for code in _INLINE.findall(line))


def commands_of(block: Block) -> Iterator[Command]:
    """The simple commands of a bash block, comments left out."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words: List[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.wordchars += "…:@=*{}[]$,+%^!"
        for word in [*lexer, ";"]:
            if word in _ENDS:
                if words:
                    yield Command(block.where, tuple(words))
                words = []
            else:
                words.append(word)


def first_missing_line(shown: str, printed: str) -> Optional[str]:
    """The first line of a shown output that was not printed, in this order; None if all were.

    A shown line stands for a whole line. Spaces may be fewer or more, a number with a decimal point
    stands for any number, and … for anything; a line of … alone is skipped.
    """
    left = iter(printed.splitlines())
    for line in shown.splitlines():
        if not line.strip() or line.strip() == "…":
            continue
        pattern = line_pattern(line)
        if not any(pattern.fullmatch(candidate) for candidate in left):
            return line
    return None


def line_pattern(line: str) -> re.Pattern[str]:
    """Return the regular expression of the lines that a shown line matches."""
    parts = []
    position = 0
    text = line.strip()
    for number in _SHOWN_DECIMAL.finditer(text):
        parts += [_words(text[position : number.start()]), _NUMBER]
        position = number.end()
    return re.compile(r"\s*" + "".join([*parts, _words(text[position:])]) + r"\s*")


def _words(text: str) -> str:
    escaped = re.escape(text).replace(re.escape("…"), ".*")
    return re.sub(r"(\\ )+", r"\\s+", escaped)


def shown_after(blocks: Sequence[Block], block: Block) -> str:
    """The output shown directly behind a block, "" if there is none."""
    number = blocks.index(block) + 1
    following = blocks[number] if number < len(blocks) else None
    return following.code if following is not None and following.info == OUTPUT else ""
