"""Fine-tuning of a network with two token types on pairs of texts."""

from __future__ import annotations

import dataclasses
import json
import string

import numpy as np
import pytest

from bort import Predictor
from bort.errors import InputError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.seeds import pair_form_to_resume
from bort.gluon.finetuning.starting_point import StartingPoint, pair_form
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.network.model_folder import read_description, read_model_folder
from bort.ranks import SingleProcess
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, PairForm
from bort.text.wordpiece import wordpiece_vocabulary
from bort.training.finetuning_config import FinetuningConfig
from data.tasks.sets import open_task_data
from tests.formats.parity import BORT, make_network, write_network
from tests.gluon.training.run_samples import contents

ALONE = SingleProcess()
CONFIG = FinetuningConfig(
    epochs=2, max_len=96, lr=1e-3, weight_decay=0.0, batch_size=4, ckpt_interval=1
)
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *string.ascii_lowercase,
    *("##" + letter for letter in string.ascii_lowercase),
]
TYPES = "token_type_embed.0.weight"
WORDS = wordpiece_vocabulary(PIECES, True, "here")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Return a pre-trained network with two token types."""
    folder = tmp_path_factory.mktemp("start")
    sizes = BORT.replace(depth=1, token_types=2, vocabulary_size=len(WORDS), maximum_length=96)
    write_network(folder, make_network(sizes, decoder=True))
    WORDS.save(folder / "vocabulary")
    return StartingPoint(str(folder), "")


def opened(name, pairs, cache=None):
    options = TaskOptions()
    return open_task_data(
        get_task(name), WORDS, options, CONFIG.max_len, sample=True, pairs=pairs, cache=cache
    )


@pytest.fixture(scope="module", params=["RTE", "MRPC"])
def trained(request, tmp_path_factory, start):
    folder = tmp_path_factory.mktemp(request.param)
    data = opened(request.param, pair_form(start, WORDS))
    run_finetuning(data, start, CONFIG, folder, ALONE)
    return folder, data


def test_both_types_are_trained(trained, start):
    folder, data = trained
    assert data.pairs == BERT_PAIRS
    before = read_model_folder(start.pretrained).arrays[TYPES]
    after = read_model_folder(folder / "model")
    assert after.description.pairs == BERT_PAIRS
    # Without weight decay, a row without a gradient keeps its bits.
    assert (after.arrays[TYPES] != before).any(axis=1).tolist() == [True, True]


def test_answers_depend_on_the_types(trained):
    folder, data = trained
    classifier = TaskClassifier.load(folder / "model")
    (dev,) = data.dev
    assert dev.features.type_separator == WORDS.eos_id
    typed = classifier.outputs(dev.features, ALONE, 4)
    untyped = dataclasses.replace(dev.features, type_separator=None)
    assert np.abs(classifier.outputs(untyped, ALONE, 4) - typed).max() > 1e-3


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("mxnet"),
        pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
        pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
    ],
)
def test_the_predictor_answers_as_the_evaluation(trained, engine):
    folder, data = trained
    (dev,) = data.dev
    outputs = TaskClassifier.load(folder / "model").outputs(dev.features, ALONE, 4)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    predictor = Predictor.from_pretrained(folder / "model", engine=engine, threads=1)
    answers = predictor([item.fields for item in dev.items])
    found = [list(answer.probabilities.values()) for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_classifier_from_elsewhere_is_evaluated_in_its_own_form(trained, tmp_path):
    """Its folder names no task; the task that the user names says nothing of the form."""
    folder, data = trained
    network = read_model_folder(folder / "model").replace(task=None, pairs=None, input_length=None)
    write_network(tmp_path, network)
    WORDS.save(tmp_path / "vocabulary")
    record = get_task(data.record.name)
    elsewhere = TaskClassifier.load(tmp_path, record=record)
    assert elsewhere.pairs == BERT_PAIRS
    (dev,) = data.dev
    answers = Predictor.from_pretrained(tmp_path, engine="mxnet", threads=1)(
        [tuple(item.fields[name] for name in record.fields) for item in dev.items]
    )
    outputs = elsewhere.outputs(dev.features, ALONE, 4)
    assert [answer.label for answer in answers] == [
        record.labels[number] for number in outputs.argmax(axis=1)
    ]


def test_a_stopped_run_ends_with_the_same_bits(trained, start, tmp_path):
    folder, data = trained
    asked = []
    stop = {"stop_requested": lambda: asked.append(1) or len(asked) == 2}
    assert run_finetuning(data, start, CONFIG, tmp_path, ALONE, **stop)["stopped"]
    assert pair_form_to_resume(tmp_path) == BERT_PAIRS
    other = opened(data.record.name, ROBERTA_PAIRS)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="data differs from that of the run to resume"):
        run_finetuning(other, start, CONFIG, tmp_path, ALONE, resume=True)
    assert contents(tmp_path) == before
    run_finetuning(data, start, CONFIG, tmp_path, ALONE, resume=True)
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "model" / name).read_bytes() == (folder / "model" / name).read_bytes()


def test_a_run_of_version_0_2_0_keeps_its_form(start, tmp_path):
    assert pair_form_to_resume(tmp_path) is None
    data = opened("RTE", ROBERTA_PAIRS)
    run_finetuning(data, start, CONFIG, tmp_path / "seed-3", ALONE)
    path = tmp_path / "seed-3" / "run.json"
    record = json.loads(path.read_text())
    assert record.pop("pairs") == {"separators": 2, "token_types": False}
    path.write_text(json.dumps(record))
    assert pair_form_to_resume(tmp_path) == ROBERTA_PAIRS
    assert pair_form_to_resume(tmp_path / "seed-3") == ROBERTA_PAIRS
    description = read_description(tmp_path / "seed-3" / "model")
    assert description.pairs is None
    assert description.pair_form(WORDS) == ROBERTA_PAIRS
    assert TaskClassifier.load(tmp_path / "seed-3" / "model").pairs == ROBERTA_PAIRS


def test_single_texts_have_the_same_bits_with_and_without_types(start, tmp_path):
    for name, pairs in (("typed", BERT_PAIRS), ("plain", ROBERTA_PAIRS)):
        data = opened("SST-2", pairs)
        run_finetuning(data, start, CONFIG, tmp_path / name, ALONE)
    typed, plain = (read_model_folder(tmp_path / name / "model") for name in ("typed", "plain"))
    for name, array in typed.arrays.items():
        np.testing.assert_array_equal(array, plain.arrays[name])
    before = read_model_folder(start.pretrained).arrays[TYPES]
    assert (typed.arrays[TYPES] != before).any(axis=1).tolist() == [True, False]


def test_cached_sets_have_types_too(start, tmp_path):
    for name in ("RTE", "SST-2"):
        for pairs in (BERT_PAIRS, ROBERTA_PAIRS, PairForm(1, typed=False)):
            for _ in range(2):  # made, then read
                data = opened(name, pairs, tmp_path / "cache")
                fresh = opened(name, pairs)
                for found, expected in zip(data.sets, fresh.sets):
                    assert found.features.type_separator == expected.features.type_separator
                    np.testing.assert_array_equal(found.features.tokens, expected.features.tokens)


def test_a_network_without_types_refuses_typed_data(tmp_path):
    data = opened("RTE", BERT_PAIRS)
    with pytest.raises(InputError, match="1-2-16-32: has 0 token types, the data has token types"):
        run_finetuning(data, StartingPoint(None, "1-2-16-32"), CONFIG, tmp_path, ALONE)
