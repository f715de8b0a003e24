"""`spoken_bytes`: a number of bytes in words."""

from __future__ import annotations

_UNITS = (("GiB", 30), ("MiB", 20))


def spoken_bytes(count: int) -> str:
    """Return a number of bytes with the largest unit that it has at least one of.

    >>> [spoken_bytes(count) for count in (5_000_000_000, 40_000_000, 1_000)]
    ['4.7 GiB', '38.1 MiB', '1000 bytes']
    """
    for unit, bits in _UNITS:
        if count >= 1 << bits:
            return f"{count / (1 << bits):.1f} {unit}"
    return f"{count} bytes"
