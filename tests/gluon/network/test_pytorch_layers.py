"""Encoders against PyTorch's own transformer layers, with the norm before and after each block."""

from __future__ import annotations

from typing import Any

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from tests.gluon.network.network_samples import SMALL, make_model, weights_of

LENGTHS = (16, 9, 1)


def pytorch_encoding(torch: Any, weights: Any, norm: str, embedded: np.ndarray) -> np.ndarray:
    """Return the encoding of embedded tokens (B, L, H) by `torch.nn.TransformerEncoder`."""
    layer = torch.nn.TransformerEncoderLayer(
        SMALL.hidden,
        SMALL.heads,
        SMALL.intermediate,
        dropout=0.0,
        activation="gelu",
        layer_norm_eps=1e-5,
        batch_first=True,
        norm_first=norm == "pre",
    )
    final = torch.nn.LayerNorm(SMALL.hidden, eps=1e-5) if norm == "pre" else None
    encoder = torch.nn.TransformerEncoder(
        layer, SMALL.depth, norm=final, enable_nested_tensor=False
    ).eval()
    values = {}
    for index in range(SMALL.depth):
        ours, theirs = f"encoder.transformer_cells.{index}", f"layers.{index}"
        for kind in ("weight", "bias"):
            parts = [
                weights[f"{ours}.attention_cell.proj_{part}.{kind}"]
                for part in ("query", "key", "value")
            ]
            values[f"{theirs}.self_attn.in_proj_{kind}"] = np.concatenate(parts)
            for name, place in (
                ("self_attn.out_proj", "proj"),
                ("linear1", "ffn.ffn_1"),
                ("linear2", "ffn.ffn_2"),
            ):
                values[f"{theirs}.{name}.{kind}"] = weights[f"{ours}.{place}.{kind}"]
        for name, place in (("norm1", "layer_norm"), ("norm2", "ffn.layer_norm")):
            values[f"{theirs}.{name}.weight"] = weights[f"{ours}.{place}.gamma"]
            values[f"{theirs}.{name}.bias"] = weights[f"{ours}.{place}.beta"]
    if final is not None:
        values["norm.weight"] = weights["encoder.final_norm.gamma"]
        values["norm.bias"] = weights["encoder.final_norm.beta"]
    encoder.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    length = embedded.shape[1]
    padding = np.arange(length)[None, :] >= np.array(LENGTHS)[:, None]
    with torch.no_grad():
        found = encoder(torch.tensor(embedded), src_key_padding_mask=torch.tensor(padding))
    return found.numpy() * ~padding[:, :, None]


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_layers_are_those_of_pytorch(norm: str) -> None:
    torch = pytest.importorskip("torch")
    model = make_model(SMALL.replace(norm=norm), dropout=0.0)
    weights = weights_of(model)
    ids = np.random.default_rng(0).integers(0, SMALL.vocabulary_size, (3, 16)).astype(np.int32)
    with autograd.predict_mode():
        ours = model(mx.nd.array(ids, dtype="int32"), mx.nd.array(LENGTHS)).asnumpy()
    embedded = weights["word_embed.0.weight"][ids] + weights["encoder.position_weight"][:16]
    if norm == "post":
        scale, shift = (weights[f"encoder.layer_norm.{name}"] for name in ("gamma", "beta"))
        embedded = torch.nn.functional.layer_norm(
            torch.tensor(embedded),
            (SMALL.hidden,),
            torch.tensor(scale),
            torch.tensor(shift),
            eps=1e-5,
        ).numpy()
    theirs = pytorch_encoding(torch, weights, norm, embedded)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    other = {"pre": "post", "post": "pre"}[norm]
    if norm == "pre":  # the planted fault: the norms after the blocks
        wrong = pytorch_encoding(torch, weights, other, embedded)
        assert np.abs(ours - wrong).max() > 1e-2
