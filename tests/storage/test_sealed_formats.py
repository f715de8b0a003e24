"""Every sealed format: records of version 0.2.0 are read, and damage to any file is detected."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple

import pytest

from bort.errors import InputError
from bort.formats.exported_folder import read_exported_graph, write_exported_description
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import EXPORT, write_huggingface
from bort.network.model_folder import read_model_folder, write_model_folder
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.teacher.cache import TeacherCache
from bort.text.vocabularies import load_vocabulary
from data.corpus.shards import open_examples
from data.tasks.cache import load_features, save_features
from data.tasks.files import read_items
from tests.data.corpus.corpora import corpus
from tests.formats.parity import BORT, make_network
from tests.teacher.cache_samples import TOP, batch_of, fill
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
NETWORK = make_network(BORT.replace(depth=1, vocabulary_size=len(VOCABULARY)), decoder=True)
MULTIRC = get_task("MultiRC")
FEATURES = tokenise(
    make_inputs(MULTIRC, read_items(MULTIRC, "dev", sample=True), TaskOptions()), VOCABULARY, 40
)


class Kind(NamedTuple):
    """A format under test.

    Attributes:
        record: name of the record.
        files: names of the files that it lists.
        write: writes a folder.
        read: reads all of it.
        fields: returns the record's fields, given a function that returns a file's SHA-256.
    """

    record: str
    files: Tuple[str, ...]
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    fields: Callable[[Callable[[str], str]], Dict[str, Any]]


def write_model(folder: Path) -> None:
    write_model_folder(folder, NETWORK.description, NETWORK.arrays)


def write_exported(folder: Path) -> None:
    folder.mkdir()
    for name in ("openvino.xml", "openvino.bin"):
        (folder / name).write_bytes(name.encode())
    names = ("openvino.xml", "openvino.bin")
    fields = {"precision": "fp32"}
    write_exported_description(folder / "openvino.json", NETWORK.description, names, fields)


def write_hugging_face(folder: Path) -> None:
    folder.mkdir()
    write_huggingface(folder, NETWORK, None)


def write_corpus(folder: Path) -> None:
    corpus(folder.parent, name=folder.name)


def read_answers(folder: Path) -> None:
    cache = TeacherCache.open(folder, temperature=2.0)
    for epoch in range(2):
        cache.answer(batch_of(epoch, range(20)))


def shard_files(hash_of: Callable[[str], str]) -> Dict[str, Any]:
    """Return the only shard of the corpus, as the manifest lists it."""
    return {
        part: {
            "file": f"train-00000.{part}.npy",
            "count": ...,
            "dtype": dtype,
            "sha256": hash_of(f"train-00000.{part}.npy"),
        }
        for part, dtype in (("tokens", "<u2"), ("offsets", "<i8"))
    }


KINDS = {
    "model": Kind(
        "model.json",
        ("model.safetensors",),
        write_model,
        read_model_folder,
        lambda hash_of: {
            "format": 1,
            "architecture": NETWORK.architecture.as_dict(),
            "dropout": 0.1,
            "layer_norm_eps": 1e-5,
            "decoder_layer_norm_eps": 1e-5,
            "use_decoder": True,
            "use_pooler": False,
            "classifier": None,
            "extra": {},
            "weights": {"file": "model.safetensors", "sha256": hash_of("model.safetensors")},
        },
    ),
    "exported": Kind(
        "openvino.json",
        ("openvino.xml", "openvino.bin"),
        write_exported,
        lambda folder: read_exported_graph(
            folder / "openvino.json", ("openvino.xml", "openvino.bin")
        ),
        lambda hash_of: {
            "format": 1,
            "architecture": NETWORK.architecture.as_dict(),
            "head": None,
            "num_classes": 0,
            "decoder": True,
            "layer_norm_eps": [1e-5, 1e-5],
            "extra": {},
            "precision": "fp32",
            "files": {name: hash_of(name) for name in ("openvino.xml", "openvino.bin")},
        },
    ),
    "hugging face": Kind(
        "bort.json",
        ("config.json", "model.safetensors"),
        write_hugging_face,
        read_huggingface,
        lambda hash_of: {
            "format": 1,
            "files": {name: hash_of(name) for name in ("config.json", "model.safetensors")},
            "decoder_layer_norm_eps": 1e-5,
            "token_types": 0,
            "head_dropout": 0.1,
            "extra": {},
        },
    ),
    "vocabulary": Kind(
        "vocabulary.json",
        ("merges.txt", "vocab.json"),
        VOCABULARY.save,
        load_vocabulary,
        lambda hash_of: {
            "kind": "byte-bpe",
            "files": {name: hash_of(name) for name in ("merges.txt", "vocab.json")},
            "fingerprint": VOCABULARY.fingerprint,
            "size": len(VOCABULARY),
        },
    ),
    "tokenised set": Kind(
        "features.json",
        ("tokens.npy", "offsets.npy", "labels.npy", "item_numbers.npy", "choices.npy"),
        lambda folder: save_features(folder, FEATURES),
        lambda folder: load_features(folder, FEATURES.fingerprint),
        lambda hash_of: {
            "truncated": FEATURES.truncated,
            "dropped_tokens": FEATURES.dropped_tokens,
            "vocabulary_fingerprint": VOCABULARY.fingerprint,
            "fingerprint": FEATURES.fingerprint,
            "sha256": {
                name: hash_of(f"{name}.npy")
                for name in ("tokens", "offsets", "labels", "item_numbers", "choices")
            },
        },
    ),
    "teacher's answers": Kind(
        "cache.json",
        ("rows.npy", "part-000000.bin", "part-000001.bin"),
        lambda folder: fill(folder, TOP, rows_per_part=20),
        read_answers,
        lambda hash_of: {
            "format": "bort-teacher-cache-1",
            "key": TOP.as_dict(),
            "rows": 40,
            "rows_per_part": 20,
            "rows_sha256": hash_of("rows.npy"),
            "shape": [40, 3, 5],
            "bytes": 40 * TOP.row_type.itemsize,
            "parts": [
                {
                    "file": name,
                    "rows": 20,
                    "bytes": 20 * TOP.row_type.itemsize,
                    "sha256": hash_of(name),
                }
                for name in ("part-000000.bin", "part-000001.bin")
            ],
            "deviation": ...,
        },
    ),
    "corpus": Kind(
        "manifest.json",
        ("train-00000.tokens.npy", "train-00000.offsets.npy"),
        write_corpus,
        lambda folder: open_examples(folder, verify=True),
        lambda hash_of: {
            "format": "bort-shards-1",
            "settings": ...,
            "vocabulary": {"fingerprint": VOCABULARY.fingerprint, "size": len(VOCABULARY)},
            "inputs": ...,
            "counts": ...,
            "splits": {
                "train": {
                    "documents": 40,
                    "sentences": ...,
                    "tokens": ...,
                    "sequences": ...,
                    "shards": [shard_files(hash_of)],
                }
            },
        },
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def folder(kind: Kind, tmp_path: Path) -> Path:
    kind.write(tmp_path / "folder")
    kind.read(tmp_path / "folder")
    return tmp_path / "folder"


def filled_in(expected: Any, found: Any) -> Any:
    """Return `expected` with every `...` replaced by the value that was found."""
    if expected is ...:
        return found
    if isinstance(expected, dict):
        return {name: filled_in(value, found[name]) for name, value in expected.items()}
    if isinstance(expected, list):
        return [filled_in(one, other) for one, other in zip(expected, found)]
    return expected


def test_the_record_has_the_bytes_of_version_0_2_0(kind: Kind, folder: Path) -> None:
    text = (folder / kind.record).read_text(encoding="utf-8")
    expected = kind.fields(lambda name: sha256((folder / name).read_bytes()).hexdigest())
    expected = filled_in(expected, json.loads(text))
    assert text == json.dumps(expected, indent=2, sort_keys=True) + "\n"


def test_damage_to_any_file_is_found_and_named(kind: Kind, folder: Path) -> None:
    for name in kind.files:
        path = folder / name
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[-1] ^= 1
        for damaged in (bytes(flipped), content[:-1], b"", content + b"\0"):
            path.write_bytes(damaged)
            with pytest.raises(InputError) as caught:
                kind.read(folder)
            assert re.match(f"{path}: (is damaged|is not valid JSON)", str(caught.value))
        path.unlink()
        with pytest.raises(InputError) as caught:
            kind.read(folder)
        assert re.match(f"{path}: (is missing|cannot be read)", str(caught.value))
        path.write_bytes(content)
    kind.read(folder)


def test_surplus_files_are_ignored_and_the_record_is_needed(kind: Kind, folder: Path) -> None:
    (folder / "surplus.bin").write_bytes(b"nobody lists it")
    kind.read(folder)
    (folder / kind.record).write_text("{}")
    with pytest.raises(InputError, match=kind.record):
        kind.read(folder)
    (folder / kind.record).write_text("no JSON")
    with pytest.raises(InputError, match=f"{kind.record}: is not valid JSON"):
        kind.read(folder)


def test_an_export_says_how_to_import_it_all_the_same(tmp_path: Path) -> None:
    write_hugging_face(tmp_path / "hf")
    config = tmp_path / "hf" / "config.json"
    config.write_text(config.read_text() + " ")
    with pytest.raises(InputError, match=r"was changed after the export.*delete bort\.json to"):
        EXPORT.open(tmp_path / "hf").verify()
    (tmp_path / "hf" / "bort.json").unlink()
    assert not read_huggingface(tmp_path / "hf").from_here
