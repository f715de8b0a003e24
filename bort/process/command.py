"""The frame of every command: flags, one-line errors, exit status, logging to stderr."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from tempfile import NamedTemporaryFile
from typing import Callable, NoReturn, Optional, Sequence

from bort.errors import BortError, InputError
from bort.process.printable import PrintableFormatter, printable
from bort.process.telemetry import switch_off_telemetry
from bort.ranks import launched_ranks

ERROR_FILE_VARIABLE = "BORT_ERROR_FILE"
"""Name of a file for the error of the first rank that fails, which then does not go to stderr."""


_LONGEST_ERROR = 1000


class _Parser(argparse.ArgumentParser):
    """A parser that reports a usage error in one line, with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {printable(message)} (--help lists the flags)\n")


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser that shows defaults, refuses abbreviations and has `--debug`."""
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], Optional[int]],
    arguments: Optional[Sequence[str]] = None,
    *,
    several_ranks: bool = False,
) -> NoReturn:
    """Parse the flags, call `work`, and exit with its status (None is 0).

    A `BortError` becomes one line on stderr and its own status. Ctrl-C exits with 130. With
    `--debug` the traceback is shown.

    Args:
        parser: parser of the command's flags, from `make_parser`.
        work: the command; takes the parsed flags and returns the exit status.
        arguments: the command line; None takes that of this process.
        several_ranks: whether `work` detects its ranks and shares its work among them. Other
            commands are refused on several ranks, since each rank would write the same files.
    """
    switch_off_telemetry()
    parsed = parser.parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

    def begin() -> Optional[int]:
        if not several_ranks:
            _refuse_ranks()
        return work(parsed)

    if parsed.debug:
        sys.exit(begin())
    try:
        sys.exit(begin())
    except BortError as error:
        _end(str(error), error.exit_status)
    except KeyboardInterrupt:
        _end("interrupted", 130)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}", 1)
    except RecursionError as error:
        _end(f"the stack is exhausted: {error}", 1)
    except MemoryError:
        _end("out of memory (try shorter sequences or a smaller batch)", 1)


def _refuse_ranks() -> None:
    ranks = launched_ranks() or 1
    if ranks > 1:
        raise InputError(
            f"{ranks} ranks were started, but this command runs in one process only; start it "
            "without bort.launch, horovodrun and mpirun"
        )


def _end(message: str, status: int) -> NoReturn:
    line = printable(" ".join(message.split()))
    if len(line) > _LONGEST_ERROR:
        line = f"{line[: _LONGEST_ERROR // 2]} … {line[-_LONGEST_ERROR // 2 :]}"
    path = os.environ.get(ERROR_FILE_VARIABLE)
    if path is None:
        print(f"error: {line}", file=sys.stderr)
        sys.exit(status)
    try:
        with NamedTemporaryFile("w", dir=os.path.dirname(path), encoding="utf-8") as stream:
            json.dump({"message": line, "status": status}, stream)
            stream.flush()
            os.link(stream.name, path)  # at once: the launcher may end a rank when another failed
    except OSError:
        pass  # another rank was first, or the launcher has ended
    sys.exit(status)
