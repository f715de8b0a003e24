"""A configuration as one stage may see it: the use of a setting that it does not list fails."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Collection, TypeVar

_Settings = TypeVar("_Settings")


class _Hidden:
    """The value of a setting that a stage does not list: the stage cannot use it."""

    def __init__(self, name: str, stage: str) -> None:
        self._message = f"the stage {stage} does not list the setting {name}"

    def _refuse(self, *values: Any) -> Any:
        raise AssertionError(self._message)

    __bool__ = __eq__ = __lt__ = __gt__ = __iter__ = __index__ = __float__ = __str__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __floordiv__ = _refuse
    __len__ = __hash__ = __repr__ = _refuse


def seen_by(stage: str, config: _Settings, names: Collection[str]) -> _Settings:
    """Return the configuration as a stage sees it: the use of an unlisted setting fails.

    A stage that used a setting without listing it would keep its result when the setting changes.

    Args:
        stage: name of the stage.
        config: a dataclass with all settings.
        names: fields that the stage lists.
    """
    seen = copy.copy(config)
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        if field.name not in names:
            object.__setattr__(seen, field.name, _Hidden(field.name, stage))
    return seen
