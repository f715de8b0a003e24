"""Seconds as people say them."""

from __future__ import annotations


def spoken_seconds(seconds: float) -> str:
    """Return a duration with the two units that matter.

    >>> [spoken_seconds(seconds) for seconds in (0.0123, 5.76, 73.5, 4000, 200_000)]
    ['0.01 s', '5.8 s', '1 min 14 s', '1 h 7 min', '55 h 33 min']
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"{hours} h {rest} min"
