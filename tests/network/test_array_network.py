"""What a network of arrays refuses."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from tests.formats.parity import make_network


def test_a_depth_that_no_network_has_is_refused_at_once():
    network = make_network()
    deep = network.architecture.replace(depth=10**30)
    with pytest.raises(InputError, match="parameters are not those of 10+ layers"):
        network.replace(architecture=deep)


def test_labels_are_a_list():
    with pytest.raises(InputError, match="labels are -1, allowed is a list of names"):
        make_network(head="linear", num_classes=2, extra={"labels": -1})
