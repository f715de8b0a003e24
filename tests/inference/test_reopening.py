"""Predictors are pickled and copied by their folder, and refuse a folder that has changed."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
from pathlib import Path

import pytest

from bort import Predictor
from bort.errors import InputError
from tests.engines.test_engines import NAMES
from tests.formats.parity import BORT, make_network, write_network
from tests.inference.fake_engine import text_predictor
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
TEXTS = ["it rained", "the sun", "x " * 60]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    network = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        vocabulary_fingerprint=VOCABULARY.fingerprint,
        head="linear",
        num_classes=2,
        labels=["wet", "dry"],
    )
    write_network(tmp_path / "model", network)
    VOCABULARY.save(tmp_path / "model" / "vocabulary")
    return tmp_path / "model"


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_answers_alike_with_the_same_settings(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    predictor = Predictor.from_pretrained(
        "model", engine=name, threads=1, max_length=20, batch_tokens=1
    )
    expected = predictor(TEXTS)
    packed = pickle.dumps(predictor)
    assert len(packed) < 2000
    monkeypatch.chdir("/")
    for other in (pickle.loads(packed), copy.deepcopy(predictor), copy.copy(predictor)):
        assert other is not predictor
        assert (other.engine, other.precision, other.truncated) == (name, "fp32", 0)
        assert other(TEXTS) == expected
        assert other.truncated == 1
        assert len(pickle.dumps(other)) == len(packed)


def test_a_vocabulary_that_was_given_is_found_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "vocabulary").rename(tmp_path / "words")
    monkeypatch.chdir(tmp_path)
    predictor = Predictor.from_pretrained(folder, engine="mxnet", vocabulary="words")
    packed = pickle.dumps(predictor)
    monkeypatch.chdir("/")
    assert pickle.loads(packed)(TEXTS) == predictor(TEXTS)


def test_a_folder_that_is_gone_or_has_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(folder, engine="mxnet")
    packed = pickle.dumps(predictor)
    shutil.copytree(folder, tmp_path / "kept")
    other = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        vocabulary_fingerprint=VOCABULARY.fingerprint,
        head="linear",
        num_classes=2,
        seed=1,
    )
    write_network(folder, other)
    with pytest.raises(InputError, match="model: has changed since the Predictor was opened"):
        pickle.loads(packed)
    with pytest.raises(InputError, match="model: has changed since the Predictor was opened"):
        pickle.dumps(predictor)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="model: no such folder"):
        pickle.loads(packed)
    with pytest.raises(InputError, match="model: no such folder"):
        copy.deepcopy(predictor)
    # The same content again, with other times, as on another machine.
    shutil.copytree(tmp_path / "kept", folder, copy_function=shutil.copyfile)
    os.utime(folder / "model.json", (1, 1))
    assert pickle.loads(packed)(TEXTS) == predictor(TEXTS)


def test_a_predictor_that_was_made_from_parts_says_what_to_do() -> None:
    predictor = text_predictor()
    for work in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="cannot be pickled or copied; open a folder with"):
            work(predictor)
