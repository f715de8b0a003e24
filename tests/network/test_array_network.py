"""Networks as arrays: copies, the encoder alone, and invalid arrays."""

from __future__ import annotations

import numpy as np
import pytest

from bort.architecture import LARGEST_DEPTH
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from tests.formats.parity import BORT, make_network

SMALL = BORT.replace(depth=1)


def test_a_depth_that_no_network_has_is_refused_at_once() -> None:
    network = make_network()
    deep = network.architecture.replace(depth=LARGEST_DEPTH)
    with pytest.raises(InputError, match="parameters do not fit 4096 layers"):
        network.replace(architecture=deep)


def test_arrays_must_be_those_described() -> None:
    network = make_network(SMALL, decoder=True)
    name = "decoder.0.weight"
    array = network.arrays[name]
    without = {key: value for key, value in network.arrays.items() if key != name}
    for arrays, message in (
        (without, f"parameter '{name}' is missing"),
        ({**network.arrays, "x": array}, "parameter 'x' has no place in this network"),
        ({**without, name: array[:5]}, r"has shape \(5, 64\), expected \(64, 64\)"),
        ({**without, name: array.astype(np.float64)}, "is float64, allowed is float32"),
        ({**without, name: array * np.float32("nan")}, "holds a number that is not finite"),
    ):
        with pytest.raises(InputError, match=message):
            network.replace(arrays=arrays)


def test_a_copy_has_other_arrays_or_another_description() -> None:
    network = make_network(SMALL, head="linear", num_classes=2)
    doubled = {name: 2 * array for name, array in network.arrays.items()}
    other = network.replace(doubled, dropout=0.0)
    assert other.arrays is doubled
    assert other.description == network.description.replace(dropout=0.0)
    assert network.replace(dropout=0.0).arrays is network.arrays


@pytest.mark.parametrize(("head", "prefix"), [("release", "classifier"), ("span", "qa_outputs")])
def test_the_encoder_alone(head: str, prefix: str) -> None:
    network = make_network(SMALL, head=head, num_classes=2, decoder=True, pooler=True)

    def kinds(one: ArrayNetwork) -> set:
        return {name.split(".")[0] for name in one.arrays}

    assert {"decoder", prefix, "pooler"} <= kinds(network)
    alone = network.encoder_alone()
    assert kinds(alone) == kinds(network) - {"decoder", prefix}
    assert alone.description.head is None
