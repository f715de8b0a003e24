"""Settings of a small model: the limit, the time, the names of the task's flag."""

import argparse

import pytest

from bort.errors import InputError
from experiments.small_model.config import SmallModelConfig

GIVEN = {"teacher": "teacher", "task_name": "task.csv", "output_dir": "out", "hours": "2"}


def test_a_limit_is_needed():
    with pytest.raises(InputError, match="--latency_ms, --speed_up, --parameters"):
        SmallModelConfig(**GIVEN)


def test_two_limits_are_refused():
    with pytest.raises(InputError, match="allowed is one of them"):
        SmallModelConfig(**GIVEN, speed_up=2.0, latency_ms=5.0)


def test_the_limit_has_a_name_and_a_value():
    assert SmallModelConfig(**GIVEN, speed_up=2).limit_kind_and_value == ("speed_up", 2.0)
    assert SmallModelConfig(**GIVEN, parameters=10).limit_kind_and_value == ("parameters", 10)


def test_hours_are_a_duration():
    assert SmallModelConfig(**{**GIVEN, "hours": "90m"}, speed_up=2).seconds == 5400
    with pytest.raises(InputError, match="hours is 'soon'"):
        SmallModelConfig(**{**GIVEN, "hours": "soon"}, speed_up=2)


@pytest.mark.parametrize("flag", ["--data", "--task_name", "--task"])
def test_data_and_task_name_are_one_flag(flag):
    parser = argparse.ArgumentParser()
    SmallModelConfig.add_flags(parser)
    words = ["--teacher", "t", flag, "x.csv", "--output_dir", "o", "--hours", "1"]
    parsed = parser.parse_args([*words, "--speed_up", "3", "--text_columns", "a", "b"])
    config = SmallModelConfig.from_arguments(parsed)
    assert config.task_name == "x.csv"
    assert config.own_data.text_columns == ("a", "b")
    assert config.baseline is True


def test_settings_survive_their_record():
    config = SmallModelConfig(**GIVEN, speed_up=2.0, agora="never")
    assert SmallModelConfig.from_dict(config.as_dict(), "run.json") == config
