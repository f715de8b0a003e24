"""Pairs of texts are answered as Transformers answers them, and a round trip changes nothing.

Tolerance of probabilities and embeddings: 1e-5. All batches are padded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from bort import Predictor
from bort.errors import WorkError
from bort.export.exporting import ExportSource, export_huggingface, export_onnx, export_openvino
from bort.export.importing import import_huggingface
from bort.export.samples import sample_of
from bort.export.tokenizer_check import check_tokenizer
from bort.formats.huggingface.pair_template import fit_pair_form
from bort.formats.huggingface.tokenizer import special_roles, write_tokenizer
from bort.network.description import TaskDescription
from bort.network.model_folder import read_model_folder, write_model_folder
from bort.tasks.options import TaskOptions
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, PairForm
from bort.text.tokenizer_content import template
from bort.text.vocabularies import load_vocabulary
from tests.formats.huggingface.transformers_folders import (
    LABELS,
    PAIRS,
    TOLERANCE,
    answers,
    bert_folder,
    encoded,
    probabilities,
    roberta_folder,
)
from tests.formats.parity import BORT, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

pytestmark = pytest.mark.parity("torch", "transformers")
QUESTIONS = [*PAIRS, "The rain awoke.", "key"]
ENGINES = [
    pytest.param("mxnet"),
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
]


@pytest.fixture(scope="module", params=["bert", "roberta"])
def folder(request: Any, tmp_path_factory: Any) -> Path:
    write = bert_folder if request.param == "bert" else roberta_folder
    return write(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def imported(folder: Path, tmp_path_factory: Any) -> Path:
    """Return the folder as a model folder, with a comparison on pairs at the import."""
    model: Path = tmp_path_factory.mktemp("imported") / "model"
    assert import_huggingface(folder, model)["largest_difference"] < 1e-4
    return model


def chances(predictor: Predictor) -> np.ndarray:
    return np.array([[one.probabilities[name] for name in LABELS] for one in predictor(QUESTIONS)])


def swap(questions: Any) -> Any:
    return [one if isinstance(one, str) else one[::-1] for one in questions]


@pytest.mark.parametrize("engine", ENGINES)
def test_pairs_are_answered_as_by_transformers(folder: Path, imported: Path, engine: str) -> None:
    expected = probabilities(folder, QUESTIONS)
    for place in (folder, imported):
        predictor = Predictor.from_pretrained(place, engine=engine, threads=1)
        np.testing.assert_allclose(chances(predictor), expected, atol=TOLERANCE)
    assert np.abs(probabilities(folder, swap(QUESTIONS)) - expected)[:3].max() > 0.01


def test_a_round_trip_changes_nothing(folder: Path, imported: Path, tmp_path: Path) -> None:
    checks = export_huggingface(ExportSource(imported), tmp_path / "back")
    assert checks["tokenizer"] == "the same ids for 6 texts and 3 pairs"
    assert (checks["texts"], checks["pairs"]) == (6, 3)
    assert encoded(tmp_path / "back", QUESTIONS) == encoded(folder, QUESTIONS)
    expected = probabilities(folder, QUESTIONS)
    np.testing.assert_allclose(
        probabilities(tmp_path / "back", QUESTIONS), expected, atol=TOLERANCE
    )
    (tmp_path / "back" / "bort.json").unlink()  # what only this toolkit reads
    import_huggingface(tmp_path / "back", tmp_path / "again")
    for place in (tmp_path / "back", tmp_path / "again"):
        predictor = Predictor.from_pretrained(place, engine="mxnet", threads=1)
        np.testing.assert_allclose(chances(predictor), expected, atol=TOLERANCE)


def tokenizer_alone(folder: Path) -> None:
    """Write the files of Transformers 5: `tokenizer.json` without `vocab.txt`."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    for name in ("vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    tokenizer.save_pretrained(str(folder))
    assert not (folder / "vocab.txt").exists()


def with_settings(folder: Path, **settings: Any) -> None:
    path = folder / "tokenizer_config.json"
    given = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**given, **settings}), encoding="utf-8")


def without_type_ids(folder: Path) -> None:
    with_settings(folder, model_input_names=["input_ids", "attention_mask"])


