"""Untrusted folders are read or refused in one line, whatever they contain."""

from __future__ import annotations

import copy
import json
import struct
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.tensor_file import read_tensors
from bort.formats.huggingface.writer import write_huggingface
from bort.network.description import TaskDescription
from bort.text.vocabularies import load_vocabulary
from tests.formats.parity import BORT, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

# ---- safetensors -------------------------------------------------------------------------------


def safetensors_file(header: Any, data: bytes = bytes(16), length: Optional[int] = None) -> bytes:
    """Return a file with any header: 8 bytes of its length, JSON, data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8")
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin: int, end: int, shape: List[Any], kind: str = "F32") -> Dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


BAD_FILES: Dict[str, bytes] = {
    "empty": b"",
    "short": b"\0" * 7,
    "huge header": safetensors_file({}, length=2**63),
    "largest header": safetensors_file({}, length=2**64 - 1),
    "header beyond the file": safetensors_file({}, length=1000),
    "header of a gigabyte": safetensors_file({}, length=2**30),
    "no json": safetensors_file(b"{not json"),
    "no utf-8": safetensors_file(b'{"\xff": 1}'),
    "a list": safetensors_file([1]),
    "deep": safetensors_file(b"[" * 50_000),
    "overlapping": safetensors_file({"a": tensor(0, 12, [3]), "b": tensor(8, 16, [2])}),
    "a hole": safetensors_file({"a": tensor(0, 4, [1]), "b": tensor(12, 16, [1])}),
    "beyond the data": safetensors_file({"a": tensor(0, 400, [100])}),
    "backwards": safetensors_file({"a": tensor(16, 0, [4])}),
    "negative": safetensors_file({"a": tensor(-16, 0, [4])}),
    "wrong size": safetensors_file({"a": tensor(0, 16, [5])}),
    "overflowing shape": safetensors_file({"a": tensor(0, 16, [2**62, 2**62])}),
    "negative shape": safetensors_file({"a": tensor(0, 16, [-4])}),
    "shape of text": safetensors_file({"a": tensor(0, 16, ["4"])}),
    "unknown type": safetensors_file({"a": tensor(0, 16, [4], "F33")}),
    "a name twice": safetensors_file(
        b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
        b'"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    ),
    "type of no text": safetensors_file({"a": {"dtype": 3, "shape": [4], "data_offsets": [0, 16]}}),
    "four offsets": safetensors_file(
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0] * 4}}
    ),
    "8-bit type": safetensors_file({"a": tensor(0, 16, [16], "F8_E4M3")}),
    "only integers": safetensors_file({"a": tensor(0, 16, [2], "I64")}),
    "nothing in it": safetensors_file({}, b""),
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x8c\x06system\x93.",
    "a zip, as torch.save writes": b"PK\x03\x04" + b"archive/data.pkl" * 10,
}


def test_the_crafted_files_would_be_read_if_they_were_right(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors_file({"a": tensor(0, 12, [3]), "b": tensor(12, 16, [1])}))
    assert {name: array.shape for name, array in read_tensors(path).items()} == {
        "a": (3,),
        "b": (1,),
    }


@pytest.mark.parametrize("name", sorted(BAD_FILES))
def test_a_crafted_file_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BAD_FILES[name])
    with pytest.raises(InputError) as caught:
        read_tensors(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


# ---- JSON --------------------------------------------------------------------------------------

JUNK: Tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2, 10**9, 10**30, 0.5, -0.0, float("nan"), float("inf"), 1e300),
    *("", "x", "0", "\ud800", [], [1], [[]], {}, {"0": "a"}, {"kind": []}, {"": None}),
)
MISSING = object()


def mutated(value: Any, draw: Any) -> Any:
    """Return a JSON value with one element replaced, removed or added, at any depth."""
    value = copy.deepcopy(value)
    place = value
    while True:
        if isinstance(place, dict):
            key = draw(st.sampled_from([*sorted(place), "another"]))
        elif place:
            key = draw(st.integers(0, len(place) - 1))
        else:
            place.append(draw(st.sampled_from(JUNK)))
            return value
        deeper = key != "another" and isinstance(place[key], (dict, list))
        if deeper and draw(st.booleans()):
            place = place[key]
            continue
        junk = draw(st.sampled_from((*JUNK, MISSING)))
        if junk is not MISSING:
            place[key] = junk
        elif key != "another":
            del place[key]
        return value


def write_json_file(path: Path, value: Any) -> None:
    path.write_bytes(json.dumps(value).encode("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """Return an exported classifier with all optional parts, and marks to undo."""
    vocabulary = tiny_vocabulary()
    network = make_network(
        BORT.replace(depth=1, vocabulary_size=len(vocabulary)),
        head="linear",
        num_classes=3,
        decoder=True,
        decoder_layer_norm_eps=1e-12,
        labels=["a", "b", "c"],
        task=TaskDescription("CB", {"drop_seed": 0}, "0" * 64),
        input_length=32,
        vocabulary_fingerprint=vocabulary.fingerprint,
        metrics={"m": 1},
        notes={"epoch": 3},
    )
    path: Path = tmp_path_factory.mktemp("export")
    write_huggingface(path, network, vocabulary, exact_decoder=True)
    return path


def read_all(folder: Path) -> None:
    network = read_huggingface(folder).network
    assert all(np.isfinite(array).all() for array in network.arrays.values())
    load_vocabulary(folder)


def what_is_said(folder: Path) -> str:
    """Return the error message, or the folder's name if there is none."""
    try:
        read_all(folder)
    except InputError as error:
        return str(error)
    return str(folder)


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("config.json", ["bort.json"]),
        ("bort.json", []),
        ("vocabulary.json", ["bort.json"]),
        ("vocab.json", ["bort.json", "vocabulary.json"]),
        ("tokenizer.json", ["bort.json", "vocabulary.json", "vocab.json", "merges.txt"]),
    ],
)
@given(data=st.data())
def test_any_junk_is_read_or_refused(
    name: str, without: List[str], folder: Path, data: st.DataObject
) -> None:
    """Only `InputError` is raised, and it names a file of the folder."""
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        for other in without:
            (folder / other).unlink()
        original = json.loads((folder / name).read_text(encoding="utf-8"))
        write_json_file(folder / name, mutated(original, data.draw))
        assert str(folder) in what_is_said(folder)
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.parametrize("name", ["config.json", "bort.json"])
@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe{}", b"1" * 5000]
)
def test_what_is_no_object_is_refused(
    name: str, content: bytes, folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if name == "config.json":
        (tmp_path / "bort.json").unlink()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_all(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
