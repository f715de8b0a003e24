"""Tests of the file of importance: round trip, another key, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.importance import Importance
from bort.network.importance_file import (
    IMPORTANCE_FILE,
    IMPORTANCE_FORMAT,
    IMPORTANCE_SCORES_FILE,
    copy_importance,
    read_importance,
    stored_key,
    write_importance,
)

SIZES = Architecture(2, 2, 8, 10, qkv=12)
KEY = {"network": "a", "questions": "b"}


def scores(layers: bool = True) -> Importance:
    generator = np.random.default_rng(0)
    return Importance(
        generator.random(8),
        generator.random((2, 10)),
        generator.random((2, 12)),
        generator.random(2) if layers else None,
    )


@pytest.mark.parametrize("layers", [True, False])
def test_scores_come_back_bit_for_bit(tmp_path: Path, layers: bool) -> None:
    given = scores(layers)
    write_importance(tmp_path, given, KEY)
    found = read_importance(tmp_path, SIZES, KEY)
    assert found is not None
    for name in ("hidden", "intermediate", "attention", "layers"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))


def test_scores_of_another_key_are_not_taken(tmp_path: Path) -> None:
    assert read_importance(tmp_path, SIZES, KEY) is None
    write_importance(tmp_path, scores(), KEY)
    assert read_importance(tmp_path, SIZES, {**KEY, "questions": "c"}) is None


def test_damaged_scores_are_refused(tmp_path: Path) -> None:
    write_importance(tmp_path, scores(), KEY)
    path = tmp_path / IMPORTANCE_SCORES_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"importance\.safetensors: is damaged"):
        read_importance(tmp_path, SIZES, KEY)
    path.unlink()
    with pytest.raises(InputError, match="is missing"):
        read_importance(tmp_path, SIZES, KEY)


def test_scores_of_other_sizes_are_refused(tmp_path: Path) -> None:
    write_importance(tmp_path, scores(), KEY)
    with pytest.raises(InputError, match=r"intermediate has shape \(2, 10\), expected \(2, 11\)"):
        read_importance(tmp_path, SIZES.replace(intermediate=11), KEY)


def test_scores_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    arrays = {**vars(scores()), "hidden": np.full(8, np.nan)}
    writer = IMPORTANCE_FORMAT.writer(tmp_path)
    digest = writer.write(IMPORTANCE_SCORES_FILE, safetensors.numpy.save(arrays))
    writer.seal({"key": KEY, "scores": {"file": IMPORTANCE_SCORES_FILE, "sha256": digest}})
    with pytest.raises(InputError, match="safetensors: importance: hidden has a negative or non-"):
        read_importance(tmp_path, SIZES, KEY)


def test_a_copy_holds_the_same_scores_and_a_damaged_one_is_not_copied(tmp_path: Path) -> None:
    assert stored_key(tmp_path / "one") is None
    write_importance(tmp_path / "one", scores(), KEY)
    copy_importance(tmp_path / "one", tmp_path / "two")
    assert stored_key(tmp_path / "two") == KEY
    found = read_importance(tmp_path / "two", SIZES, KEY)
    assert found is not None
    np.testing.assert_array_equal(found.attention, scores().attention)
    path = tmp_path / "one" / IMPORTANCE_SCORES_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=IMPORTANCE_SCORES_FILE):
        copy_importance(tmp_path / "one", tmp_path / "three")
    assert not (tmp_path / "three" / IMPORTANCE_FILE).exists()
