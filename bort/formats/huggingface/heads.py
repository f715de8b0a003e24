"""A classifier's head as `BertForSequenceClassification` has it: tanh(dense), then dense.

The release's head is exactly that. The paper's has no tanh: one linear layer W x + b, on CoLA two,
W₂(W₁ x + b₁) + b₂. As tanh(u) = u - u³/3 + … they are written, with s = 2⁻¹⁴, as

    2¹⁴W tanh(s·I x) + b            and            2¹⁴W₂ tanh(sW₁ x + s b₁) + b₂:

the relative error for an input z of the tanh is (s z)²/3, which is 1.2e-9 z². Multiplying by a
power of two never rounds, so the original weights come back bit for bit. The config says which
head it was, with a hash of its four tensors: once they are trained further the tanh matters, and
the head is read as what it has become.
"""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from bort.errors import InputError
from bort.formats.huggingface.residual import multiply_by_power
from bort.network.array_network import ArrayNetwork
from bort.network.description import LINEAR, RELEASE, TWO_LINEAR
from bort.network.parameter_names import HEAD

SHIFT = 14
"""The pooler is multiplied by 2 to the power of minus this, the classifier by the opposite."""

_POOLER, _POOLER_BIAS, _CLASSIFIER, _BIAS = (place.gluon for place in HEAD)
Arrays = Dict[str, np.ndarray]


def with_tanh(network: ArrayNetwork) -> Tuple[Arrays, Dict[str, Any]]:
    """The four tensors of a head with a tanh, and the mark that says how to undo it.

    Returns:
        arrays by the names of the release's head (`classifier.1.…`, `classifier.3.…`), and the
        mark, {} for the release's head.

    Raises:
        InputError: a weight that float32 cannot hold when it is multiplied.
    """
    arrays, hidden = network.arrays, network.architecture.hidden
    head = network.description.head
    assert head is not None
    if head.kind == RELEASE:
        return {place.gluon: arrays[place.gluon] for place in HEAD}, {}
    if head.kind == LINEAR:
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
    """Undo `with_tanh` where its mark says so and the tensors are still those.

    Args:
        tensors: the four tensors, by the names of the release's head.
        mark: what stands in the config; {} or None for none.
        source: what to name in an error.

    Returns:
        the kind of head and its arrays.

    Raises:
        InputError: a mark that cannot be read.
    """
    if not mark:
        return RELEASE, dict(tensors)
    if not isinstance(mark, dict) or mark.get("kind") not in (LINEAR, TWO_LINEAR):
        raise InputError(f"{source}: bort.head is {mark!r}, which is no mark of a head")
    kind, shift = str(mark["kind"]), mark.get("shift")
    if type(shift) is not int or not 0 < shift < 64:
        raise InputError(f"{source}: bort.head.shift is {shift!r}, allowed is 1 to 63")
    if mark.get("sha256") != _hash(tensors):
        return RELEASE, dict(tensors)
    weight = multiply_by_power(tensors[_CLASSIFIER], -shift, _CLASSIFIER)
    if kind == LINEAR:
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
