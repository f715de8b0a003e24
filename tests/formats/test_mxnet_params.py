"""MXNet's parameter files are read; damaged or unsupported ones give a one-line error."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.formats.mxnet_params import read_params
from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import load_parameters
from tests.gluon.network.network_samples import SMALL, TYPED, make_model, weights_of


@pytest.fixture
def path(tmp_path):
    make_model().save_parameters(str(tmp_path / "small.params"))
    return tmp_path / "small.params"


def write(path, arrays):
    """Let MXNet write arrays as a `.params` file."""
    mx.nd.save(str(path), {name: mx.nd.array(a, dtype=a.dtype) for name, a in arrays.items()})


def refusal(path, model=None, **options):
    """Return the message of the loading error: one line that names the file."""
    with pytest.raises(InputError) as caught:
        load_parameters(model or BortModel(SMALL), path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("tied_once", [True, False])
def test_what_mxnet_writes_is_loaded(tmp_path, tied_once):
    model = make_model()
    model.save_parameters(str(tmp_path / "a.params"), deduplicate=tied_once)
    assert len(read_params(tmp_path / "a.params")) == len(weights_of(model)) - tied_once
    ours = BortModel(SMALL)
    load_parameters(ours, tmp_path / "a.params")
    for name, array in weights_of(model).items():
        np.testing.assert_array_equal(weights_of(ours)[name], array)


def test_every_type_and_rank_is_read(tmp_path):
    arrays = {
        "a": np.arange(6, dtype=np.int64).reshape(1, 2, 3),
        "b": np.linspace(0, 1, 5).astype(np.float16),
        "ü": np.array([[1.5]], np.float64),
    }
    write(tmp_path / "x.params", arrays)
    found = read_params(tmp_path / "x.params")
    assert set(found) == set(arrays)
    for name, array in found.items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])


def test_an_initialised_network_keeps_its_arrays(path):
    model = make_model(seed=1)
    before = model.embedding_weight.data()
    load_parameters(model, path)
    assert model.embedding_weight.data() is before
    np.testing.assert_array_equal(before.asnumpy(), weights_of(make_model())["word_embed.0.weight"])


def test_missing_empty_and_other_files(tmp_path):
    assert "No such file" in refusal(tmp_path / "none.params")
    (tmp_path / "empty.params").write_bytes(b"")
    assert "not an MXNet .params file" in refusal(tmp_path / "empty.params")
    (tmp_path / "text.params").write_text("hello " * 30, encoding="utf-8")
    assert "not an MXNet .params file" in refusal(tmp_path / "text.params")
    assert "cannot be read" in refusal(tmp_path)


def test_every_truncation_is_refused(path):
    content = path.read_bytes()
    for size in [*range(0, 120, 7), *range(0, len(content), 1999), len(content) - 1]:
        path.write_bytes(content[:size])
        refusal(path)


def test_a_damaged_header_is_refused(path):
    content = bytearray(path.read_bytes())
    damaged = bytearray(content)
    damaged[23] = 0x7F
    path.write_bytes(damaged)
    assert "damaged" in refusal(path)
    damaged = bytearray(content)
    damaged[43] = 0x7F  # a dimension of 2^62
    path.write_bytes(damaged)
    assert "truncated or damaged" in refusal(path)


def test_other_shapes_name_parameter_found_and_expected(path):
    message = refusal(path, BortModel(SMALL.replace(intermediate=64)))
    assert "transformer_cells.0.ffn.ffn_1.weight" in message
    assert "(48, 32), expected (64, 32)" in message
    message = refusal(path, BortModel(SMALL.replace(vocabulary_size=91)))
    assert "its vocabulary has 90 tokens, the model's 91" in message


def test_missing_and_unknown_parameters_are_named(path):
    assert "transformer_cells.2" in refusal(path, BortModel(SMALL.replace(depth=3)))
    assert "'token_type_embed.0.weight' is missing" in refusal(path, BortModel(TYPED))
    assert "'decoder.0.weight' has no place" in refusal(path, BortModel(SMALL, use_decoder=False))
    load_parameters(BortModel(SMALL, use_decoder=False), path, ignore=("decoder.",))


def test_numbers_that_are_not_finite_are_refused(path):
    arrays = {name: array.copy() for name, array in read_params(path).items()}
    arrays["encoder.layer_norm.beta"][3] = np.nan
    write(path, arrays)
    assert "'encoder.layer_norm.beta' holds a number that is not finite" in refusal(path)


def test_tied_weights_that_differ_are_refused(path):
    arrays = {name: array.copy() for name, array in read_params(path).items()}
    arrays["decoder.3.weight"][0, 0] += 1
    write(path, arrays)
    assert "are one weight, and they differ" in refusal(path)


def test_bytes_behind_the_last_name_are_refused(path):
    content = path.read_bytes()
    path.write_bytes(content + content)
    assert f"is damaged: {len(content)} bytes follow the last name" in refusal(path)


@pytest.mark.parametrize("extents", [(0, 2**62), (2**62, 0), (0, 2**41)])
def test_an_array_without_values_cannot_declare_any_extent(tmp_path, extents):
    write(tmp_path / "x.params", {"a": np.zeros((7, 9), np.float32)})
    content = (tmp_path / "x.params").read_bytes()
    shape = np.array([7, 9], "<i8").tobytes()
    begin = content.index(shape)
    values = content[begin + 16 :]
    header, rest = values[:12], values[12 + 7 * 9 * 4 :]
    forged = content[:begin] + np.array(extents, "<i8").tobytes() + header + rest
    (tmp_path / "x.params").write_bytes(forged)
    with pytest.raises(InputError, match=r"x\.params: is damaged: an array's header is not one"):
        read_params(tmp_path / "x.params")
