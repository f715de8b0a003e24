"""`Reading`: a format that is read, its files, and the shortest command that reads them."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple


class Reading(NamedTuple):
    """A format with a command that reads it.

    Attributes:
        parts: parts of the world that the command needs.
        files: globs of the files to mutate, relative to the trial's folder.
        kind: kind of mutations, of `tests.faults.mutations.KINDS`.
        command: script and flags.
        given: the part that is the command's standard input.
        sealed: whether the format has checksums, so that no changed content may be accepted.
        plain: whether any content is a file of the format, as for text: a part of it, too, or it
            twice.
        late: whether the file is read in the middle of the work, when files have been written.
    """

    parts: Tuple[str, ...]
    files: Tuple[str, ...]
    kind: str
    command: List[str]
    given: str = ""
    sealed: bool = False
    plain: bool = False
    late: bool = False
