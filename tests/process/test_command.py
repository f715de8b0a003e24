"""Commands: exit status, one-line errors, and the traceback with --debug."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bort.errors import BortError, InputError, WorkError
from bort.process.command import make_parser, run_command
from bort.process.startup import ERROR_FILE_VARIABLE
from tests.patience import HANG_SECONDS

COMMAND = """
import argparse, logging, sys
from bort.process.command import make_parser, run_command
from bort.errors import BortError, InputError, WorkError

def work(arguments: argparse.Namespace):
    return eval(arguments.body)

def fail(error):
    raise error

parser = make_parser("a command")
parser.add_argument("--body", required=True)
run_command(parser, work)
"""


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(COMMAND), *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ("None", 0, ""),
        ("0", 0, ""),
        ("3", 3, ""),
        ("fail(InputError('steps is 0, allowed is 1'))", 2, "error: steps is 0, allowed is 1\n"),
        ("fail(WorkError('loss is nan\\nat step 3'))", 1, "error: loss is nan at step 3\n"),
        ("fail(BortError('bad'))", 1, "error: bad\n"),
        ("fail(InputError('a\\x1b[2J\\x9b \\u202eb'))", 2, "error: a\\x1b[2J\\x9b \\u202eb\n"),
        ("fail(InputError('a' * 10**6))", 2, f"error: {'a' * 500} … {'a' * 500}\n"),
        ("fail(RecursionError('too deep'))", 1, "error: the stack is exhausted: too deep\n"),
        ("logging.info('%s', 'a\\x1b[2J\\r')", 0, "a\\x1b[2J\\r\n"),
        ("open('/nowhere/file')", 1, "error: /nowhere/file: No such file or directory\n"),
        ("fail(KeyboardInterrupt())", 130, "error: interrupted\n"),
        (
            "__import__('pathlib').Path('~nobody_of_this_name/x').expanduser()",
            2,
            "error: a path begins with ~ and a name, and this machine has no user of that name\n",
        ),
        (
            "fail(MemoryError())",
            1,
            "error: out of memory (try shorter sequences or a smaller batch)\n",
        ),
    ],
)
def test_status_and_line(project_root: Path, body: str, status: int, line: str) -> None:
    result = run(project_root, "--body", body)
    assert result.returncode == status
    assert result.stderr == line
    assert result.stdout == ""


def test_debug_shows_the_traceback(project_root: Path) -> None:
    result = run(project_root, "--debug", "--body", "fail(InputError('bad'))")
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "InputError: bad" in result.stderr


def test_a_bug_is_not_hidden(project_root: Path) -> None:
    result = run(project_root, "--body", "1 / 0")
    assert result.returncode == 1
    assert "ZeroDivisionError" in result.stderr
    assert "Traceback" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--bod", "0"], ["--body"], ["--body", "0", "extra"]])
def test_bad_usage_is_one_line_with_status_2(project_root: Path, arguments: list[str]) -> None:
    result = run(project_root, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_help_ends_with_0(project_root: Path) -> None:
    result = run(project_root, "--help")
    assert result.returncode == 0
    assert "--debug" in result.stdout
    assert result.stderr == ""


def call(capsys: pytest.CaptureFixture[str], *arguments: str, **options: bool) -> tuple[int, str]:
    """Return status and error of a command that exits with status 7 when it starts."""
    with pytest.raises(SystemExit) as ended:
        run_command(make_parser("a command"), lambda parsed: 7, arguments, **options)
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("variable", ["HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE"])
def test_several_ranks_begin_only_a_command_that_shares_its_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str
) -> None:
    assert call(capsys) == (7, "")
    monkeypatch.setenv(variable, "1")
    assert call(capsys) == (7, "")
    monkeypatch.setenv(variable, "2")
    status, line = call(capsys)
    assert (status, line.count("\n")) == (2, 1)
    assert line.startswith("error: 2 ranks were started, but this command runs in one process")
    assert call(capsys, several_ranks=True) == (7, "")
    with pytest.raises(InputError, match="2 ranks were started"):
        run_command(make_parser("a command"), lambda parsed: 7, ["--debug"])


def test_the_first_rank_that_fails_leaves_its_error_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "error.json"
    monkeypatch.setenv(ERROR_FILE_VARIABLE, str(path))
    for error in (InputError("first"), WorkError("second")):

        def fail(parsed: argparse.Namespace, error: BortError = error) -> None:
            raise error

        with pytest.raises(SystemExit) as ended:
            run_command(make_parser("a command"), fail, [])
        assert ended.value.code == error.exit_status
    assert json.loads(path.read_text()) == {"message": "first", "status": 2}
    assert capsys.readouterr().err == ""
