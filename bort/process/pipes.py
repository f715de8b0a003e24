"""Output to a pipe whose reader may have gone away, such as `head`."""

from __future__ import annotations

import os
from typing import IO, Any


def discard_output(stream: IO[Any]) -> None:
    """Let a stream write into nowhere from now on, what its buffer holds included.

    Otherwise the interpreter would write the buffer again when it exits, and report the error.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
