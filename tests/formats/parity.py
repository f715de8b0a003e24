"""Shared parts of parity tests: small networks in several shapes, padded batches, a tolerance."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import MASKED_LM, ModelDescription
from bort.network.head import HeadDescription
from bort.network.model_folder import write_model_folder
from bort.network.parameter_names import shape_of

RELATIVE, ABSOLUTE = 1e-5, 1e-5

BORT = Architecture(4, 8, 64, 48, vocabulary_size=211, maximum_length=40)
SHAPES: Dict[str, Architecture] = {
    "bort as released": BORT,
    "bort as printed": BORT.replace(hidden=48, intermediate=64),
    "roberta": BORT.replace(depth=6, heads=4, intermediate=256),
    "narrow attention": BORT.replace(hidden=96, qkv=40),
    "pre-norm": BORT.replace(norm="pre"),
    "pre-norm, token types": BORT.replace(depth=2, heads=4, token_types=2, norm="pre"),
    "bert": BORT.replace(depth=3, heads=12, hidden=96, intermediate=384, token_types=2),
}


def make_network(
    architecture: Architecture = BORT,
    *,
    decoder: bool = False,
    pooler: bool = False,
    head: str = "",
    num_classes: int = 0,
    labels: Sequence[str] = (),
    head_dropout: float = 0.1,
    problem_type: str = "",
    seed: int = 0,
    **fields: Any,
) -> ArrayNetwork:
    """Return random weights large enough that every part matters, with activations near 1."""
    description = ModelDescription(
        architecture,
        HeadDescription(head, num_classes, tuple(labels), head_dropout, problem_type)
        if head
        else None,
        has_decoder=decoder,
        has_pooler=pooler,
        **fields,
    )
    generator = np.random.default_rng(seed)
    arrays: Dict[str, np.ndarray] = {}
    for place in places_of(description):
        shape = shape_of(place, architecture, num_classes)
        spread = 0.1 if len(shape) == 1 else 0.7 / np.sqrt(shape[1])
        values = generator.normal(0, spread, shape)
        if place.gluon.endswith("gamma"):
            values += 1
        arrays[place.gluon] = values.astype(np.float32)
    return ArrayNetwork(description, arrays)


def write_network(folder: Path, network: ArrayNetwork) -> None:
    """Write a network as a model folder, without a vocabulary."""
    write_model_folder(folder, network.description, network.arrays)


def gluon_answers(
    network: ArrayNetwork,
    input_ids: np.ndarray,
    lengths: np.ndarray,
    token_types: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Return the outputs of Gluon, not hybridised, without the engines' code.

    Returns:
        float32: outputs (B, C) of a classifier; logits (B, L, 2) of a span model; logits (B, L, V)
        at every token of a network with a decoder; otherwise the encoded tokens (B, L, H), zero at
        padding.
    """
    import mxnet as mx
    from mxnet import autograd

    from bort.gluon.network.array_network import as_network

    gluon = as_network(network)
    arrays = [mx.nd.array(input_ids, dtype="int32"), mx.nd.array(lengths, dtype="float32")]
    types = {}
    if token_types is not None:
        types = {"token_types": mx.nd.array(token_types, dtype="int32")}
    if network.description.purpose == MASKED_LM:
        everywhere = np.broadcast_to(np.arange(input_ids.shape[1]), input_ids.shape)
        arrays.append(mx.nd.array(everywhere, dtype="int32"))
    with autograd.predict_mode():
        outputs = gluon(*arrays, **types)
    if isinstance(outputs, tuple):
        outputs = outputs[-1 if network.description.purpose == MASKED_LM else 0]
    return np.asarray(outputs.asnumpy())


def make_batch(architecture: Architecture = BORT, length: int = 17) -> Tuple[Any, Any, Any]:
    """Return ids (4, L), lengths (4,), mask (4, L): a full row, two padded ones, one token."""
    generator = np.random.default_rng(1)
    ids = generator.integers(0, architecture.vocabulary_size, (4, length))
    lengths = np.array([length, max(1, length // 2), max(1, length - 1), 1])
    mask = (np.arange(length)[None, :] < lengths[:, None]).astype(np.int64)
    return ids, lengths, mask


def assert_equal_outputs(ours: np.ndarray, theirs: np.ndarray, mask: np.ndarray) -> None:
    """Check equality to rtol 1e-5 + atol 1e-5 at tokens, not at padding."""
    assert ours.shape == theirs.shape
    if ours.ndim == 3:
        ours, theirs = ours[mask.astype(bool)], theirs[mask.astype(bool)]
    np.testing.assert_allclose(theirs, ours, rtol=RELATIVE, atol=ABSOLUTE)


def transformers_outputs(folder: Path, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Compute with the folder's class in PyTorch; no weight may be missing or new."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(str(folder))
    kind = getattr(transformers, config.architectures[0])
    model, report = kind.from_pretrained(str(folder), output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        outputs = model.eval()(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    if hasattr(outputs, "start_logits"):
        return np.stack([outputs.start_logits.numpy(), outputs.end_logits.numpy()], axis=-1)
    name = "logits" if hasattr(outputs, "logits") else "last_hidden_state"
    return np.asarray(getattr(outputs, name).numpy())
