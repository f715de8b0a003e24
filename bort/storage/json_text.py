"""`parse_json`: JSON text of unknown origin to values, with bounds on numbers and nesting."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Dict, List, NoReturn, Tuple

from bort.errors import InputError

DEEPEST_NESTING = 100
"""Maximum number of objects and lists inside each other."""

LONGEST_INTEGER = 300
"""Maximum number of digits of an integer, so that each one can become a float."""

_LARGE_EXPONENT = re.compile(r"[eE]\+?\d{3}")
_LONG_INTEGER = re.compile(rf"(?<!\d)\d{{{LONGEST_INTEGER}}}")
_TWO_DIGITS = re.compile(r"\d\d")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(
    text: str, where: str, *, may_repeat: bool = False, may_have_surrogates: bool = False
) -> Any:
    """Return the value of a JSON text.

    Numbers are finite. Nothing that a caller does with the value can exceed the depth of the stack.

    Args:
        text: the text.
        where: file, or file and line, for error messages.
        may_repeat: whether an object may have a field twice; the last one counts.
        may_have_surrogates: whether a string may hold half of a surrogate pair, which has no UTF-8
            form.

    Raises:
        InputError: the text is not JSON, holds NaN, an infinity or a number that is too long, is
            nested too deeply, or breaks one of the rules above; the message begins with `where`.
    """
    hooks: Dict[str, Any] = {"parse_constant": _refuse_constant}
    if not may_repeat:
        hooks["object_pairs_hook"] = _object_of
    if _may_have_large_numbers(text):  # these hooks are slow
        hooks.update(parse_int=_integer_of, parse_float=_float_of)
    try:
        value = json.loads(text, **hooks)
        if text.count("[") + text.count("{") > DEEPEST_NESTING:
            _check_nesting(value)
        if not may_have_surrogates and _ESCAPED_SURROGATE.search(text):
            _check_surrogates(value)
    except RecursionError as error:
        raise InputError(f"{where}: is not valid JSON: it is nested too deeply") from error
    except ValueError as error:
        raise InputError(f"{where}: is not valid JSON: {error}") from error
    return value


def _may_have_large_numbers(text: str) -> bool:
    # A long integer has two neighbours among these characters. Few texts have such neighbours, and
    # a search of the whole text takes longer than its values.
    some = text[:: LONGEST_INTEGER // 2]
    if _TWO_DIGITS.search(some) and _LONG_INTEGER.search(text):
        return True
    return _LARGE_EXPONENT.search(text) is not None


def _object_of(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the field {name[:60]!r} comes twice")
            seen.add(name)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")


def _integer_of(digits: str) -> int:
    if len(digits.lstrip("-")) > LONGEST_INTEGER:
        raise ValueError(
            f"an integer has {len(digits.lstrip('-'))} digits, allowed are {LONGEST_INTEGER}"
        )
    return int(digits)


def _float_of(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits[:60]} is too large")
    return value


def _check_nesting(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST_NESTING:
            raise ValueError("it is nested too deeply")
        inside: List[Any] = []
        for one in level:
            if isinstance(one, (dict, list)):
                parts = one.values() if isinstance(one, dict) else one
                inside.extend(part for part in parts if isinstance(part, (dict, list)))
        level = inside


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(error.object[error.start])
        raise ValueError(f"a string holds \\u{code:04x}, half of a surrogate pair") from error
