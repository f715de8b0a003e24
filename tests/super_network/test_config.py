"""Tests of a super-network's settings: flags, the space that they describe, contradictions."""

from __future__ import annotations

import argparse
import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths, make_sub_network_space
from bort.super_network.space import SPACES
from bort.text.batch_plan import Accumulation
from bort.training.recipes import RECIPES

WHOLE = Architecture(6, 12, 384, 1536, vocabulary_size=100)


def paths(*flags: str) -> SuperNetworkPaths:
    parser = argparse.ArgumentParser()
    SuperNetworkPaths.add_flags(parser)
    SuperNetworkConfig.add_flags(parser)  # no flag has the name of another
    words = ["--output_dir", "o", "--data", "d", *flags]
    return SuperNetworkPaths.from_arguments(parser.parse_args(words))


def test_flags_describe_a_space_and_other_axes_keep_the_size_of_the_whole():
    space = make_sub_network_space(paths("--depths", "2:6:2", "--qkvs", "96:384:96"), WHOLE)
    assert space.as_dict() == {
        "depths": {"from": 2, "to": 6, "step": 2},
        "hiddens": [384],
        "intermediates": [1536],
        "qkvs": {"from": 96, "to": 384, "step": 96},
    }
    assert make_sub_network_space(paths("--depths", "3", "6"), WHOLE).heads == (12,)


def test_flags_override_a_file(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps({"depths": [1, 2], "heads": [3], "hiddens": [64, 128]}))
    space = make_sub_network_space(
        paths("--space", str(path), "--depths", "4", "--qkvs", "12", "24"), WHOLE
    )
    assert (space.depths, space.hiddens, space.heads, space.qkvs) == ((4,), (64, 128), (), (12, 24))


def test_a_named_space_is_taken_whole():
    whole = Architecture(12, 12, 768, 3072)
    assert (
        make_sub_network_space(paths("--space", "autotinybert_kd"), whole)
        == SPACES["autotinybert_kd"]
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "space: no axis is given, needed is --space or one of --depths, --hiddens"),
        (("--depths", "7"), "space: depths holds 7, allowed is at most 6, that of the network"),
        (("--depths", "x"), "depths is 'x', allowed are an integer, first:last and first:last:"),
        (("--qkvs", "100"), "space: qkvs holds 100, which the 12 heads of the network do not"),
        (("--space", "autotinybert_mlm"), "autotinybert_mlm: depths holds 8, allowed is at most 6"),
        (("--space", "none.json"), "none.json: "),
    ],
)
def test_bad_spaces_are_named(flags, message):
    with pytest.raises(InputError) as error:
        make_sub_network_space(paths(*flags), WHOLE)
    assert str(error.value).startswith(message)


def test_a_bad_field_of_a_file_is_named_with_the_file_also_next_to_flags(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(json.dumps({"depths": [1], "widths": [3]}))
    with pytest.raises(InputError, match=r"space\.json: unknown field 'widths', known are depths"):
        make_sub_network_space(paths("--space", str(path), "--heads", "2"), WHOLE)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task_name", "RTE"), "data is 'd' and task_name is 'RTE', allowed is one of them"),
        (("--start", "s", "--architecture", "1-1-8-8"), "start is 's' and architecture is"),
        (("--unlabelled", "u.tsv"), "unlabelled is 'u.tsv', which has no effect with data;"),
        (("--data_dir", "x"), "data_dir is 'x', which has no effect with data;"),
        (("--sample",), "sample is True, which has no effect with data;"),
        (("--heads", "1", "--qkvs", "8"), "heads and qkvs are both given, allowed is one of them"),
    ],
)
def test_contradicting_paths_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        paths(*flags)


@pytest.mark.parametrize("name", ["data_eval", "teacher_cache"])
def test_paths_of_text_have_no_place_beside_a_task(name):
    with pytest.raises(InputError, match=f"{name} is 'x', which has no effect with task_name;"):
        SuperNetworkPaths(output_dir="o", task_name="RTE", **{name: "x"})


def test_a_recipe_is_one_of_text():
    paths = SuperNetworkPaths(output_dir="o", data="d", architecture="2-2-16-32", recipe="cramming")
    config = SuperNetworkConfig.from_dict(dict(RECIPES[paths.recipe]), "recipe")
    assert config.pretraining.accumulation == Accumulation(64, ramp_share=0.6)
    with pytest.raises(InputError, match="recipe is 'cramming', which is one of masked text"):
        SuperNetworkPaths(output_dir="o", task_name="RTE", start="s", recipe="cramming")


def test_in_place_is_the_default_of_the_sandwich_alone():
    assert SuperNetworkConfig().learns_in_place
    assert not SuperNetworkConfig(in_place=False).learns_in_place
    uniform = SuperNetworkConfig().replace(sampling="uniform")
    assert not uniform.learns_in_place
    with pytest.raises(InputError, match="in_place is true with sampling 'uniform', allowed is"):
        uniform.replace(in_place=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "float16"}, "dtype is 'float16', allowed for a super-network is 'float32'"),
        ({"label_weight": 0.0, "soft_weight": 0.0}, "label_weight and soft_weight are both 0"),
    ],
)
def test_settings_that_no_super_network_has_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        SuperNetworkConfig().replace(**settings)
