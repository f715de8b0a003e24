"""The check that no index of a file is there twice."""

from __future__ import annotations

from typing import Dict

from bort.errors import InputError
from bort.tasks.items import Index


class SeenIndices:
    """Remembers where each index was."""

    def __init__(self) -> None:
        self._where: Dict[Index, str] = {}

    def add(self, index: Index, where: str) -> None:
        """Note an index.

        Raises:
            InputError: it was there before; names both places.
        """
        before = self._where.setdefault(index, where)
        if before is not where:
            raise InputError(f"{where}: index {index!r} is there twice, first at {before}")
