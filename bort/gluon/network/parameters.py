"""Loading and reading the weights of Gluon networks, with checks of every parameter."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Set, Tuple

import mxnet as mx
import numpy as np
from mxnet import gluon

from bort.errors import InputError
from bort.formats.mxnet_params import read_params
from bort.storage.files import PathLike


def load_parameters(
    network: gluon.Block,
    path: PathLike,
    context: Optional[mx.Context] = None,
    *,
    prefix: str = "",
    ignore: Tuple[str, ...] = (),
    optional: Tuple[str, ...] = (),
) -> None:
    """Load a `.params` file into a network, which need not be initialised.

    Args:
        network: the network; the file may hold a tied weight once or under each of its names.
        path: path of the file.
        context: device of the weights of an uninitialised network; the CPU by default.
        prefix: reads only names that begin with it, and removes it from them; `bort.` reads the
            encoder of a classifier.
        ignore: prefixes of names in the file to skip.
        optional: prefixes of network parameters that may be missing from the file; they keep their
            values.

    Raises:
        InputError: a parameter is missing, unknown, of another shape or not finite; names the file
            and the parameter.
    """
    arrays = read_params(path)
    arrays = {name[len(prefix) :]: v for name, v in arrays.items() if name.startswith(prefix)}
    if not arrays:
        raise InputError(f"{path}: holds no parameter whose name begins with {prefix!r}")
    kept = {name: value for name, value in arrays.items() if not name.startswith(ignore or ("\0",))}
    set_parameters(network, kept, str(path), context, optional)


def collect_arrays(network: gluon.Block) -> Dict[str, np.ndarray]:
    """Return the weights as NumPy arrays by structural name, in the order of the network.

    A tied weight appears once, under its first name.
    """
    arrays: Dict[str, np.ndarray] = {}
    seen: Set[int] = set()
    for name, parameter in named_parameters(network).items():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            arrays[name] = parameter.data(parameter.list_ctx()[0]).asnumpy()
    return arrays


def set_parameters(
    network: gluon.Block,
    arrays: Mapping[str, np.ndarray],
    source: str,
    context: Optional[mx.Context] = None,
    optional: Tuple[str, ...] = (),
) -> None:
    """Set the parameters of a network from arrays.

    Args:
        network: the network, initialised or not.
        arrays: arrays by structural name.
        source: origin of the arrays, for error messages.
        context: device of the weights of an uninitialised network; the CPU by default.
        optional: prefixes of parameters that may be missing.

    Raises:
        InputError: a parameter is missing, unknown, of another shape or not finite; or two names
            of one tied weight have different values.
    """
    places = named_parameters(network)
    for name in arrays:
        if name not in places:
            raise InputError(f"{source}: parameter {name!r} has no place in this network")
    by_parameter: Dict[int, str] = {}
    for name, parameter in places.items():
        if name not in arrays:
            continue
        array = arrays[name]
        if tuple(array.shape) != tuple(parameter.shape):
            raise InputError(_wrong_shape(source, name, array.shape, parameter.shape))
        if array.dtype.kind != "f":
            raise InputError(f"{source}: parameter {name!r} is {array.dtype}, allowed are floats")
        if not np.isfinite(array).all():
            raise InputError(f"{source}: parameter {name!r} holds a number that is not finite")
        other = by_parameter.setdefault(id(parameter), name)
        if other != name and not np.array_equal(arrays[other], array):
            raise InputError(f"{source}: {name!r} and {other!r} are one weight, and they differ")
    for name, parameter in places.items():
        if id(parameter) not in by_parameter and not name.startswith(optional or ("\0",)):
            raise InputError(f"{source}: parameter {name!r} is missing")
    for name, parameter in places.items():
        if by_parameter.get(id(parameter)) == name:
            _assign(parameter, arrays[name], context)


def named_parameters(network: gluon.Block) -> Dict[str, gluon.Parameter]:
    """Return parameters by structural name; a tied one appears under each of its names."""
    return network._collect_params_with_prefix()


def _assign(parameter: gluon.Parameter, array: np.ndarray, context: Optional[mx.Context]) -> None:
    dtype = np.dtype(parameter.dtype)
    data = mx.nd.array(np.asarray(array, dtype), dtype=dtype)
    if parameter._data is None:
        parameter._load_init(data, [context or mx.cpu()])
    else:
        parameter.set_data(data)


def _wrong_shape(source: str, name: str, found: Tuple, expected: Tuple) -> str:
    message = f"{source}: parameter {name!r} has shape {tuple(found)}, expected {tuple(expected)}"
    if name.endswith("word_embed.0.weight") and found[1:] == expected[1:]:
        message += f": its vocabulary has {found[0]} tokens, the model's {expected[0]}"
    return message
