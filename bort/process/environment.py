"""Numbers from environment variables, checked."""

from __future__ import annotations

import os
from typing import Optional

from bort.errors import InputError


def whole_number(variable: str, maximum: int = 1 << 16) -> Optional[int]:
    """Return the number in an environment variable, None if it is empty or not set.

    Only the first of several numbers counts, which OpenMP separates by commas.

    Raises:
        InputError: it is not a whole number from 1 to the maximum; names the variable.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    digits = text.split(",")[0].strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) < 10
    if not is_number or not 1 <= int(digits) <= maximum:
        raise InputError(
            f"the environment variable {variable} is {text[:40]!r}, allowed is a whole number "
            f"from 1 to {maximum}"
        )
    return int(digits)
