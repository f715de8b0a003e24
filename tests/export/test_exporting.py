"""Exports of damaged, forged or inconsistent model folders: a one-line error, no file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bort.engines.sources import read_source
from bort.errors import InputError
from bort.export.exporting import ExportSource, export_huggingface, export_onnx
from bort.export.importing import import_huggingface
from bort.network.array_network import ArrayNetwork
from bort.network.description import TaskDescription
from bort.storage.files import sha256_of_file
from tests.formats.parity import BORT, make_network, write_network
from tests.text.tiny_vocabulary import tiny_merges, tiny_vocabulary

LABELS = ["no", "yes"]


def write_model(folder: Path, network: ArrayNetwork) -> None:
    vocabulary = tiny_vocabulary()
    write_network(folder, network.replace(vocabulary_fingerprint=vocabulary.fingerprint))
    vocabulary.save(folder / "vocabulary")


@pytest.fixture(scope="module")
def good(tmp_path_factory: Any) -> Path:
    """Return a small classifier with its vocabulary."""
    architecture = BORT.replace(depth=1, vocabulary_size=len(tiny_vocabulary()))
    folder: Path = tmp_path_factory.mktemp("models") / "good"
    write_model(
        folder,
        make_network(
            architecture,
            head="linear",
            num_classes=2,
            labels=LABELS,
            task=TaskDescription("RTE"),
        ),
    )
    return folder


def forge(folder: Path, **extra: Any) -> None:
    """Edit `model.json`, with a SHA-256 that matches the weights."""
    path = folder / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["extra"].update(extra)
    description["weights"]["sha256"] = sha256_of_file(folder / "model.safetensors")
    path.write_text(json.dumps(description), encoding="utf-8")


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def truncate_and_forge(folder: Path) -> None:
    truncate(folder)
    forge(folder)


def huge_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes((2**63).to_bytes(8, "little") + path.read_bytes()[8:])
    forge(folder)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04\x95cos\nsystem")
    forge(folder)


def pickle_beside(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def not_finite(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    name = "bort.encoder.layer_norm.gamma"
    tensors[name] = np.full_like(tensors[name], np.nan)
    safetensors.numpy.save_file(tensors, path)
    forge(folder)


def other_vocabulary(folder: Path) -> None:
    """A vocabulary of the same size with other meanings of its ids is refused."""
    merges = tiny_merges()
    shutil.rmtree(folder / "vocabulary")
    tiny_vocabulary([*merges[:-2], merges[-1], merges[-2]]).save(folder / "vocabulary")


def smaller_vocabulary(folder: Path) -> None:
    shutil.rmtree(folder / "vocabulary")
    tiny_vocabulary(tiny_merges()[:-3]).save(folder / "vocabulary")


def no_vocabulary(folder: Path) -> None:
    shutil.rmtree(folder / "vocabulary")


def deep_record(folder: Path) -> None:
    (folder / "vocabulary" / "vocabulary.json").write_text("[" * 100_000, encoding="utf-8")


BAD = {
    "truncated": (truncate, "is damaged"),
    "truncated and forged": (truncate_and_forge, "is not a safetensors file"),
    "huge header": (huge_header, "is not a safetensors file"),
    "pickle under the name": (pickled, "is not a safetensors file"),
    "pickle beside": (pickle_beside, "model.safetensors: is missing"),
    "not finite": (not_finite, "layer_norm.gamma' holds a number that is not finite"),
    "label count": (
        lambda folder: forge(folder, labels=["a", "b", "c"]),
        "2 outputs have 3 labels",
    ),
    "labels of a kind": (
        lambda folder: forge(folder, labels="ab"),
        "extra.labels is 'ab', allowed is a list of texts",
    ),
    "other vocabulary": (other_vocabulary, "is not the one that the model was trained with"),
    "smaller vocabulary": (smaller_vocabulary, "tokens, the vocabulary has"),
    "no vocabulary": (no_vocabulary, "name the model's vocabulary with --vocab"),
    "deep record": (deep_record, "nested too deeply"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_model_is_refused_in_one_line(name: str, good: Path, tmp_path: Path) -> None:
    spoil, message = BAD[name]
    bad, output = tmp_path / "bad", tmp_path / "out"
    shutil.copytree(good, bad)
    spoil(bad)
    for export in (export_huggingface, export_onnx):
        with pytest.raises(InputError, match="^[^\n]*$") as caught:
            export(ExportSource(bad), output)
        assert message in str(caught.value)
        assert str(bad) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


@pytest.mark.parametrize("name", ["other vocabulary", "smaller vocabulary", "no vocabulary"])
def test_a_bad_vocabulary_is_not_imported(name: str, good: Path, tmp_path: Path) -> None:
    """A Hugging Face folder with a wrong or missing tokenizer is refused."""
    spoil, message = BAD[name]
    folder, output, other = tmp_path / "hf", tmp_path / "out", tmp_path / "other"
    export_huggingface(ExportSource(good), folder)
    shutil.copytree(good, other)
    spoil(other)
    for file in ("bort.json", "vocab.json", "merges.txt", "vocabulary.json", "tokenizer.json"):
        (folder / file).unlink()
    if name == "no vocabulary":
        message = "holds no vocabulary"
    else:
        shutil.copytree(other / "vocabulary", folder, dirs_exist_ok=True)
    with pytest.raises(InputError, match="^[^\n]*$") as caught:
        import_huggingface(folder, output)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)
    assert not output.exists()


@pytest.mark.parametrize("labels", [['"yes"', "it's \\no"], ["да", "東京 | ✓"], ["<b>", "a\nb"]])
def test_labels_of_any_kind_come_back(labels: Any, good: Path, tmp_path: Path) -> None:
    """Labels may hold quotes, other scripts, and special characters of tables and web pages."""
    model, folder = tmp_path / "model", tmp_path / "hf"
    shutil.copytree(good, model)
    scores = {"accuracy": 0.62513, "matthews": -0.25}
    forge(model, labels=labels, metrics=scores, corpus='Straße "x"')
    export_huggingface(ExportSource(model), folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == {"0": labels[0], "1": labels[1]}
    assert config["label2id"] == {labels[0]: 0, labels[1]: 1}
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| accuracy | 0.6251 |" in card
    assert "| matthews | -0.2500 |" in card
    assert '"corpus": "Straße \\"x\\""' in card
    for label in labels:
        assert label.replace("\n", " ") in card
    assert import_huggingface(folder, tmp_path / "back")["labels"] == labels
    again, before = (
        json.loads((one / "model.json").read_text(encoding="utf-8"))
        for one in (tmp_path / "back", model)
    )
    assert again == before


@pytest.mark.parity("onnx", "onnxruntime")
@pytest.mark.parametrize(
    ("classes", "problem_type"),
    [(3, "multi_label_classification"), (2, "regression"), (1, "multi_label_classification")],
)
def test_the_problem_type_survives_import_and_export(
    classes: int, problem_type: str, tmp_path: Path
) -> None:
    architecture = BORT.replace(depth=1, vocabulary_size=len(tiny_vocabulary()))
    network = make_network(
        architecture, head="linear", num_classes=classes, problem_type=problem_type
    )
    write_model(tmp_path / "model", network)
    export_huggingface(ExportSource(tmp_path / "model"), tmp_path / "exported")
    (tmp_path / "exported" / "bort.json").unlink()
    summary = import_huggingface(tmp_path / "exported", tmp_path / "imported")
    assert summary["problem_type"] == problem_type
    export_onnx(ExportSource(tmp_path / "imported"), tmp_path / "onnx")
    assert json.loads((tmp_path / "onnx" / "onnx.json").read_text())["problem_type"] == problem_type
    for folder in ("model", "imported", "onnx"):
        head = read_source(tmp_path / folder).description.head
        assert head is not None
        assert (head.num_classes, head.problem_type) == (classes, problem_type)
