"""What every command shares: one clear line for a bad end, the exit status, logging to stderr."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Callable, NoReturn, Optional, Sequence

from bort.errors import BortError


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one line, with status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help lists the flags)\n")


def make_parser(description: str) -> argparse.ArgumentParser:
    """A parser that shows defaults, refuses abbreviations and knows `--debug`."""
    parser = _Parser(description=description, allow_abbrev=False)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def run_command(
    parser: argparse.ArgumentParser,
    work: Callable[[argparse.Namespace], Optional[int]],
    arguments: Optional[Sequence[str]] = None,
) -> NoReturn:
    """Parse, call `work`, and exit with its status (None is 0).

    A `BortError` becomes one line on stderr and its own status; Ctrl-C ends with 130; with
    `--debug` the traceback is shown.
    """
    parsed = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if parsed.debug:
        sys.exit(work(parsed))
    try:
        sys.exit(work(parsed))
    except BortError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except MemoryError:
        print("error: out of memory (try shorter sequences or a smaller batch)", file=sys.stderr)
        sys.exit(1)
