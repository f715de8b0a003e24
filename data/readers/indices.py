"""A check that the indices of a file are distinct."""

from __future__ import annotations

from typing import Dict

from bort.errors import InputError
from bort.tasks.items import Index

LONGEST_INDEX = 18
"""Maximum number of digits of an index, so that it fits into 64 bits."""

LARGEST_INDEX = 10**LONGEST_INDEX
"""All indices are below."""


class SeenIndices:
    """The indices read so far, with their positions."""

    def __init__(self) -> None:
        self._where: Dict[Index, str] = {}

    def add(self, index: Index, where: str) -> None:
        """Record an index.

        Args:
            index: the index.
            where: file and line.

        Raises:
            InputError: the index occurred before; names both positions.
        """
        before = self._where.setdefault(index, where)
        if before is not where:
            raise InputError(f"{where}: index {index!r} occurs twice, first at {before}")
