"""Configurations that include others: nested in Python, flat in flags and records; presets."""

from __future__ import annotations

import argparse
import dataclasses
import json
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Tuple

import pytest

from bort.errors import InputError
from bort.process.command import make_parser
from bort.settings.config import Config, defaults_of, part, setting


@dataclass(frozen=True)
class Shape(Config):
    width: int = setting(8, "numbers a row", minimum=1)
    places: Tuple[int, ...] = setting((1, 2), "where")

    def check(self) -> None:
        if self.width == 13:
            raise InputError("width is 13, allowed is any other")


@dataclass(frozen=True)
class LayeredShape(Shape):
    layers: Optional[int] = setting(None, "rows", speed_only=True)


@dataclass(frozen=True)
class Outer(Config):
    seed: int = setting(0, "of everything")
    shape: LayeredShape = part(LayeredShape, help={"width": "numbers an outer row"})
    rate: float = setting(0.5, "peak", aliases=("lr",))


NAMES = ["seed", "width", "places", "layers", "rate"]


def parser_of(kind: Any = Outer, **options: Any) -> argparse.ArgumentParser:
    parser = make_parser("an example")
    kind.add_flags(parser, **options)
    return parser


def parse(flags: List[str], preset: Optional[Mapping[str, Any]] = None) -> Outer:
    parsed = parser_of(preset=preset is not None).parse_args(flags)
    return Outer.from_arguments(parsed, preset)


def test_records_name_the_settings_alone_in_the_place_of_the_part() -> None:
    config = Outer(shape=LayeredShape(width=3))
    assert config.as_dict() == {
        "seed": 0,
        "width": 3,
        "places": [1, 2],
        "layers": None,
        "rate": 0.5,
    }
    assert list(config.as_dict()) == NAMES
    assert list(config.results_settings()) == ["seed", "width", "places", "rate"]
    assert Outer.defaults() == defaults_of(Outer) == Outer().as_dict()


def test_a_record_builds_the_parts_again() -> None:
    config = Outer(3, LayeredShape(5, (7,), 2), 0.25)
    values = json.loads(json.dumps(config.as_dict()))
    assert Outer.from_dict(values, "run.json") == config
    with pytest.raises(InputError, match=r"run\.json: unknown setting 'shape', known are .*width"):
        Outer.from_dict({"shape": {}}, "run.json")


def test_flags_set_the_settings_of_parts() -> None:
    assert parse([]) == Outer()
    flags = ["--width", "4", "--places", "5", "6", "--layers", "2", "--lr", "1"]
    assert parse(flags) == Outer(0, LayeredShape(4, (5, 6), 2), 1.0)


def test_help_keeps_the_order_and_may_replace_a_line() -> None:
    shown = " ".join(parser_of().format_help().split())
    places = [shown.rindex(f"--{name}") for name in NAMES]
    assert places == sorted(places)
    assert "numbers an outer row (default: 8)" in shown
    inside = " ".join(parser_of(LayeredShape).format_help().split())
    assert "numbers a row (default: 8)" in inside


def test_a_part_is_checked_when_it_is_built() -> None:
    for values, message in (
        ({"width": 0}, "width is 0, allowed is at least 1"),
        ({"width": 13}, "width is 13, allowed is any other"),
        ({"places": "1"}, "places is '1', allowed is a list"),
    ):
        with pytest.raises(InputError, match=message):
            Outer.from_dict(values, "here")
    for wrong in (None, {"width": 3}, Shape()):
        with pytest.raises(InputError, match="allowed is a LayeredShape"):
            Outer(shape=wrong)  # type: ignore[arg-type]


def test_a_copy_has_other_settings_and_is_checked() -> None:
    config = Outer(seed=3).replace(width=9, rate=1)
    assert config == Outer(3, LayeredShape(9), 1.0)
    assert dataclasses.replace(config, shape=LayeredShape()) == Outer(seed=3, rate=1.0)
    with pytest.raises(InputError, match="width is 0"):
        config.replace(width=0)
    with pytest.raises(InputError, match="Outer: unknown setting 'wide'"):
        config.replace(wide=1)


def test_the_same_setting_in_two_parts_is_refused() -> None:
    @dataclass(frozen=True)
    class Twice(Config):
        width: int = setting(1, "here too")
        shape: Shape = part(Shape)

    with pytest.raises(AssertionError, match="Twice has a setting twice"):
        parser_of(Twice)


def test_flags_win_over_a_preset_and_a_preset_over_defaults() -> None:
    preset = {"width": 5, "rate": 0.1}
    assert parse([], preset) == Outer(shape=LayeredShape(5), rate=0.1)
    assert parse(["--width", "8"], preset) == Outer(rate=0.1), "a default that is given wins too"
    assert parse(["--seed", "1"], {}) == Outer(seed=1)
    with pytest.raises(InputError, match="preset: unknown setting 'widht'"):
        parse([], {"widht": 5})
    assert "(default: 8)" in parser_of(preset=True).format_help()
