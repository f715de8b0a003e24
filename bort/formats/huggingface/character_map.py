"""SentencePiece's compiled normalisation table, read for single characters.

The table is a double-array trie over UTF-8 bytes, in the layout of the Darts-clone library,
followed by the replacements: 4 bytes with the trie's size, its 32-bit units, NUL-terminated
strings.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Sequence

from bort.errors import InputError

_BASIC_PLANE = 0x10000
_SURROGATES = range(0xD800, 0xE000)


def characters_that_become(character_map: bytes, replacements: Sequence[str]) -> List[str]:
    """Return, for every replacement, the characters that the table maps to it.

    Characters are those of the Basic Multilingual Plane, in the order of their codes.

    Raises:
        InputError: the table is damaged.
    """
    found: Dict[str, List[str]] = {replacement: [] for replacement in replacements}
    table = _Table(character_map)
    for code in range(1, _BASIC_PLANE):
        if code not in _SURROGATES:
            character = chr(code)
            replacement = table.replacement(character)
            if replacement in found and replacement != character:
                found[replacement].append(character)
    return ["".join(found[replacement]) for replacement in replacements]


class _Table:
    """A compiled table, parsed for look-ups."""

    def __init__(self, character_map: bytes) -> None:
        if len(character_map) < 8:
            raise InputError("the SentencePiece model's normalisation is truncated")
        (size,) = struct.unpack("<I", character_map[:4])
        if size % 4 or not 4 <= size <= len(character_map) - 4:
            raise InputError("the SentencePiece model's normalisation is damaged")
        self._units = struct.unpack(f"<{size // 4}I", character_map[4 : 4 + size])
        self._strings = character_map[4 + size :]

    def replacement(self, character: str) -> str:
        """Return the replacement of a single character."""
        place = _offset(self._units[0])
        leaf = False
        for byte in character.encode("utf-8"):
            place ^= byte
            if place >= len(self._units):
                return character
            unit = self._units[place]
            if unit & 0x800000FF != byte:
                return character
            place ^= _offset(unit)
            leaf = bool(unit >> 8 & 1)
        if not leaf:
            return character
        begin = self._units[place] & 0x7FFFFFFF if place < len(self._units) else -1
        end = self._strings.find(b"\0", begin)
        if not 0 <= begin <= end:
            raise InputError("the SentencePiece model's normalisation is damaged")
        return self._strings[begin:end].decode("utf-8", "replace")


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
