"""One ε for all layer norms, exactly: the residual stream multiplied by a power of two.

Hugging Face's BERT has one ε. A decoder trained with another one, ε' < ε, can be exported all the
same: with c = 2⁻ᵏ, let every residual sum carry c·x in place of x. Then

    LayerNorm(c·x; c²ε) = LayerNorm(x; ε)   exactly, as multiplying by a power of two never rounds,

so the encoder computes the same bits with ε c², and k is chosen so that c²ε is next to ε'. What
makes the stream (embeddings, output layers, gains and offsets) is multiplied by c, what reads it
(query, key, value, the widening layer) by 1/c; the table of names says which.

The weights are then for inference in float32: 16-bit types lose small numbers, and training would
step through badly scaled ones.
"""

from __future__ import annotations

import math
from typing import Dict

import numpy as np

from bort.errors import InputError
from bort.network.array_network import ArrayNetwork


def residual_shift(network: ArrayNetwork) -> int:
    """k, with which ε 4⁻ᵏ of the encoder is nearest to the decoder's ε."""
    model = network.description
    return round(math.log(model.layer_norm_eps / model.decoder_layer_norm_eps, 4))


def shift_residual(network: ArrayNetwork, shift: int) -> ArrayNetwork:
    """The network with its residual stream multiplied by 2 to the power of -`shift`.

    Returns:
        arrays and `layer_norm_eps` changed; `decoder_layer_norm_eps` stays, and is what the decoder
        should be computed with. A negative `shift` undoes a positive one, bit for bit.

    Raises:
        InputError: a weight is so small or so large that float32 cannot hold the multiple.
    """
    arrays: Dict[str, np.ndarray] = {}
    for place in network.places():
        array = network.arrays[place.gluon]
        arrays[place.gluon] = multiply_by_power(array, -shift * place.residual_power, place.gluon)
    epsilon = math.ldexp(network.description.layer_norm_eps, -2 * shift)
    return network.replace(arrays=arrays, layer_norm_eps=epsilon)


def multiply_by_power(array: np.ndarray, power: int, name: str) -> np.ndarray:
    """`array` times 2 to the power of `power`, refusing what would round.

    Raises:
        InputError: names the parameter.
    """
    if power == 0:
        return array
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(array, power)
        same = np.array_equal(np.ldexp(scaled, -power), array)
    if not same:
        raise InputError(f"parameter {name!r}: has numbers that times 2^{power} are no float32")
    return np.asarray(scaled, np.float32)
