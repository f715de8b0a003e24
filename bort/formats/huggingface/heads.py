"""Conversion of a classifier's head to and from `BertForSequenceClassification`'s form.

Hugging Face's head is tanh(dense), then dense. The release's head has the same form. The paper's
head has no tanh: it is one linear layer W x + b, or two on CoLA, W₂(W₁ x + b₁) + b₂. Since
tanh(u) = u - u³/3 + …, these heads are written, with s = 2⁻¹⁴, as

    2¹⁴W tanh(s·I x) + b            and            2¹⁴W₂ tanh(sW₁ x + s b₁) + b₂.

The relative error for an input z of the tanh is (s z)²/3, or 1.2e-9 z². Multiplication by a power
of two never rounds, so an import restores the original weights bit for bit. The config records the
original kind of head with a hash of its four tensors. If the tensors have been trained further, the
tanh matters, and the head is read in its new form.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from bort.errors import InputError
from bort.formats.huggingface.residual import multiply_by_power
from bort.network.array_network import ArrayNetwork
from bort.network.head import ONE_LINEAR, RELEASE, TWO_LINEAR
from bort.network.parameter_names import HEAD

SHIFT = 14
"""The pooler is multiplied by 2^-SHIFT and the classifier by 2^SHIFT."""

_POOLER, _POOLER_BIAS, _CLASSIFIER, _BIAS = (place.gluon for place in HEAD)
Arrays = Dict[str, np.ndarray]


def with_tanh(network: ArrayNetwork) -> Tuple[Arrays, Dict[str, Any]]:
    """Return the four tensors of a head with a tanh, and the mark that tells how to undo it.

    Returns:
        Arrays by their names in the release's head (`classifier.1.…`, `classifier.3.…`), and the
        mark, which is {} for the release's head.

    Raises:
        InputError: a multiplied weight does not fit into float32.
    """
    arrays, hidden = network.arrays, network.architecture.hidden
    head = network.description.head
    assert head is not None
    if head.kind == RELEASE:
        return {place.gluon: arrays[place.gluon] for place in HEAD}, {}
    if head.kind == ONE_LINEAR:
        pooler, pooler_bias = np.eye(hidden, dtype=np.float32), np.zeros(hidden, np.float32)
        last = "classifier.1"
    else:
        pooler, pooler_bias = arrays[_POOLER], arrays[_POOLER_BIAS]
        last = "classifier.3"
    tensors = {
        _POOLER: multiply_by_power(pooler, -SHIFT, _POOLER),
        _POOLER_BIAS: multiply_by_power(pooler_bias, -SHIFT, _POOLER_BIAS),
        _CLASSIFIER: multiply_by_power(arrays[f"{last}.weight"], SHIFT, f"{last}.weight"),
        _BIAS: arrays[f"{last}.bias"],
    }
    mark = {"kind": head.kind, "shift": SHIFT, "sha256": _hash(tensors)}
    return tensors, mark


def without_tanh(tensors: Mapping[str, np.ndarray], mark: Any, source: str) -> Tuple[str, Arrays]:
    """Undo `with_tanh` if its mark says so and the tensors have not changed since.

    Args:
        tensors: the four tensors by their names in the release's head.
        mark: the mark in the config; {} or None if there is none.
        source: name of the config in error messages.

    Returns:
        The kind of head and its arrays.

    Raises:
        InputError: the mark cannot be read.
    """
    if not mark:
        return RELEASE, dict(tensors)
    if not isinstance(mark, dict) or mark.get("kind") not in (ONE_LINEAR, TWO_LINEAR):
        raise InputError(f"{source}: bort.head is {mark!r}, which is not a mark of a head")
    kind, shift = str(mark["kind"]), mark.get("shift")
    if type(shift) is not int or not 0 < shift < 64:
        raise InputError(f"{source}: bort.head.shift is {shift!r}, allowed is 1 to 63")
    if mark.get("sha256") != _hash(tensors):
        return RELEASE, dict(tensors)
    weight = multiply_by_power(tensors[_CLASSIFIER], -shift, _CLASSIFIER)
    if kind == ONE_LINEAR:
        return kind, {"classifier.1.weight": weight, "classifier.1.bias": tensors[_BIAS]}
    pooler = multiply_by_power(tensors[_POOLER], shift, _POOLER)
    pooler_bias = multiply_by_power(tensors[_POOLER_BIAS], shift, _POOLER_BIAS)
    return kind, {
        _POOLER: pooler,
        _POOLER_BIAS: pooler_bias,
        _CLASSIFIER: weight,
        _BIAS: tensors[_BIAS],
    }


def _hash(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for place in HEAD:
        digest.update(np.ascontiguousarray(tensors[place.gluon], np.float32).tobytes())
    return digest.hexdigest()
