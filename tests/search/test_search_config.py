"""Tests of the settings and files of a search."""

from __future__ import annotations

import json

import pytest

from bort.errors import InputError
from bort.search.config import SearchConfig, SearchPaths, make_space, read_hyperparameters
from bort.search.surrogates import Hyperparameters


def paths(**changes):
    return SearchPaths(**{"data": "d", "output_dir": "o", **changes})


def test_the_defaults_are_the_papers():
    config = SearchConfig()
    assert (config.epsilon, config.train_steps, config.strategy) == (6, 3, "fptas")
    assert (config.error, config.latency) == ("cross_entropy", "measured")
    assert len(make_space(paths(), 50265, 512)) == 300


def test_flags_replace_axes_of_the_space_of_a_file(tmp_path):
    path = tmp_path / "space.json"
    path.write_text(
        json.dumps({"depths": [1, 2], "heads": [2], "hiddens": [8], "intermediates": [4]})
    )
    space = make_space(paths(space=str(path)), 100, 16)
    assert (space.depths, space.vocabulary_size, space.maximum_length) == ((1, 2), 100, 16)
    changed = make_space(paths(space=str(path), hiddens=(8, 16), even_depth=False), 100, 16)
    assert (changed.hiddens, len(changed)) == ((8, 16), 4)
    assert {one.norm for one in changed.candidates()} == {"post"}
    other = make_space(paths(space=str(path), norm="pre"), 100, 16)
    assert {one.norm for one in other.candidates()} == {"pre"}
    with pytest.raises(InputError, match="hiddens holds 0"):
        make_space(paths(hiddens=(0,)), 100, 16)


def test_sets_of_hyperparameters_come_from_a_file(tmp_path):
    path = tmp_path / "theta.json"
    path.write_text('[{"lr": 0.1}, {"lr": 1, "optimizer": "bertadam"}]')
    assert read_hyperparameters(str(path)) == [
        Hyperparameters(lr=0.1),
        Hyperparameters(lr=1.0, optimizer="bertadam"),
    ]
    assert read_hyperparameters(None) == [Hyperparameters()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "is not a list"),
        ("{}", "is not a list"),
        ("[3]", "set 0 is 3"),
        ('[{"lr": 0.1}, {"rate": 1}]', "set 1: unknown setting 'rate'"),
        ('[{"lr": -1}]', "set 0: lr is -1.0"),
        ('[{"optimizer": "adam"}]', "set 0: optimizer is 'adam'"),
    ],
)
def test_a_bad_set_names_file_set_and_field(tmp_path, content, message):
    path = tmp_path / "theta.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_hyperparameters(str(path))
    assert "theta.json" in str(caught.value)
