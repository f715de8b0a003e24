"""Hugging Face folders for tests: as RoBERTa stores them, and edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import safetensors.numpy

from bort.network.array_network import ArrayNetwork
from bort.network.parameter_names import (
    name_in,
    places,
)


def assert_identical(ours: ArrayNetwork, theirs: ArrayNetwork) -> None:
    assert ours.replace(arrays=theirs.arrays) == theirs
    assert set(ours.arrays) == set(theirs.arrays)
    for name, array in ours.arrays.items():
        assert array.tobytes() == theirs.arrays[name].tobytes(), name


def roberta_folder(folder: Path, network: ArrayNetwork, *, prefix: bool = True) -> None:
    """Return the network as RoBERTa's own classes store it, with 2 unused positions first."""
    architecture = network.architecture
    tensors = {}
    arrays = dict(network.arrays)
    arrays["token_type_embed.0.weight"] = np.zeros((1, architecture.hidden), np.float32)
    positions = arrays["encoder.position_weight"]
    arrays["encoder.position_weight"] = np.concatenate([np.full_like(positions[:2], 9), positions])
    for place in places(architecture, decoder=network.description.has_decoder, token_types=True):
        name = name_in(place, "roberta")
        tensors[name if prefix else name.replace("roberta.", "")] = arrays[place.gluon]
    tensors["lm_head.decoder.weight"] = arrays["word_embed.0.weight"]
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "roberta",
        "architectures": ["RobertaForMaskedLM"],
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.hidden,
        "num_hidden_layers": architecture.depth,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.intermediate,
        "max_position_embeddings": architecture.maximum_length + 2,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config.update(changes)
        path.write_text(
            json.dumps({k: v for k, v in config.items() if v is not ...}), encoding="utf-8"
        )

    return edit


def edit_tensors(change: Callable[[Dict[str, np.ndarray]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        change(tensors)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")

    return edit
