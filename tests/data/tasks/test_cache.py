"""The cache of tokenised sets: arrays that were forged along with their hashes are made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

from bort.errors import InputError
from bort.storage.files import sha256_of_file
from bort.tasks.formulations import make_inputs
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.cache import load_features, tokenise_cached
from data.tasks.files import read_items
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
RTE = get_task("RTE")
INPUTS = make_inputs(RTE, read_items(RTE, "dev", sample=True), TaskOptions())
EXPECTED = tokenise_cached(INPUTS, VOCABULARY, 40)


def forge(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change an array and its hash in the record."""
    path = folder / f"{name}.npy"
    np.save(path, change(np.load(path)))
    record = json.loads((folder / "features.json").read_text())
    record["sha256"][name] = sha256_of_file(path)
    (folder / "features.json").write_text(json.dumps(record))


def put(position: int, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[position] = value
        return array

    return change


ARRAYS: Dict[str, Any] = {
    "a float as a token": ("tokens", lambda array: array.astype("<f4")),
    "a token below 0": ("tokens", put(3, -5)),
    "tokens in rows": ("tokens", lambda array: array[: len(array) // 2 * 2].reshape(2, -1)),
    "an end elsewhere": ("offsets", put(-1, 2**40)),
    "a start elsewhere": ("offsets", put(0, 1)),
    "an empty input": ("offsets", put(1, 0)),
    "a difference that overflows": ("offsets", put(1, 2**63 - 1)),
    "no offsets": ("offsets", lambda array: array[:0]),
    "labels in rows of rows": ("labels", lambda array: array.reshape(-1, 1, 1)),
    "fewer labels": ("labels", lambda array: array[:-1]),
    "texts as labels": ("labels", lambda array: array.astype("U1")),
    "more choices": ("choices", lambda array: np.append(array, array)),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenise_cached(INPUTS, VOCABULARY, 40, tmp_path)
    (made,) = tmp_path.iterdir()
    load_features(made, EXPECTED.fingerprint)
    return made


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_forged_arrays_are_refused_and_made_again(folder: Path, name: str) -> None:
    forge(folder, *ARRAYS[name])
    with pytest.raises(InputError, match=f"^{folder}/.*: is damaged: "):
        load_features(folder, EXPECTED.fingerprint)
    again = tokenise_cached(INPUTS, VOCABULARY, 40, folder.parent)
    assert again.tokens.tolist() == EXPECTED.tokens.tolist()
    load_features(folder, EXPECTED.fingerprint)


def test_an_id_beyond_the_vocabulary_is_made_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forge(folder, "tokens", put(3, len(VOCABULARY)))
    again = tokenise_cached(INPUTS, VOCABULARY, 40, folder.parent)
    assert again.tokens.tolist() == EXPECTED.tokens.tolist()
    assert "holds an id beyond the vocabulary" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truncated": False}, "truncated is False, allowed is an integer of at least 0"),
        ({"dropped_tokens": "3"}, "dropped_tokens is '3', allowed is an integer"),
        ({"vocabulary_fingerprint": None}, "vocabulary_fingerprint is None, allowed is a text"),
        ({"sha256": []}, "a field is missing or malformed"),
        ({"fingerprint": 3}, "is the record of another set"),
    ],
)
def test_a_damaged_record_is_named(folder: Path, change: Any, message: str) -> None:
    path = folder / "features.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=rf"features\.json: {message}"):
        load_features(folder, EXPECTED.fingerprint)


def test_several_labels_survive(tmp_path: Path) -> None:
    inputs = [one._replace(label=(1.0, 0.0, float(n % 2))) for n, one in enumerate(INPUTS)]
    made = tokenise_cached(inputs, VOCABULARY, 40, tmp_path)
    read = load_features(next(tmp_path.iterdir()), made.fingerprint)
    assert read.labels.tolist() == made.labels.tolist() == [list(one.label) for one in inputs]
