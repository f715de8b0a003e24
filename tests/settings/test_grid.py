"""Tests of grids of settings: every combination, and flags that a command parses back."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.process.command import make_parser
from bort.settings.config import Config, setting
from bort.settings.grid import SettingsGrid, flags_of, grid_from


@dataclasses.dataclass(frozen=True)
class Example(Config):
    number: int = setting(0, "a number")
    rate: float = setting(0.5, "a rate")
    yes: bool = setting(True, "a choice")
    no: bool = setting(False, "a choice")
    text: Optional[str] = setting(None, "a text")
    sizes: Optional[Tuple[int, ...]] = setting(None, "several")
    words: Optional[Tuple[str, ...]] = setting(None, "several")


def parsed(words: List[str]) -> Example:
    parser = make_parser("test")
    Example.add_flags(parser)
    return Example.from_arguments(parser.parse_args(words))


_TEXTS = st.text(max_size=8)
_VALUES: Dict[str, Any] = {
    "number": st.integers(-(2**31) + 1, 2**31 - 1),
    "rate": st.floats(-1e30, 1e30),
    "yes": st.booleans(),
    "no": st.booleans(),
    "text": st.one_of(st.none(), _TEXTS, st.sampled_from(["--no", "-1", "a b", "'q'", '"', "="])),
    "sizes": st.lists(st.integers(-9, 9), min_size=1, max_size=3),
    "words": st.lists(_TEXTS.filter(lambda t: not t.startswith("-")), min_size=1, max_size=3),
}


@given(st.fixed_dictionaries({}, optional=_VALUES))
def test_a_command_parses_back_the_values(settings: Dict[str, Any]) -> None:
    found = parsed(flags_of(settings))
    for name, value in settings.items():
        expected = tuple(value) if isinstance(value, list) else value
        assert getattr(found, name) == expected
        assert type(getattr(found, name)) is type(expected)


def test_false_never_becomes_true() -> None:
    assert parsed(flags_of({"yes": False})).yes is False
    # The planted fault is that of the published grids: a bare flag for every Boolean.
    assert parsed(["--yes"]).yes is True


@given(
    st.dictionaries(
        st.sampled_from("abcde"), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)
    )
)
def test_the_combinations_are_the_product(values: Dict[str, List[int]]) -> None:
    cells = SettingsGrid(values, {"z": 1}).cells()
    expected = [
        {"z": 1, **dict(zip(values, chosen))} for chosen in itertools.product(*values.values())
    ]
    assert cells == expected


@pytest.mark.parametrize(
    ("values", "defaults", "message"),
    [
        ({"lr": 0.1}, {}, "lr is 0.1, allowed is a list of values"),
        ({"lr": []}, {}, "lr is [], allowed is a list of values"),
        ({"lr": [0.1, 0.1]}, {}, "lr has 0.1 twice"),
        ({"lr": [0.1]}, {"lr": 0.2}, "lr is in hyperparameters and in default_parameters"),
        ({"l r": [1]}, {}, "'l r' is no name of a setting"),
        ({}, {1: 2}, "1 is no name of a setting"),
        ({"lr": [float("nan")]}, {}, "lr has nan"),
        ({}, {"lr": {"a": 1}}, "lr has {'a': 1}"),
        ({}, {"lr": []}, "lr has an empty list"),
        ({name: list(range(100)) for name in "abc"}, {}, "has 1000000 combinations"),
    ],
)
def test_bad_grids(values: Any, defaults: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        SettingsGrid(values, defaults)
    assert message in str(caught.value)


def test_true_and_1_are_different_values() -> None:
    assert len(SettingsGrid({"a": [1, True, "1"]}, {}).cells()) == 3


def test_files() -> None:
    grid = grid_from({"hyperparameters": {"a": [1]}, "default_parameters": None}, "g.yaml")
    assert grid.cells() == [{"a": 1}]
    for content, message in (
        ([], r"g\.yaml: is \[\]"),
        ({"hyperparameter": {}}, r"g\.yaml: unknown field 'hyperparameter'"),
        ({"hyperparameters": [1]}, r"g\.yaml: hyperparameters is \[1\]"),
    ):
        with pytest.raises(InputError, match=message):
            grid_from(content, "g.yaml")


def test_a_text_in_a_list_is_not_taken_for_a_flag() -> None:
    with pytest.raises(InputError, match="words has '-x'"):
        flags_of({"words": ["a", "-x"]})
