"""Rescaling of the residual stream so that one ε serves all layer norms exactly.

Hugging Face's BERT has one ε. A decoder that was trained with another one, ε' < ε, can still be
exported: with c = 2⁻ᵏ, let every residual sum carry c·x in place of x. Then

    LayerNorm(c·x; c²ε) = LayerNorm(x; ε)   exactly, as multiplying by a power of two never rounds.

The encoder therefore computes the same bits with c²ε in place of ε, and k is chosen so that c²ε is
closest to ε'. Weights that write to the stream (embeddings, output layers, gains and offsets) are
multiplied by c; weights that read it (query, key, value, the widening layer) by 1/c. The table of
parameter names lists the power of c of each weight.

The rescaled weights are for inference in float32 only: 16-bit types lose small numbers, and
training would take badly scaled steps.
"""

from __future__ import annotations

import math
from typing import Dict

import numpy as np

from bort.errors import InputError
from bort.network.array_network import ArrayNetwork


def residual_shift(network: ArrayNetwork) -> int:
    """Return k, for which the encoder's ε 4⁻ᵏ is closest to the decoder's ε."""
    model = network.description
    return round(math.log(model.layer_norm_eps / model.decoder_layer_norm_eps, 4))


def shift_residual(network: ArrayNetwork, shift: int) -> ArrayNetwork:
    """Return the network with its residual stream multiplied by 2^-`shift`.

    Returns:
        A network with new arrays and a new `layer_norm_eps`. `decoder_layer_norm_eps` stays and
        remains the decoder's ε. A negative `shift` undoes a positive one, bit for bit.

    Raises:
        InputError: a weight is so small or so large that its multiple does not fit into float32.
    """
    arrays: Dict[str, np.ndarray] = {}
    for place in network.places():
        array = network.arrays[place.gluon]
        arrays[place.gluon] = multiply_by_power(array, -shift * place.residual_power, place.gluon)
    epsilon = math.ldexp(network.description.layer_norm_eps, -2 * shift)
    return network.replace(arrays=arrays, layer_norm_eps=epsilon)


def multiply_by_power(array: np.ndarray, power: int, name: str) -> np.ndarray:
    """Return `array` times 2^`power`; refuse to round.

    Raises:
        InputError: a multiple does not fit into float32; the message names the parameter.
    """
    if power == 0:
        return array
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(array, power)
        same = np.array_equal(np.ldexp(scaled, -power), array)
    if not same:
        raise InputError(
            f"parameter {name!r}: has values that times 2^{power} do not fit into float32"
        )
    return np.asarray(scaled, np.float32)
