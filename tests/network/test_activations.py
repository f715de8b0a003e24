"""The names of activations, and the functions that they stand for."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.network.activations import DEFAULT_ACTIVATION, ERF, FUNCTIONS, TANH, function_of


def test_names_stand_for_functions() -> None:
    assert function_of(DEFAULT_ACTIVATION) == ERF
    assert {name for name, function in FUNCTIONS.items() if function == TANH} == {
        *("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"),
    }
    with pytest.raises(InputError, match="activation is 'mish', allowed are gelu, "):
        function_of("mish")
