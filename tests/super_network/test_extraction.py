"""Tests of extraction: the weights are the slice's, the folder is complete and names no path."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

from bort.errors import InputError
from bort.network.array_network import places_of
from bort.network.description import TaskDescription
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.network.model_folder import read_model_folder
from bort.super_network.extraction import extract_model
from bort.super_network.parts import read_part
from bort.text.pair_form import ROBERTA_PAIRS
from bort.text.vocabularies import load_vocabulary
from tests.super_network.super_network_samples import SPACE, whole_network, write_sample
from tests.text.tiny_vocabulary import tiny_vocabulary


def part_of(source, text):
    return read_part(text, source.whole, SPACE)


def by_hand(network, layers, hidden, intermediate, rows):
    """The weights of a sub-network by index lists that are written out here."""
    found = {}
    axes = {"H": list(range(hidden)), "I": list(range(intermediate)), "Q": rows}
    for place in places_of(network.description):
        name, axis = place.gluon, list(place.shape)
        parts = name.split("transformer_cells.")
        if len(parts) == 2:
            number, rest = parts[1].split(".", 1)
            if int(number) not in layers:
                continue
            name = f"{parts[0]}transformer_cells.{layers.index(int(number))}.{rest}"
        array = network.arrays[place.gluon]
        for position, letter in enumerate(axis):
            if letter in axes:
                array = np.take(array, axes[letter], axis=position)
        found[name] = array
    return found


def test_the_weights_are_those_of_the_slice(tmp_path):
    network = whole_network(tiny_vocabulary())
    source = write_sample(tmp_path / "s", network)
    summary = extract_model(source, part_of(source, "2-2-16-16"), tmp_path / "m")
    model = read_model_folder(tmp_path / "m")
    # The order (2, 0, 1) keeps layers 0 and 2; two whole heads of width 8 are rows 0 to 15.
    expected = by_hand(network, [0, 2], 16, 16, list(range(16)))
    assert set(model.arrays) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(model.arrays[name], array)
    assert summary["parameters"] == sum(array.size for array in expected.values())
    assert summary["parameters"] == model.architecture.parameter_count(decoder=True)
    wrong = by_hand(network, [0, 1], 16, 16, list(range(16)))  # the planted fault: first layers
    assert any(not np.array_equal(model.arrays[name], wrong[name]) for name in wrong)


def test_narrowed_heads_keep_their_first_rows(tmp_path):
    network = whole_network(tiny_vocabulary())
    source = write_sample(tmp_path / "s", network)
    extract_model(source, part_of(source, "1-4-32-48-12"), tmp_path / "m")
    rows = [0, 1, 2, 8, 9, 10, 16, 17, 18, 24, 25, 26]
    expected = by_hand(network, [2], 32, 48, rows)
    model = read_model_folder(tmp_path / "m")
    for name, array in expected.items():
        np.testing.assert_array_equal(model.arrays[name], array)


def test_the_whole_is_extracted_unchanged(tmp_path):
    network = whole_network(tiny_vocabulary())
    source = write_sample(tmp_path / "s", network)
    extract_model(source, source.whole, tmp_path / "m")
    for name, array in network.arrays.items():
        np.testing.assert_array_equal(read_model_folder(tmp_path / "m").arrays[name], array)


def test_head_task_pairs_and_vocabulary_go_along_and_scores_of_the_whole_do_not(tmp_path):
    vocabulary = tiny_vocabulary()
    network = whole_network(vocabulary, num_classes=2).replace(
        head=HeadDescription(ONE_LINEAR, 2, ("no", "yes")),
        task=TaskDescription("RTE", {}),
        input_length=48,
        pairs=ROBERTA_PAIRS,
        metrics={"accuracy": 0.9},
        notes={"training": {"lr": 0.1}},
    )
    metrics = {"1-2-16-16-16": {"accuracy": 0.6}}
    source = write_sample(tmp_path / "s", network, metrics=metrics)
    scored = extract_model(source, part_of(source, "1-2-16-16"), tmp_path / "scored")
    extract_model(source, part_of(source, "2-2-16-16"), tmp_path / "other")
    extract_model(source, part_of(source, "2-2-16-16"), tmp_path / "given", {"accuracy": 0.7})
    found = [read_model_folder(tmp_path / n).description for n in ("scored", "other", "given")]
    assert [dict(one.metrics) for one in found] == [{"accuracy": 0.6}, {}, {"accuracy": 0.7}]
    assert scored["metrics"] == {"accuracy": 0.6}
    for one in found:
        for field in ("head", "task", "input_length", "pairs", "vocabulary_fingerprint"):
            assert getattr(one, field) == getattr(network.description, field)
    assert found[0].notes == {
        "training": {"lr": 0.1},
        "super_network": {
            "fingerprint": source.fingerprint,
            "steps": 12,
            "architecture": "1-2-16-16-16",
            "layers": [2],
            "in_space": True,
        },
    }
    words = load_vocabulary(tmp_path / "scored" / "vocabulary")
    assert words.fingerprint == vocabulary.fingerprint


def test_the_folder_needs_nothing_of_the_super_network(tmp_path):
    source = write_sample(tmp_path / "run-of-old", provenance={"start": str(tmp_path)})
    extract_model(source, part_of(source, "2-2-16-16"), tmp_path / "m")
    shutil.rmtree(tmp_path / "run-of-old")
    for path in (tmp_path / "m").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    moved = shutil.move(str(tmp_path / "m"), tmp_path / "elsewhere")
    assert read_model_folder(moved).architecture.depth == 2


def test_an_architecture_beside_the_grid_is_taken_out_with_a_warning(tmp_path, caplog):
    source = write_sample(tmp_path / "s")
    with caplog.at_level(logging.WARNING):
        summary = extract_model(source, part_of(source, "2-3-20-30"), tmp_path / "m")
    assert "2-3-20-30-24 is not in the space of" in caplog.text
    assert summary["in_space"] is False
    assert read_model_folder(tmp_path / "m").architecture.hidden == 20


def test_nothing_is_left_behind_by_a_refusal(tmp_path):
    source = write_sample(tmp_path / "s")
    too_large = source.whole.replace(hidden=40, qkv=32)
    with pytest.raises(InputError, match="hidden is 40, allowed is at most 32"):
        extract_model(source, too_large, tmp_path / "m")
    weights = tmp_path / "s" / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"model\.safetensors: is damaged"):
        extract_model(source, source.whole, tmp_path / "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
