"""The frame of every command: flags, one-line errors, exit status, signals, logging to stderr."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import traceback
from tempfile import NamedTemporaryFile
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence

from bort.errors import BortError, InputError
from bort.process.packages import missing_framework
from bort.process.printable import PrintableFormatter, printable
from bort.process.signals import stopped_by_signals
from bort.process.standard_streams import (
    flush_standard_output,
    open_standard_streams,
    print_error,
)
from bort.process.startup import ENDING_SIGNALS, error_file, exit_with
from bort.process.telemetry import switch_off_telemetry
from bort.ranks import launched_ranks

DESCRIBE_FLAGS = "--describe_flags"

_LONGEST_ERROR = 1000


class _Parser(argparse.ArgumentParser):
    """A parser that reports a usage error in one line, with status 2."""

    def error(self, message: str) -> NoReturn:
        _end(f"{message} (--help lists the flags)", 2)


class _DescribeFlags(argparse.Action):
    """Prints the flags as JSON and exits, before the command line is checked further."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: Optional[str] = None,
    ) -> NoReturn:
        print(json.dumps(describe_flags(parser)))
        parser.exit()


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser that shows defaults, refuses abbreviations and has `--debug`.

    A hidden flag, `DESCRIBE_FLAGS`, prints `describe_flags` as JSON.
    """
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(DESCRIBE_FLAGS, action=_DescribeFlags, nargs=0, help=argparse.SUPPRESS)
    return parser


def describe_flags(parser: argparse.ArgumentParser) -> List[Dict[str, Any]]:
    """Return the flags and positional arguments of a parser, in order.

    Each has `name`, `help`, `type` (the name of one of Python's types), `choices` (None or a list),
    `required`, `many` (whether it takes several values), `positional`, and `switch` (whether it
    takes no value).
    """
    formatter = argparse.HelpFormatter("")
    described = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction):
            continue
        kind = bool if action.const is True else action.type
        described.append(
            {
                "name": action.dest,
                "help": formatter._expand_help(action) if action.help else "",
                "type": getattr(kind, "__name__", "str"),
                "choices": None if action.choices is None else list(action.choices),
                "required": action.required,
                "many": action.nargs in ("+", "*"),
                "positional": not action.option_strings,
                "switch": action.nargs == 0,
            }
        )
    return described


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], Optional[int]],
    arguments: Optional[Sequence[str]] = None,
    *,
    several_ranks: bool = False,
) -> NoReturn:
    """Parse the flags, call `work`, and exit with its status (None is 0).

    A `BortError` becomes one line on stderr and its own status. SIGINT (Ctrl-C), SIGTERM and SIGHUP
    unwind `work`, so that it removes its unfinished files, and exit with 128 + the signal's number;
    a command may install a `StopRequest` instead. With `--debug` the traceback is shown.

    Args:
        parser: parser of the command's flags, from `make_parser`.
        work: the command; takes the parsed flags and returns the exit status.
        arguments: the command line; None takes that of this process.
        several_ranks: whether `work` detects its ranks and shares its work among them. Other
            commands are refused on several ranks, since each rank would write the same files.
    """
    switch_off_telemetry()
    open_standard_streams()
    is_debugged = False
    with stopped_by_signals() as stops:
        try:
            parsed = parser.parse_args(arguments)
            is_debugged = parsed.debug
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(PrintableFormatter("%(message)s"))
            logging.basicConfig(level=logging.INFO, handlers=[handler])
            if not several_ranks:
                _refuse_ranks()
            status = work(parsed)
            flush_standard_output()
            exit_with(0 if status is None else status)
        except BaseException as error:
            if stops.number is not None:  # libraries turn a signal into errors of their own
                if is_debugged:
                    traceback.print_exc()
                _end(ENDING_SIGNALS[stops.number], 128 + stops.number)
            if is_debugged:
                raise
            _explain(error)
            raise


def _explain(error: BaseException) -> None:
    """End the process in one line if the error is no bug, and return otherwise."""
    is_help = isinstance(error, SystemExit) and not error.code
    if is_help or isinstance(error, OSError):  # it may be the printing that failed
        try:
            flush_standard_output()
        except BortError as unwritten:
            error = unwritten
    if isinstance(error, BortError):
        _end(str(error), error.exit_status)
    if isinstance(error, KeyboardInterrupt):
        _end("interrupted", 130)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}", 1)
    if isinstance(error, RecursionError):
        _end(f"the stack is exhausted: {error}", 1)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # of `expanduser`
        _end("a path begins with ~ and a name, and this machine has no user of that name", 2)
    if isinstance(error, MemoryError):
        _end("out of memory (try shorter sequences or a smaller batch)", 1)
    missing = missing_framework(error)
    if missing is not None:
        _end(missing, 2)


def _refuse_ranks() -> None:
    ranks = launched_ranks() or 1
    if ranks > 1:
        raise InputError(
            f"{ranks} ranks were started, but this command runs in one process only; start it "
            "without bort.launch, horovodrun and mpirun"
        )


def _end(message: str, status: int) -> NoReturn:
    """Exit with one line on stderr, or in the launcher's file of the first error."""
    with contextlib.suppress(BortError):
        flush_standard_output()
    line = printable(" ".join(message.split()))
    if len(line) > _LONGEST_ERROR:
        line = f"{line[: _LONGEST_ERROR // 2]} … {line[-_LONGEST_ERROR // 2 :]}"
    path = error_file()
    if path is None or not _leave_error(path, line, status):
        print_error(f"error: {line}")
    exit_with(status)


def _leave_error(path: str, line: str, status: int) -> bool:
    """Write the error into the launcher's file if it is the first; return whether that worked."""
    try:
        with NamedTemporaryFile("w", dir=os.path.dirname(path), encoding="utf-8") as stream:
            json.dump({"message": line, "status": status}, stream)
            stream.flush()
            os.link(stream.name, path)  # at once: the launcher may end a rank when another failed
    except FileExistsError:
        pass  # another rank was first
    except OSError:
        return False
    return True
