"""Downloads from an imitation of the hub: files that are requested, and errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
import safetensors.numpy

from bort.downloads.huggingface_hub import FILES, Fetched, fetch_from_hub
from bort.errors import InputError, WorkError
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.tensor_file import read_weights
from bort.formats.huggingface.writer import write_huggingface
from bort.text.vocabularies import load_vocabulary
from tests.downloads.hub_server import COMMIT, Hub, serve
from tests.formats.parity import BORT, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

NAME = "someone/a-model"
pytestmark = pytest.mark.parity("huggingface_hub")


@pytest.fixture(scope="module")
def files(tmp_path_factory: Any) -> Dict[str, bytes]:
    """Return a model's files, and others that must not be downloaded."""
    vocabulary = tiny_vocabulary()
    folder: Path = tmp_path_factory.mktemp("hub")
    architecture = BORT.replace(depth=1, vocabulary_size=len(vocabulary))
    write_huggingface(folder, make_network(architecture, decoder=True), vocabulary)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    dangerous = {
        "pytorch_model.bin": b"\x80\x04.",
        "tf_model.h5": b"h5",
        "modeling.py": b"import os",
        "onnx/model.safetensors": b"elsewhere",
        "training_args.pt": b"\x80\x04.",
    }
    return {**found, **dangerous}


@pytest.fixture
def hub(files: Dict[str, bytes]) -> Iterator[Hub]:
    with serve() as hub:
        hub.models[NAME] = dict(files)
        hub.models["a-model"] = dict(files)
        yield hub


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    def fetch(name: str = NAME, revision: str = "main") -> Fetched:
        return fetch_from_hub(name, revision, endpoint=hub.address, cache=tmp_path / "cache")

    return fetch


@pytest.mark.parametrize("name", [NAME, "a-model"])
@pytest.mark.parametrize("revision", ["main", "v1", COMMIT])
def test_what_is_needed_comes_and_nothing_else(
    name: str, revision: str, fetch: Any, hub: Hub, files: Dict[str, bytes]
) -> None:
    folder, commit = fetch(name, revision)
    assert commit == COMMIT
    expected = sorted(set(files) & set(FILES))
    assert sorted(path.name for path in folder.iterdir()) == expected
    assert hub.fetched() == expected
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(expected)
    assert read_huggingface(folder).from_here
    assert (
        len(load_vocabulary(folder))
        == read_huggingface(folder).network.arrays["word_embed.0.weight"].shape[0]
    )


def test_a_second_time_nothing_is_fetched(fetch: Any, hub: Hub) -> None:
    first = fetch()
    hub.requests.clear()
    assert fetch() == first
    assert hub.fetched() == []


def test_only_pickles_are_no_model(fetch: Any, hub: Hub, tmp_path: Path) -> None:
    del hub.models[NAME]["model.safetensors"]
    with pytest.raises(InputError, match=r"no model\.safetensors, only pytorch_model\.bin"):
        fetch()
    assert hub.fetched() == []
    assert not (tmp_path / "cache").exists()


def test_weights_in_several_files_come_and_are_checked(fetch: Any, hub: Hub) -> None:
    content = hub.models[NAME].pop("model.safetensors")
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    tensors = safetensors.numpy.load(content)
    halves = [dict(sorted(tensors.items())[number::2]) for number in (0, 1)]
    names = {name: part for part, half in zip(parts, halves) for name in half}
    for part, half in zip(parts, halves):
        hub.models[NAME][part] = safetensors.numpy.save(half)
    hub.models[NAME]["model.safetensors.index.json"] = json.dumps({"weight_map": names}).encode()
    hub.models[NAME]["model-1.safetensors"] = b"of another model"
    hub.models[NAME].pop("bort.json")
    folder, _ = fetch()
    assert sorted(path.name for path in folder.glob("*.safetensors")) == parts
    assert set(read_weights(folder).tensors) == set(tensors)
    hub.stated[parts[1]] = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(WorkError, match=f"{parts[1]} has another SHA-256 than the hub states"):
        fetch()


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("someone/else", "main", "has no such model"),
        (NAME, "v2", "has no revision 'v2'"),
        ("../etc/passwd", "main", "allowed is owner/name"),
        ("a/b/c", "main", "allowed is owner/name"),
        ("https://huggingface.co/a/b", "main", "allowed is owner/name"),
        ("", "main", "allowed is owner/name"),
        ("a--b/c..d", "main", "a--b/c..d"),
    ],
)
def test_names_and_revisions_that_are_none(
    name: str, revision: str, message: str, fetch: Any
) -> None:
    with pytest.raises(InputError, match="^[^\n]*$") as caught:
        fetch(name, revision)
    assert message in str(caught.value)


def test_the_weights_are_held_to_the_stated_hash(fetch: Any, hub: Hub) -> None:
    """Weights of the same size with other content than the hub states are refused."""
    hub.stated["model.safetensors"] = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(WorkError, match="another SHA-256 than the hub states"):
        fetch()


@pytest.mark.parametrize("misbehave", ["cut", "status"])
def test_a_download_that_fails_is_one_line(misbehave: str, fetch: Any, hub: Hub) -> None:
    if misbehave == "cut":
        hub.cut["model.safetensors"] = 1000
    else:
        hub.status["model.safetensors"] = 403
    with pytest.raises(WorkError, match="^[^\n]*cannot be downloaded[^\n]*$"):
        fetch()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="cannot be downloaded"):
        fetch_from_hub(NAME, endpoint="http://127.0.0.1:1", cache=tmp_path)


@pytest.mark.parametrize(
    "address",
    ["http://huggingface.co", "ftp://127.0.0.1", "huggingface.co", "https://[bad", "https://h:x"],
)
def test_only_https_leaves_this_machine(address: str) -> None:
    with pytest.raises(InputError, match="HF_ENDPOINT is"):
        fetch_from_hub(NAME, endpoint=address)
