"""A bounded memory of the ids of words, because text repeats itself."""

from __future__ import annotations

from typing import Callable, Dict

_REMEMBERED = 1 << 16
_LONGEST_REMEMBERED = 64


class ChunkMemory(Dict[str, bytes]):
    """The ids of chunks of text, computed when first asked for.

    It is emptied when full, so it adapts to the text.

    Args:
        encode: returns the ids of a text as bytes of one integer type.
        prefix: text that is put before every chunk.
    """

    def __init__(self, encode: Callable[[str], bytes], prefix: str = "") -> None:
        super().__init__()
        self._encode = encode
        self._prefix = prefix

    def __missing__(self, chunk: str) -> bytes:
        packed = self._encode(self._prefix + chunk)
        if len(chunk) <= _LONGEST_REMEMBERED:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[chunk] = packed
        return packed
