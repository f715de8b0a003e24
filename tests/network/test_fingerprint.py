"""Tests of the fingerprint of weights."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bort.network.fingerprint import fingerprint_of

ONE = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
TWO = np.array([5.0], "float32")


def test_the_bytes_are_those_of_version_0_2_0():
    """Caches hold the fingerprint, so it must not change."""
    hashed = b"mxnet" + b"a (2, 2) float32" + ONE.tobytes() + b"b (1,) float32" + TWO.tobytes()
    found = fingerprint_of({"b": TWO, "a": ONE}, before="mxnet", after="file")
    assert found == hashlib.sha256(hashed + b"file").hexdigest()


def test_arrays_count_by_value_in_any_memory_order():
    assert fingerprint_of({"a": ONE.T.copy().T}) == fingerprint_of({"a": ONE})


@pytest.mark.parametrize(
    "other", [{"b": ONE}, {"a": ONE.T}, {"a": ONE.reshape(4)}, {"a": ONE.view("int32")}]
)
def test_name_shape_type_and_values_count(other):
    assert fingerprint_of(other) != fingerprint_of({"a": ONE})
