"""Model folders that version 0.2.0 wrote are read, and written again byte for byte.

`model_folders` holds small networks of random weights: the `model.json` and `model.safetensors`
that `save_model_folder` of version 0.2.0 wrote, and `onnx.json`, `config.json`, `bort.json` and
`README.md` of their exports without a vocabulary.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict

import pytest

from bort.architecture import Architecture
from bort.formats.exported_folder import read_exported_graph, write_exported_description
from bort.formats.huggingface.writer import write_huggingface
from bort.network.description import ModelDescription, TaskDescription
from bort.network.head import HeadDescription
from bort.network.model_folder import read_description, read_model_folder, write_model_folder

KEPT = Path(__file__).with_name("model_folders")
SIZES = Architecture(1, 2, 8, 12, vocabulary_size=20, maximum_length=16)
OPTIONS = {
    "balance": None,
    "clean_multirc": True,
    "drop_seed": 0,
    "halve_race_h": True,
    "race_form": "option",
    "span_marker": "<mask>",
}
DESCRIPTIONS: Dict[str, ModelDescription] = {
    "pretrained": ModelDescription(
        SIZES,
        has_decoder=True,
        decoder_layer_norm_eps=1e-12,
        vocabulary_fingerprint="3a70" * 16,
    ),
    "typed_with_pooler": ModelDescription(
        SIZES.replace(token_types=2),
        has_pooler=True,
        layer_norm_eps=1e-12,
        decoder_layer_norm_eps=1e-12,
        dropout=0.0,
    ),
    "finetuned": ModelDescription(
        SIZES,
        HeadDescription("linear", 2, ("false", "true"), 0.2),
        decoder_layer_norm_eps=1e-12,
        dropout=0.2,
        task=TaskDescription("WSC", OPTIONS, "a7a2" * 16),
        input_length=16,
        vocabulary_fingerprint="924c" * 16,
        metrics={"accuracy": 0.5833333333333334},
        notes={
            "training": {"lr": 0.002, "early_stop": None, "head": "paper"},
            "epoch": 2,
            "step": 14,
        },
    ),
    "regression": ModelDescription(
        SIZES,
        HeadDescription("two_linear", 1),
        decoder_layer_norm_eps=1e-12,
        task=TaskDescription("STS-B", OPTIONS),
        input_length=16,
        vocabulary_fingerprint="924c" * 16,
        metrics={"pearson": 0.25, "spearman": 0.3},
        notes={"training": {"lr": 0.001}},
    ),
    "with_unused_decoder": ModelDescription(
        SIZES,
        HeadDescription("release", 3, ("a", "b", "c"), 0.0),
        has_decoder=True,
        notes={"origin": {"name": "x/y", "commit": "0" * 40}},
    ),
}
NAMES = sorted(DESCRIPTIONS)


def test_every_folder_is_described_here() -> None:
    assert sorted(path.name for path in KEPT.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_model_folder_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    network = read_model_folder(KEPT / name)
    assert network.description == read_description(KEPT / name) == DESCRIPTIONS[name]
    write_model_folder(tmp_path, network.description, network.arrays)
    for file in ("model.json", "model.safetensors"):
        assert (tmp_path / file).read_bytes() == (KEPT / name / file).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_hugging_face_export_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    write_huggingface(tmp_path, read_model_folder(KEPT / name), None)
    for file in ("config.json", "bort.json", "README.md"):
        assert (tmp_path / file).read_bytes() == (KEPT / name / file).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_description_of_a_graph_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    kept = json.loads((KEPT / name / "onnx.json").read_text(encoding="utf-8"))
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"a graph")
    fields = {key: kept[key] for key in ("opset", "precision", "inputs", "outputs", "checks")}
    path = tmp_path / "onnx.json"
    write_exported_description(path, DESCRIPTIONS[name], (graph.name,), fields)
    written = json.loads(path.read_text(encoding="utf-8"))
    kept["files"] = written["files"]
    assert path.read_text(encoding="utf-8") == json.dumps(kept, indent=2, sort_keys=True) + "\n"
    found = read_exported_graph(path, (graph.name,))
    whole = DESCRIPTIONS[name]
    assert found.description == whole.replace(
        # A graph has neither dropout nor pooler, and a classifier's no decoder.
        head=whole.head and HeadDescription(whole.head.kind, whole.num_classes, whole.labels),
        has_decoder=whole.purpose == "masked_lm",
        has_pooler=False,
        dropout=0.1,
    )
    assert (found.precision, found.files, found.has_epsilons) == ("fp32", (graph,), True)
    del kept["layer_norm_eps"]  # as the first versions wrote it
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert not read_exported_graph(path, (graph.name,)).has_epsilons
