"""The activations of a network, by their names in a Hugging Face `config.json`.

Several names stand for one function: the exact GELU x Φ(x), or its approximation with a tanh,
½ x (1 + tanh(√(2/π) (x + 0.044715 x³))). Source: arXiv 1606.08415.
"""

from __future__ import annotations

import math
from typing import Mapping

from bort.errors import InputError

ERF, TANH, QUICK, RELU, SILU = "erf", "tanh", "quick", "relu", "silu"
"""The functions: both GELUs, x σ(1.702 x), max(x, 0), x σ(x)."""

DEFAULT_ACTIVATION = "gelu"

FUNCTIONS: Mapping[str, str] = {
    DEFAULT_ACTIVATION: ERF,
    "gelu_python": ERF,
    "gelu_new": TANH,
    "gelu_pytorch_tanh": TANH,
    "gelu_python_tanh": TANH,
    "gelu_fast": TANH,
    "gelu_accurate": TANH,
    "quick_gelu": QUICK,
    "relu": RELU,
    "silu": SILU,
    "swish": SILU,
}
"""Name of an activation -> its function."""

TANH_SCALE = math.sqrt(2 / math.pi)
TANH_CUBE = 0.044715
QUICK_SCALE = 1.702


def function_of(activation: str) -> str:
    """Return the function of an activation.

    Raises:
        InputError: the name is unknown; the message lists the known ones.

    >>> function_of("gelu_new")
    'tanh'
    """
    if activation not in FUNCTIONS:
        raise InputError(f"activation is {activation!r}, allowed are {', '.join(FUNCTIONS)}")
    return FUNCTIONS[activation]
