"""Configurations: flags are made from fields, and invalid values are refused."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.process.command import make_parser
from bort.settings.config import LARGEST_INTEGER, LARGEST_SEED, Config, setting


@dataclass(frozen=True)
class Example(Config):
    data: str = setting(..., "folder of shards")
    steps: int = setting(100, "number of steps", minimum=1, maximum=1000, aliases=("num_steps",))
    rate: float = setting(0.5, "peak rate, 50% of the usual one", above=0.0)
    name: str = setting("one", "which", choices=("one", "two"))
    half: bool = setting(False, "half precision")
    workers: int = setting(1, "reading threads", minimum=0, speed_only=True)
    cache: Optional[str] = setting(None, "folder of the cache")
    weights: Tuple[float, ...] = setting((1.0,), "a weight a loss", minimum=0.0)

    def check(self) -> None:
        if self.half and self.steps > 500:
            raise InputError(f"steps is {self.steps}, allowed with half is at most 500")


def parse(arguments: List[str]) -> Example:
    parser = make_parser("an example")
    Example.add_flags(parser)
    return Example.from_arguments(parser.parse_args(arguments))


def test_help_states_one_default() -> None:
    @dataclass(frozen=True)
    class Described(Config):
        size: Optional[int] = setting(None, "tokens a batch; default: what fits into memory")
        plain: Optional[int] = setting(None, "rows a part")

    parser = make_parser("an example")
    Described.add_flags(parser)
    shown = " ".join(parser.format_help().split())
    assert "default: what fits into memory --plain" in shown
    assert "rows a part (default: none)" in shown


def test_defaults_come_from_the_fields() -> None:
    assert parse(["--data", "d"]) == Example(data="d")


def test_every_field_has_a_flag_that_sets_it() -> None:
    wanted = Example("d", 7, 0.25, "two", True, 3, "c", (1.0, 2.0))
    flags: List[str] = []
    for field in dataclasses.fields(Example):
        value = getattr(wanted, field.name)
        values = value if isinstance(value, tuple) else (value,)
        flags += [f"--{field.name}", *map(str, values)]
    assert parse(flags) == wanted


def test_an_alias_sets_the_same_field() -> None:
    assert parse(["--data", "d", "--num_steps", "9"]).steps == 9


@pytest.mark.parametrize("text", ["False", "false", "0", "no", "off", "FALSE"])
def test_the_word_false_is_false(text: str) -> None:
    assert parse(["--data", "d", "--half", text]).half is False


@pytest.mark.parametrize("arguments", [["--half"], ["--half", "True"], ["--half", "yes"]])
def test_a_boolean_is_set_with_and_without_a_word(arguments: List[str]) -> None:
    assert parse(["--data", "d", *arguments]).half is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "d", "--half", "maybe"], "'maybe' is not a boolean"),
        ([], "--data"),
        (["--data", "d", "--steps", "many"], "--steps"),
        (["--data", "d", "--name", "three"], "'three'"),
        (["--data", "d", "--step", "3"], "--step"),
        (["--data", "d", "--unknown", "3"], "--unknown"),
    ],
)
def test_a_bad_flag_ends_with_one_line_and_status_2(
    arguments: List[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0, allowed is at least 1"),
        ({"steps": 1001}, "steps is 1001, allowed is at most 1000"),
        ({"steps": 2.0}, "steps is 2.0"),
        ({"steps": True}, "steps is True"),
        ({"steps": None}, "steps is None"),
        ({"rate": 0.0}, "rate is 0.0, allowed is more than 0.0"),
        ({"rate": float("nan")}, "rate is nan, allowed is a finite number"),
        ({"rate": float("inf")}, "rate is inf"),
        ({"rate": "0.1"}, "rate is '0.1'"),
        ({"name": "three"}, "name is 'three', allowed are one, two"),
        ({"half": 1}, "half is 1"),
        ({"half": "False"}, "half is 'False'"),
        ({"cache": 3}, "cache is 3"),
        ({"weights": "1 2"}, "weights is '1 2', allowed is a list"),
        ({"weights": (1.0, -1.0)}, "weights is -1.0, allowed is at least 0.0"),
        ({"weights": (1.0, float("nan"))}, "weights is nan"),
        ({"half": True, "steps": 501}, "steps is 501, allowed with half is at most 500"),
    ],
)
def test_a_bad_value_is_named(changes: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Example(**{"data": "d", **changes})
    assert message in str(caught.value)
    assert caught.value.exit_status == 2


@dataclass(frozen=True)
class Places(Config):
    output_dir: str = setting(..., "folder of the run")
    folder: Optional[str] = setting(None, "another folder")
    prompt: str = setting("", "a text")


@pytest.mark.parametrize("name", ["output_dir", "folder"])
def test_an_empty_text_is_no_folder(name: str) -> None:
    assert Places(".").prompt == ""
    with pytest.raises(InputError, match=f"^{name} is '', allowed is the name of a folder$"):
        Places(**{"output_dir": "out", name: ""})


def test_a_whole_number_serves_as_a_float() -> None:
    config = Example(data="d", rate=2, weights=[1, 2])  # type: ignore[arg-type]
    assert config.rate == 2.0
    assert isinstance(config.rate, float)
    assert config.weights == (1.0, 2.0)


def test_unknown_keys_are_refused_and_the_source_is_named() -> None:
    with pytest.raises(InputError, match=r"run\.json: unknown setting 'stepz', known are .*steps"):
        Example.from_dict({"data": "d", "stepz": 3}, source="run.json")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Example(data="d").steps = 2  # type: ignore[misc]


def test_speed_settings_are_kept_apart_from_those_of_results() -> None:
    config = Example(data="d")
    assert set(config.as_dict()) - set(config.results_settings()) == {"workers"}


def test_a_run_older_than_a_setting_had_its_default_or_did_what_the_setting_says() -> None:
    @dataclass(frozen=True)
    class Newer(Config):
        engine: str = setting("auto", "what computes", formerly="one")
        weights: Tuple[float, ...] = setting((1.0,), "a weight a loss", formerly=(2.0,))
        steps: int = setting(3, "number of steps")

    assert Newer.defaults() == {"engine": "one", "weights": [2.0], "steps": 3}
    assert Newer().as_dict() == {"engine": "auto", "weights": [1.0], "steps": 3}


def test_numbers_have_an_upper_bound_without_their_own() -> None:
    @dataclass(frozen=True)
    class Counts(Config):
        steps: int = setting(1, "number of steps", minimum=1)
        data_seed: int = setting(0, "seed of the data")
        rate: float = setting(1.0, "a rate")

    assert Counts(steps=LARGEST_INTEGER, data_seed=LARGEST_SEED).data_seed == LARGEST_SEED
    with pytest.raises(InputError, match="steps is 2147483648, allowed is at most 2147483647"):
        Counts(steps=LARGEST_INTEGER + 1)
    with pytest.raises(InputError, match="data_seed is 9223372036854775808, allowed is at most"):
        Counts(data_seed=LARGEST_SEED + 1)
    with pytest.raises(InputError, match=r"rate is 1e\+308, allowed is at most 1e\+38"):
        Counts(rate=1e308)
    with pytest.raises(InputError, match="rate has too many digits, allowed is a finite number"):
        Counts(rate=10**400)


def test_help_shows_every_flag_with_its_default() -> None:
    parser = make_parser("an example")
    Example.add_flags(parser)
    shown = " ".join(parser.format_help().split())
    for text in ("--num_steps", "50% of the usual one (default: 0.5)", "(default: none)"):
        assert text in shown
    for field in dataclasses.fields(Example):
        assert f"--{field.name}" in shown


@given(
    st.builds(
        Example,
        data=st.text(max_size=5),
        steps=st.integers(1, 500),
        rate=st.floats(1e-9, 1e9),
        name=st.sampled_from(["one", "two"]),
        half=st.booleans(),
        workers=st.integers(0, 9),
        cache=st.none() | st.text(max_size=5),
        weights=st.lists(st.floats(0, 10), max_size=4).map(tuple),
    )
)
def test_a_configuration_survives_its_json(config: Example) -> None:
    values = json.loads(json.dumps(config.as_dict()))
    assert Example.from_dict(values, source="here") == config


def test_a_setting_without_a_default_must_be_given() -> None:
    @dataclass(frozen=True)
    class Needs(Config):
        steps: int = setting(..., "number of steps")

    with pytest.raises(InputError, match="^record.json: setting 'steps' is missing$"):
        Needs.from_dict({}, "record.json")
    assert Needs.from_dict({"steps": 2}, "record.json").steps == 2