def with_template(folder: Path, separators: int, second: int) -> None:
    tokenizer_alone(folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    ids = {"[CLS]": 2, "[SEP]": 3}
    content["post_processor"] = template("[CLS]", "[SEP]", separators, second, ids)
    path.write_text(json.dumps(content), encoding="utf-8")
    with_settings(folder, tokenizer_class="PreTrainedTokenizerFast")


KINDS = {
    "tokenizer.json alone": (2, tokenizer_alone),
    "no token_type_ids": (2, without_type_ids),
    "one type, no token_type_ids": (1, without_type_ids),
    "four types": (4, tokenizer_alone),
    "one separator, type 0": (2, lambda folder: with_template(folder, 1, 0)),
    "two separators": (2, lambda folder: with_template(folder, 2, 0)),
    "a table of zeros": (2, lambda folder: zero_types(folder)),
}


def zero_types(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    name = "bert.embeddings.token_type_embeddings.weight"
    tensors[name] = np.zeros_like(tensors[name])
    safetensors.numpy.save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_the_tokenizer_says_of_pairs_is_believed(kind: str, tmp_path: Path) -> None:
    """Everywhere: in the folder, in the imported model, and in Transformers after an export."""
    types, change = KINDS[kind]
    folder = bert_folder(tmp_path / "hf", types=types)
    change(folder)
    expected = probabilities(folder, QUESTIONS)
    import_huggingface(folder, tmp_path / "model")
    export_huggingface(ExportSource(tmp_path / "model"), tmp_path / "back")
    assert encoded(tmp_path / "back", QUESTIONS) == encoded(folder, QUESTIONS)
    again = probabilities(tmp_path / "back", QUESTIONS)
    np.testing.assert_allclose(again, expected, atol=TOLERANCE)
    for place in (folder, tmp_path / "model", tmp_path / "back"):
        predictor = Predictor.from_pretrained(place, engine="mxnet", threads=1)
        np.testing.assert_allclose(chances(predictor), expected, atol=TOLERANCE)


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_exported_graphs_answer_pairs(folder: Path, imported: Path, tmp_path: Path) -> None:
    expected = probabilities(folder, QUESTIONS)
    for export in (export_onnx, export_openvino):
        place = tmp_path / export.__name__
        assert export(ExportSource(imported), place)["pairs"] == 3
        for engine in ("onnxruntime", "openvino") if export is export_onnx else ("openvino",):
            predictor = Predictor.from_pretrained(place, engine=engine, threads=1)
            np.testing.assert_allclose(chances(predictor), expected, atol=TOLERANCE)


@pytest.mark.parametrize("engine", ENGINES)
def test_embeddings_of_pairs(engine: str, tmp_path: Path) -> None:
    folder = bert_folder(tmp_path, "BertModel")
    expected = answers(folder, "AutoModel", QUESTIONS)
    found = Predictor.from_pretrained(folder, engine=engine, threads=1).embed(QUESTIONS)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_model_of_two_types_that_version_0_2_0_fine_tuned(tmp_path: Path) -> None:
    """Its pairs have two separators and type 0, here and in Transformers after an export."""
    import_huggingface(bert_folder(tmp_path / "hf"), tmp_path / "model")
    network = read_model_folder(tmp_path / "model")
    task = TaskDescription("CB", TaskOptions().as_dict())
    head = network.description.head
    assert head is not None
    old = network.replace(task=task, input_length=64, pairs=None)
    write_model_folder(tmp_path / "model", old.description, old.arrays)
    export_huggingface(ExportSource(tmp_path / "model"), tmp_path / "back")
    seen = encoded(tmp_path / "back", PAIRS)
    assert sorted(seen) == ["attention_mask", "input_ids"]
    cls, sep = 2, 3
    assert [ids.count(sep) for ids in seen["input_ids"]] == [3, 3, 3]
    assert [ids[0] for ids in seen["input_ids"]] == [cls] * 3
    fields = [{"premise": first, "hypothesis": second} for first, second in PAIRS]
    expected = probabilities(tmp_path / "back", PAIRS)
    for engine in ("mxnet", "openvino"):
        predictor = Predictor.from_pretrained(tmp_path / "model", engine=engine, threads=1)
        labels = head.labels
        found = [[one.probabilities[name] for name in labels] for one in predictor(fields)]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("form", [BERT_PAIRS, ROBERTA_PAIRS, PairForm(1, typed=False)])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_every_form_can_be_exported(form: PairForm, kind: str, tmp_path: Path) -> None:
    """The check compares ids and types with those of the model, whatever vocabulary it has."""
    words: Any = tiny_vocabulary()
    if kind == "bert":
        words = load_vocabulary(bert_folder(tmp_path / "hf"))
    architecture = BORT.replace(vocabulary_size=len(words), token_types=2, maximum_length=40)
    network = make_network(architecture, pairs=form)
    sample = sample_of(network, words)
    assert sample.token_types is not None
    assert sample.token_types.any() == form.typed
    folder = tmp_path / "out"
    folder.mkdir()
    write_tokenizer(folder, words, 40)
    fit_pair_form(folder, words, form, 2)
    check_tokenizer(folder, network.description, words, sample)
    names = {"input_ids", "attention_mask", *(["token_type_ids"] if form.typed else [])}
    assert set(encoded(folder, PAIRS)) == names
    ids = {words.token_of(i): i for i in (words.bos_id, words.eos_id)}
    path = folder / "tokenizer.json"
    good = json.loads(path.read_text(encoding="utf-8"))
    settings = folder / "tokenizer_config.json"  # BERT's and RoBERTa's classes build their own
    general = {**json.loads(settings.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps({**special_roles(words), **general}))
    for other in (BERT_PAIRS, ROBERTA_PAIRS, PairForm(1, typed=False)):
        changed = {
            **good,
            "post_processor": template(*ids, other.separators, int(other.typed), ids),
        }
        path.write_text(json.dumps(changed), encoding="utf-8")
        if other.separators != form.separators:
            with pytest.raises(WorkError, match=r"tokenizer\.json: gives other ids for a pair"):
                check_tokenizer(folder, network.description, words, sample)
        elif form.typed and not other.typed:
            with pytest.raises(WorkError, match="gives other token types for a pair that begins"):
                check_tokenizer(folder, network.description, words, sample)
