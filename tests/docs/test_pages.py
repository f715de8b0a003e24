"""The reader of the documentation finds blocks and commands, and notices a line that is missing."""

from __future__ import annotations

import pytest

from tests.docs.pages import commands_of, first_missing_line, read_blocks, shown_after

PAGE = """Text with `code`.

```bash test
# a comment
export A=1; python scripts/x.py --data a \\
    --flag 'two words' | head -n 1
```

```text output
loss 1.25
```

~~~python files
print("```")
~~~
"""


def test_blocks_have_a_place_words_and_code() -> None:
    blocks, prose = read_blocks(PAGE, "page.md")
    assert [block.info for block in blocks] == [
        ("bash", "test"),
        ("text", "output"),
        ("python", "files"),
    ]
    assert [block.where for block in blocks] == ["page.md:3", "page.md:9", "page.md:13"]
    assert [block.is_run for block in blocks] == [True, False, False]
    assert blocks[2].code == 'print("```")\n'
    assert prose.split() == ["Text", "with", "`code`."]
    assert prose.count("\n") == PAGE.count("\n")


def test_a_block_without_an_end_is_refused() -> None:
    with pytest.raises(AssertionError, match="page.md:2"):
        read_blocks("\n```bash\nls\n", "page.md")


def test_commands_are_split_as_a_shell_does() -> None:
    blocks, _ = read_blocks(PAGE, "page.md")
    assert [command.words for command in commands_of(blocks[0])] == [
        ("export", "A=1"),
        ("python", "scripts/x.py", "--data", "a", "--flag", "two words"),
        ("head", "-n", "1"),
    ]


def test_only_the_block_directly_behind_shows_the_output() -> None:
    blocks, _ = read_blocks(PAGE, "page.md")
    assert shown_after(blocks, blocks[0]) == "loss 1.25\n"
    assert shown_after(blocks, blocks[2]) == ""


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("loss 1.25", None),
        ("loss 9.75", None),
        ("loss 1", "loss 1"),
        ("steps  20", None),
        ("steps 21", "steps 21"),
        ("steps", "steps"),
        ("steps …", None),
        ("loss 1.25\n…\nlast", None),
        ("last\nloss 1.25", "loss 1.25"),
        ('{"a": 1.0}', None),
        ('{"a": 1.0', '{"a": 1.0'),
    ],
)
def test_a_shown_line_must_be_printed_in_order(shown: str, missing: object) -> None:
    printed = 'loss 1.5\n  steps 20\n{"a": 2}\nlast\n'
    assert first_missing_line(shown, printed) == missing
