"""A classifier's outputs mean what its `problem_type` says, as Transformers' pipeline reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bort import Predictor
from bort.errors import InputError
from bort.formats.huggingface.writer import write_huggingface
from bort.inference.fitting import labels_of
from bort.inference.results import (
    Classification,
    MultiLabelClassification,
    MultiOutputRegression,
    Regression,
)
from bort.network.description import ModelDescription, TaskDescription
from bort.network.head import MULTI_LABEL, REGRESSION, SINGLE_LABEL, HeadDescription
from tests.formats.parity import BORT, make_network
from tests.inference.fake_engine import VOCABULARY, FakeEngine, describe

TEXTS = ["the rain", "It rained all day, and the cat sat.", "x" * 20]
NAMES = ("wet", "dry", "odd")


def exported(folder: Path, count: int, problem_type: str) -> Path:
    """Write a Hugging Face folder of random weights."""
    network = make_network(
        BORT.replace(vocabulary_size=len(VOCABULARY)),
        head="release",
        num_classes=count,
        labels=NAMES[:count],
        problem_type=problem_type,
    )
    folder.mkdir()
    write_huggingface(folder, network, VOCABULARY)
    (folder / "bort.json").unlink()
    return folder


@pytest.mark.parity("torch", "transformers", "onnx", "onnxruntime")
@pytest.mark.parametrize(
    ("count", "problem_type", "function"),
    [
        (3, SINGLE_LABEL, "softmax"),
        (3, MULTI_LABEL, "sigmoid"),
        (1, MULTI_LABEL, "sigmoid"),
        (3, REGRESSION, "none"),
        (1, REGRESSION, "none"),
    ],
)
def test_the_answers_are_those_of_a_pipeline(
    count: int, problem_type: str, function: str, tmp_path: Path
) -> None:
    import transformers

    folder = exported(tmp_path / "model", count, problem_type)
    pipeline = transformers.pipeline("text-classification", model=str(folder))
    answers = Predictor.from_pretrained(folder, engine="onnxruntime", threads=1)(TEXTS)
    for answer, text in zip(answers, TEXTS):
        # The pipeline chooses its function from the folder, and agrees when it is told which.
        by_default = pipeline(text, top_k=None)
        theirs = {one["label"]: one["score"] for one in by_default}
        told = pipeline(text, top_k=None, function_to_apply=function)
        assert theirs == {one["label"]: one["score"] for one in told}
        if isinstance(answer, Regression):
            ours = {NAMES[0]: answer.value}
        elif isinstance(answer, MultiOutputRegression):
            ours = dict(zip(answer.labels, answer.values))
        else:
            ours = dict(answer.probabilities)
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
        if isinstance(answer, MultiLabelClassification):
            assert set(answer.labels) == {name for name, score in theirs.items() if score > 0.5}
        if isinstance(answer, Classification):
            assert answer.label == max(theirs, key=theirs.__getitem__)


@pytest.mark.parity("torch", "transformers")
def test_transformers_refuses_a_single_label_of_one_output_too(tmp_path):
    import transformers

    folder = exported(tmp_path / "model", 1, "")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "problem_type": SINGLE_LABEL}))
    with pytest.raises(InputError, match=r"config\.json: problem_type is "):
        Predictor.from_pretrained(folder)
    with pytest.raises(Exception, match="problem_type"):
        transformers.AutoConfig.from_pretrained(str(folder))


@pytest.mark.parametrize(
    ("count", "labels", "problem_type", "expected"),
    [
        (1, (), "", ()),
        (1, ("score",), REGRESSION, ()),
        (2, (), REGRESSION, ()),
        (2, ("a", "b"), REGRESSION, ("a", "b")),
        (2, (), SINGLE_LABEL, ("LABEL_0", "LABEL_1")),
        (1, (), MULTI_LABEL, ("LABEL_0",)),
        (1, ("toxic",), MULTI_LABEL, ("toxic",)),
    ],
)
def test_the_names_of_the_outputs(count, labels, problem_type, expected):
    head = HeadDescription("linear", count, labels, problem_type=problem_type)
    assert labels_of(ModelDescription(BORT, head), "x") == expected


@pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, REGRESSION])
def test_two_outputs_of_one_name_are_refused(problem_type):
    described = describe(head="linear", num_classes=2, labels=("a", "a"), problem_type=problem_type)
    with pytest.raises(InputError, match="has 2 outputs and 1 different labels"):
        Predictor(FakeEngine(described), VOCABULARY)


@pytest.mark.parametrize(
    ("name", "labels", "problem_type"),
    [("SST-2", ("0", "1"), MULTI_LABEL), ("STS-B", (), MULTI_LABEL), ("CoLA", (), REGRESSION)],
)
def test_a_task_answered_by_another_kind_of_model_is_refused(name, labels, problem_type):
    count = len(labels) or (1 if name == "STS-B" else 2)
    described = describe(
        head="linear",
        num_classes=count,
        labels=labels,
        problem_type=problem_type,
        task=TaskDescription(name, {}),
    )
    with pytest.raises(InputError, match=f"^m: problem_type is '{problem_type}' with"):
        Predictor(FakeEngine(described), VOCABULARY, source="m")


def test_the_numbers_keep_their_order_in_a_stream():
    described = describe(head="linear", num_classes=2, problem_type=REGRESSION)
    predictor = Predictor(FakeEngine(described), VOCABULARY, batch_tokens=9)
    together = [answer.values for answer in predictor(TEXTS)]
    np.testing.assert_allclose(together, [predictor(text).values for text in TEXTS], rtol=1e-6)
