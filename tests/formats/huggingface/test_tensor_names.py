"""Names of tensors: wrapped, old, of plain models, of buffers and adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import numpy as np
import pytest

from bort.errors import InputError
from bort.formats.huggingface.tensor_file import Weights
from bort.formats.huggingface.tensor_names import with_current_names

WORDS = "bert.embeddings.word_embeddings.weight"
DECODER = "cls.predictions.decoder.weight"


def renamed(*names: str, tied: bool = True, model_type: str = "bert") -> Dict[str, int]:
    """Return the current names, with the index of each stored name."""
    tensors = {name: np.array([number], np.float32) for number, name in enumerate(names)}
    weights = with_current_names(Weights(Path("f"), tensors, {}, ()), model_type, tied=tied)
    return {name: int(array[0]) for name, array in weights.tensors.items()}


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("bert.pooler.dense.bias", "bert.pooler.dense.bias"),
        ("pooler.dense.bias", "bert.pooler.dense.bias"),
        ("encoder.layer.0.output.dense.bias", "bert.encoder.layer.0.output.dense.bias"),
        ("module.bert.pooler.dense.bias", "bert.pooler.dense.bias"),
        ("_orig_mod.module.pooler.dense.bias", "bert.pooler.dense.bias"),
        ("model.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias"),
        ("classifier.weight", "classifier.weight"),
        ("modules.gamma", "modules.gamma"),
    ],
)
def test_names_become_current(stored: str, name: str) -> None:
    assert renamed(stored) == {name: 0}


def test_buffers_are_no_weights() -> None:
    found = renamed("bert.embeddings.position_ids", "embeddings.token_type_ids", "x")
    assert found == {"x": 2}


def test_two_names_of_one_tensor_are_refused() -> None:
    with pytest.raises(InputError, match="'pooler.dense.bias' and 'module.bert.pooler.dense.bias'"):
        renamed("pooler.dense.bias", "module.bert.pooler.dense.bias")


@pytest.mark.parametrize("part", ["lora_A.default.weight", "adapters.x.weight"])
def test_adapters_are_refused(part: str) -> None:
    with pytest.raises(InputError, match="belongs to an adapter; merge it into its weights first"):
        renamed(f"bert.encoder.layer.0.attention.self.query.{part}")


def test_the_matrix_of_a_tied_decoder_is_the_embedding() -> None:
    assert renamed(DECODER) == {WORDS: 0}
    assert renamed(DECODER, WORDS) == {DECODER: 0, WORDS: 1}
    assert renamed(DECODER, tied=False) == {DECODER: 0}
    roberta = renamed("lm_head.decoder.weight", "lm_head.decoder.bias", model_type="roberta")
    assert roberta["roberta.embeddings.word_embeddings.weight"] == 0
    assert roberta["lm_head.bias"] == 1
