"""A stage refuses what could not be a key, and keeps what it was given."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.stages.stage import Stage, StageWork


def nothing(work: StageWork) -> None:
    """Write nothing."""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "a stage's name: '' is not allowed"),
        ({"name": "../x"}, "a stage's name: '../x' is not allowed"),
        ({"name": ".hidden"}, "'.hidden' is not allowed"),
        ({"name": "a b"}, "'a b' is not allowed"),
        ({"name": "a" * 101}, "is not allowed as a name; allowed are up to 100"),
        ({"version": 0}, "stage text: version is 0, allowed is an integer of at least 1"),
        ({"version": True}, "stage text: version is True"),
        ({"version": 1.0}, "stage text: version is 1.0"),
        ({"kind": "a/b"}, "stage text: 'a/b' is not allowed"),
        ({"sources": {"a/b": "x"}}, "stage text: 'a/b' is not allowed"),
        ({"settings": {"rate": float("nan")}}, "stage text: settings: .*Out of range"),
        ({"settings": {1: 2}}, "stage text: settings: the key 1 is no string"),
    ],
)
def test_bad_fields_are_refused(fields: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Stage(**{"name": "text", "run": nothing, **fields})


def test_settings_are_a_copy_and_the_kind_is_the_name() -> None:
    settings = {"sizes": [1, 2]}
    stage = Stage("text", nothing, settings=settings)
    settings["sizes"].append(3)
    assert stage.settings == {"sizes": [1, 2]}
    assert stage.kind == "text"
