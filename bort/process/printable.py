"""`printable`: text of unknown origin that is safe to print on a terminal."""

from __future__ import annotations

import logging


def printable(text: str, keep: str = "") -> str:
    r"""Return a text whose control characters are written as escapes, as `repr` writes them.

    Escaped are the control characters C0 and C1, which can start a terminal's commands, characters
    that change the direction of text, other invisible ones, and halves of surrogate pairs.

    Args:
        text: the text.
        keep: characters that stay.

    >>> printable("caf\u00e9 \x1b[2J \u202etxt")
    'café \\x1b[2J \\u202etxt'
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


class PrintableFormatter(logging.Formatter):
    """A formatter of log records that keeps line ends and tabs, and escapes as `printable` does."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        return printable(super().format(record), keep="\n\t")
