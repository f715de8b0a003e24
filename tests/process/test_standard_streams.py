"""Closed, full and broken standard streams end a command in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.patience import HANG_SECONDS

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
COMMAND = """
import bort.process.startup
import os, sys
from bort.process.command import make_parser, run_command
from bort.process.standard_streams import standard_input, standard_output

def work(parsed):
    with open("/dev/null") as stream:
        assert stream.fileno() > 2
    exec(parsed.body)

parser = make_parser("a command")
parser.add_argument("--body", default="print('result')")
run_command(parser, work)
"""


def run(root: Path, redirection: str, *arguments: str) -> Tuple[int, str, str]:
    quoted = " ".join(f"'{one}'" for one in arguments)
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$COMMAND" {quoted} {redirection}'],
        cwd=root,
        env={**ENVIRONMENT, "COMMAND": COMMAND},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirection", "arguments", "expected"),
    [
        ("", [], (0, "result\n", "")),
        ("<&-", [], (0, "result\n", "")),
        (
            "<&-",
            ["--body", "standard_input()"],
            (2, "", "error: standard input is closed; name a file with --input\n"),
        ),
        (
            ">&-",
            ["--body", "standard_output()"],
            (2, "", "error: standard output is closed; name a file with --output\n"),
        ),
        (">&-", [], (1, "", "error: standard output cannot be written: it is closed\n")),
        (">&-", ["--help"], (1, "", "error: standard output cannot be written: it is closed\n")),
        (">&-", ["--body", "None"], (0, "", "")),
        (
            "> /dev/full",
            [],
            (1, "", "error: standard output cannot be written: No space left on device\n"),
        ),
        ("2>&-", [], (0, "result\n", "")),
        ("2>&-", ["--no_such_flag"], (2, "", "")),
        ("2> /dev/full", ["--no_such_flag"], (2, "", "")),
        ("<&- >&- 2>&-", [], (1, "", "")),
        ("<&- >&- 2>&-", ["--body", "print(file=sys.stderr)"], (0, "", "")),
    ],
)
def test_streams(
    project_root: Path, redirection: str, arguments: List[str], expected: Tuple[int, str, str]
) -> None:
    assert run(project_root, redirection, *arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--body", "print(chr(233) + chr(8230))"], (0, b"\xe9\\u2026\n", b"")),
        (
            ["--body", "print(chr(233) + chr(8230), file=sys.stderr)"],
            (0, b"", b"\xe9\\u2026\n"),
        ),
    ],
)
def test_what_an_encoding_does_not_have_is_printed_as_an_escape(
    project_root: Path, arguments: List[str], expected: Tuple[int, bytes, bytes]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=project_root,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=HANG_SECONDS,
    )
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_the_help_of_a_command_is_printed_in_any_encoding(project_root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/predict.py", "--help"],
        cwd=project_root,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=HANG_SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2026" in done.stdout


@pytest.mark.parametrize("count", [1, 100_000])
def test_a_pipe_that_nobody_reads(project_root: Path, count: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "--body", f"print('x' * {count})"],
        cwd=project_root,
        env=ENVIRONMENT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG_SECONDS,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("Broken pipe\n")
    assert done.stderr.count("\n") == 1
