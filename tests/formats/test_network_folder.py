"""Commands open a Hugging Face folder as they open a model folder, also with rows to spare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bort.errors import InputError
from bort.export.exporting import ExportSource, export_huggingface, export_onnx
from bort.export.importing import import_huggingface
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.network_folder import (
    check_rows,
    description_file,
    read_folder_description,
    read_network_folder,
    vocabulary_of,
)
from bort.gluon.teacher.choosing import load_teacher_on
from bort.gluon.teacher.live import load_teacher
from bort.inference.predictor import Predictor
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import write_model_folder
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.vocabularies import load_vocabulary
from tests.formats.parity import BORT, make_network
from tests.gluon.network.network_samples import make_batch
from tests.text.tiny_vocabulary import tiny_vocabulary

SPARE = 7
VOCABULARY = tiny_vocabulary()


def write_elsewhere(folder: Path, network: ArrayNetwork) -> None:
    """Write a Hugging Face folder as others do: without this project's record and marks."""
    folder.mkdir()
    fingerprint = VOCABULARY.fingerprint
    write_huggingface(folder, network.replace(vocabulary_fingerprint=fingerprint), VOCABULARY)
    (folder / "bort.json").unlink()
    (folder / "vocabulary.json").unlink()
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["bort"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture(scope="module")
def padded(tmp_path_factory: Any) -> Path:
    """Return a masked language model with rows that no token has, and that would always win."""
    rows = len(VOCABULARY) + SPARE
    network = make_network(BORT.replace(vocabulary_size=rows, depth=1), decoder=True)
    network.arrays["decoder.3.bias"][-SPARE:] = 1000
    folder: Path = tmp_path_factory.mktemp("models") / "padded"
    write_elsewhere(folder, network)
    return folder


def test_both_kinds_of_folder_open(padded: Path, tmp_path: Path) -> None:
    network = read_network_folder(padded)
    write_model_folder(tmp_path, network.description, network.arrays)
    again = read_network_folder(tmp_path)
    assert again.description == network.description == read_folder_description(padded)
    assert read_folder_description(tmp_path) == again.description
    assert vocabulary_of(padded) == padded
    assert vocabulary_of(tmp_path) == tmp_path / "vocabulary"
    assert description_file(padded).name == "config.json"
    assert description_file(tmp_path).name == "model.json"


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    for read in (read_network_folder, read_folder_description):
        with pytest.raises(
            InputError, match=r"expected model\.json or Hugging Face's config\.json"
        ):
            read(tmp_path)


def test_the_folder_of_a_run_names_its_model(padded: Path, tmp_path: Path) -> None:
    network = read_network_folder(padded)
    write_model_folder(tmp_path / "model", network.description, network.arrays)
    with pytest.raises(InputError, match="holds no weights to open.*; .*model does$"):
        read_network_folder(tmp_path)


def test_the_folder_that_serves_names_its_weights(padded: Path, tmp_path: Path) -> None:
    network = read_network_folder(padded)
    write_model_folder(tmp_path / "model" / "weights", network.description, network.arrays)
    for folder in (tmp_path, tmp_path / "model"):
        with pytest.raises(InputError, match="holds no weights to open.*; .*model/weights does$"):
            read_network_folder(folder)


def test_rows_to_spare_need_the_folders_own_vocabulary(padded: Path, tmp_path: Path) -> None:
    rows = len(VOCABULARY) + SPARE
    check_rows(padded, rows, VOCABULARY)
    check_rows(tmp_path, len(VOCABULARY), VOCABULARY)
    for folder, count in ((padded, len(VOCABULARY) - 1), (tmp_path, rows)):
        with pytest.raises(InputError, match=f"has {count} tokens, the given one has"):
            check_rows(folder, count, VOCABULARY)


def test_rows_to_spare_are_never_guessed(padded: Path) -> None:
    predictor = Predictor.from_pretrained(padded, engine="mxnet")
    (answer,) = predictor.fill_masks(["a <mask> b"], top_k=len(VOCABULARY))
    guesses = answer.masks[0]
    assert len(guesses) == len(VOCABULARY) - len(VOCABULARY.special_ids)
    assert max(guess.token_id for guess in guesses) < len(VOCABULARY)
    assert sum(guess.probability for guess in guesses) > 0.5


def test_rows_to_spare_are_kept_through_an_import_and_an_export(
    padded: Path, tmp_path: Path
) -> None:
    import_huggingface(padded, tmp_path / "model")
    export_huggingface(ExportSource(tmp_path / "model"), tmp_path / "hf")
    export_huggingface(ExportSource(padded), tmp_path / "direct")
    export_onnx(ExportSource(padded), tmp_path / "onnx")
    original = read_huggingface(padded).network
    for name in ("hf", "direct"):
        found = read_huggingface(tmp_path / name).network
        assert found.description.vocabulary_fingerprint == VOCABULARY.fingerprint
        assert found.architecture == original.architecture
        for key, array in original.arrays.items():
            assert array.tobytes() == found.arrays[key].tobytes()
    for name in ("model", "onnx"):
        assert len(load_vocabulary(tmp_path / name / "vocabulary")) == len(VOCABULARY)


def test_fewer_rows_than_tokens_are_refused(tmp_path: Path) -> None:
    rows = len(VOCABULARY) - 1
    folder = tmp_path / "hf"
    folder.mkdir()
    write_huggingface(folder, make_network(BORT.replace(vocabulary_size=rows)), None)
    VOCABULARY.save(folder)
    (folder / "bort.json").unlink()
    expected = f"the model has {rows} tokens, the vocabulary has {rows + 1}"
    with pytest.raises(InputError, match=expected):
        import_huggingface(folder, tmp_path / "model")
    with pytest.raises(InputError, match=expected):
        Predictor.from_pretrained(folder, engine="mxnet")


def test_a_folder_in_the_wrong_flag_is_named(padded: Path) -> None:
    with pytest.raises(InputError, match="expected, found: none; name it with teacher_model"):
        load_teacher("roberta_24_1024_16", checkpoint=padded)


@pytest.mark.parametrize("engine", ["mxnet", "onnxruntime"])
def test_a_teacher_answers_for_the_tokens_only(engine: str, padded: Path) -> None:
    if engine != "mxnet":
        pytest.importorskip(engine)
        pytest.importorskip("onnx")
    source, runtime = TeacherSource(str(padded)), TeacherRuntime(engine)
    batch = make_batch()
    teacher = load_teacher_on(source, runtime, vocabulary=VOCABULARY)
    assert teacher.vocabulary_size == len(VOCABULARY)
    whole = load_teacher(str(padded)).answer(batch).asnumpy()
    answers = teacher.answer(batch)
    answers = answers.asnumpy() if engine == "mxnet" else answers
    assert answers.shape == (*whole.shape[:2], len(VOCABULARY))
    np.testing.assert_allclose(answers, whole[:, :, :-SPARE], rtol=1e-4, atol=1e-4)
    padded_student = load_teacher_on(
        source, runtime, vocabulary=VOCABULARY, vocabulary_size=whole.shape[-1]
    )
    assert padded_student.vocabulary_size == whole.shape[-1]
