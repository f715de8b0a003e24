"""The predictor gives the same answers for a fine-tuned folder as its evaluation."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bort import Predictor
from bort.errors import InputError
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.inference.results import Choice, Classification, Judgements, Regression
from bort.ranks import SingleProcess
from bort.tasks.judging import TaskSet
from bort.tasks.metrics import by_index
from bort.tasks.options import FOUR_WAY, TaskOptions
from bort.tasks.records import get_task
from bort.training.finetuning_config import FinetuningConfig
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data

ALONE = SingleProcess()
START = StartingPoint(None, "2-2-16-32")
CONFIG = FinetuningConfig(epochs=1, max_len=96, lr=1e-3)
TOLERANCE = 1e-5
"""Tolerance of outputs, which MXNet rounds differently in other batches."""

ENGINES = [
    pytest.param("mxnet"),
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
]
CASES = [
    ("CoLA", TaskOptions()),
    ("SST-2", TaskOptions()),
    ("MRPC", TaskOptions()),
    ("STS-B", TaskOptions()),
    ("QNLI", TaskOptions()),
    ("CB", TaskOptions()),
    ("COPA", TaskOptions()),
    ("MultiRC", TaskOptions()),
    ("ReCoRD", TaskOptions()),
    ("WiC", TaskOptions()),
    ("WSC", TaskOptions()),
    ("RACE-M", TaskOptions()),
    ("RACE-H", TaskOptions(race_form=FOUR_WAY)),
]


@pytest.fixture(scope="module")
def vocabulary():
    return train_sample_vocabulary()


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, vocabulary):
    """Return a folder and a set to predict; each task is trained once."""
    made = {}

    def make(name, options):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            record = get_task(name)
            data = open_task_data(record, vocabulary, options, CONFIG.max_len, sample=True)
            run_finetuning(data, START, CONFIG, folder, ALONE)
            made[name] = folder / "model", data.dev[0]
        return made[name]

    return make


def prediction_of(answer):
    """Return an answer in the form of an item's label."""
    if isinstance(answer, Classification):
        return answer.label
    if isinstance(answer, Regression):
        return answer.value
    if isinstance(answer, Judgements):
        return answer.labels
    assert isinstance(answer, Choice)
    return answer.label or answer.answer


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "options"), CASES, ids=[name for name, _ in CASES])
def test_the_predictions_are_those_of_the_evaluation(finetuned, name, options, engine):
    folder, dev = finetuned(name, options)
    evaluated = TaskClassifier.load(folder)
    expected = evaluated.predict(dev, ALONE, 8)
    predictor = Predictor.from_pretrained(folder, engine=engine, threads=1)
    answers = predictor([item.fields for item in dev.items])
    found = by_index(dev.record, dev.items, [prediction_of(answer) for answer in answers])
    assert found.keys() == expected.keys()
    if dev.record.is_regression:
        for index, value in expected.items():
            assert found[index] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE)
    else:
        # Outputs that are equal but for rounding may be decided either way; none of these are.
        assert found == expected
    assert predictor.truncated == dev.features.truncated
    _compare_probabilities(evaluated, dev, answers)


def _compare_probabilities(evaluated: TaskClassifier, dev: TaskSet, answers) -> None:
    outputs = evaluated.outputs(dev.features, ALONE, 8)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    for number, answer in enumerate(answers):
        rows = probabilities[dev.features.item_numbers == number]
        if isinstance(answer, Classification):
            found = list(answer.probabilities.values())
            np.testing.assert_allclose(found, rows[0], atol=TOLERANCE)
        if isinstance(answer, Judgements):
            np.testing.assert_allclose(answer.probabilities, rows[:, 1], atol=TOLERANCE)


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_do_not_depend_on_the_batch(finetuned, engine):
    folder, dev = finetuned("STS-B", TaskOptions())
    questions = [item.fields for item in dev.items]
    predictor = Predictor.from_pretrained(folder, engine=engine, threads=1)
    together = [answer.output for answer in predictor(questions)]
    alone = [predictor(question).output for question in questions]
    np.testing.assert_allclose(together, alone, rtol=TOLERANCE, atol=TOLERANCE)
    exact = Predictor.from_pretrained(folder, engine=engine, threads=1, batch_tokens=1)
    assert [answer.output for answer in exact(questions)] == [
        exact(question).output for question in questions[::-1]
    ][::-1]


def test_folders_that_do_not_fit_are_named(finetuned, tmp_path):
    folder, _ = finetuned("CoLA", TaskOptions())
    bad = tmp_path / "bad"

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            Predictor.from_pretrained(bad, engine="mxnet", threads=1)
        shutil.rmtree(bad)
        shutil.copytree(folder, bad)

    shutil.copytree(folder, bad)
    shutil.rmtree(bad / "vocabulary")
    refused("vocabulary: no such folder")
    (bad / "vocabulary" / "sentencepiece.model").write_bytes(b"other")
    refused(r"sentencepiece\.model: is damaged")
    weights = bad / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    refused(r"model\.safetensors: is damaged")
    weights.rename(bad / "model.bin")
    refused(r"model\.safetensors: (no such file|is missing|cannot be read)")
    text = (bad / "model.json").read_text().replace('"CoLA"', '"CB"')
    (bad / "model.json").write_text(text)
    refused("has 2 outputs with the labels .* CB needs")
    (bad / "model.json").unlink()
    refused("holds no model")


def test_another_vocabulary_may_not_be_given(finetuned, tmp_path):
    folder, _ = finetuned("CoLA", TaskOptions())
    from tests.text.tiny_vocabulary import tiny_vocabulary

    tiny_vocabulary().save(tmp_path)
    with pytest.raises(InputError, match=r"has \d+ tokens, the vocabulary has \d+"):
        Predictor.from_pretrained(folder, engine="mxnet", vocabulary=str(tmp_path))
