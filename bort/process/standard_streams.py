"""Standard input, output and error of a command, which may be closed, full or without a reader."""

from __future__ import annotations

import io
import os
import sys

from bort import TYPE_CHECKING
from bort.errors import InputError, WorkError

if TYPE_CHECKING:
    from typing import IO, Any, BinaryIO, Set

_closed: Set[int] = set()


def open_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the next file that the process opens gets the stream's number, and a library that
    prints would write into it. Reading stays refused (`standard_input`), and so does writing to
    standard output. What goes to standard error is lost.

    What an encoding other than UTF-8 does not have is printed as an escape from now on.
    """
    for number in (0, 1, 2):  # `os.open` returns the lowest number that is free
        try:
            os.fstat(number)
        except OSError:
            # Writing to a descriptor that is open for reading fails, as it did before.
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            os.set_inheritable(number, True)
            _closed.add(number)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A program may have put a stream of its own in their place.
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "backslashreplace":
            stream.reconfigure(errors="backslashreplace")


def standard_input() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        InputError: it is closed.
    """
    if sys.stdin is None or 0 in _closed:
        raise InputError("standard input is closed; name a file with --input")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Return standard output as bytes.

    Raises:
        InputError: it is closed.
    """
    if sys.stdout is None or 1 in _closed:
        raise InputError("standard output is closed; name a file with --output")
    return sys.stdout.buffer


def flush_standard_output() -> None:
    """Write out what was printed.

    Raises:
        WorkError: standard output is closed or full, or nothing reads it.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        discard_output(sys.stdout)
        reason = "it is closed" if 1 in _closed else error.strerror or str(error)
        raise WorkError(f"standard output cannot be written: {reason}") from error


def print_error(line: str) -> None:
    """Print a line on standard error, or nothing if that is impossible."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        discard_output(sys.stderr)


def discard_output(stream: IO[Any]) -> None:
    """Let a stream write into nowhere from now on, what its buffer holds included.

    Otherwise the interpreter would write the buffer again when it exits, and report the error.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
