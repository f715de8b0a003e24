"""Tests of the settings of a table of inference times."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.search.latency_config import LatencyTableConfig, LatencyTablePaths, TimingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "int4"}, "precision is 'int4', allowed are fp32, bf16, int8, fast"),
        ({"engine": "tvm"}, "engine is 'tvm', allowed are auto, openvino, onnxruntime, mxnet"),
        ({"threads": 0}, "threads is 0, allowed is at least 1"),
        ({"processor_time": True, "threads": 2}, "threads is 2 with processor_time, allowed is 1"),
    ],
)
def test_bad_conditions_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        TimingConfig(**settings)


def test_enough_architectures_are_left_to_fit():
    assert LatencyTableConfig(count=5, held_out=0).count == 5
    with pytest.raises(InputError, match="count is 4, allowed is at least 5"):
        LatencyTableConfig(count=4, held_out=0)
    with pytest.raises(InputError, match="held_out is 6 with count 10, allowed is at most 5"):
        LatencyTableConfig(count=10, held_out=6)


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"output_dir": "o"}, "none of --super_network, --space, --search_space, --model is given"),
        ({"super_network": "s", "model": "m"}, "super_network and model of --super_network"),
        ({"space": "s", "output_dir": "o"}, "space is 's' and architecture is None, allowed are"),
        ({"super_network": "s"}, "output_dir is None, needed is a folder"),
        ({"model": "m", "output_dir": "o"}, "output_dir is 'o', allowed is none with --model"),
    ],
)
def test_one_thing_is_measured(paths, message):
    with pytest.raises(InputError, match=message):
        LatencyTablePaths(**paths)
