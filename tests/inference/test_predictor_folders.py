"""Every kind of folder gives the same answers on every engine; errors name the damaged file."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bort import Predictor
from bort.errors import InputError
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.onnx_file import write_onnx
from bort.formats.openvino_file import write_openvino
from tests.formats.parity import BORT, make_network, write_network
from tests.text.tiny_vocabulary import tiny_vocabulary

pytestmark = pytest.mark.parity("onnx", "onnxruntime", "openvino")

VOCABULARY = tiny_vocabulary()
PARTS = {
    "classifier": {"head": "linear", "num_classes": 2},
    "regression": {"head": "two_linear", "num_classes": 1},
    "several labels": {
        "head": "linear",
        "num_classes": 2,
        "problem_type": "multi_label_classification",
    },
    "several numbers": {"head": "linear", "num_classes": 2, "problem_type": "regression"},
    "masked": {"decoder": True},
    "encoder": {},
}
READERS = {
    "bort": ("openvino", "onnxruntime", "mxnet"),
    "huggingface": ("openvino", "onnxruntime", "mxnet"),
    "onnx": ("openvino", "onnxruntime"),
    "openvino": ("openvino",),
}
TEXTS = ["the <mask> rain", "<mask>", "It rained. " * 30 + "<mask>"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("folders")
    architecture = BORT.replace(vocabulary_size=len(VOCABULARY))
    for part, fields in PARTS.items():
        labels = ["wet", "dry"] if fields.get("num_classes") == 2 else []
        network = make_network(
            architecture, labels=labels, vocabulary_fingerprint=VOCABULARY.fingerprint, **fields
        )
        write_network(root / part / "bort", network)
        VOCABULARY.save(root / part / "bort" / "vocabulary")
        for name, write in (
            ("huggingface", write_huggingface),
            ("onnx", write_onnx),
            ("openvino", write_openvino),
        ):
            (root / part / name).mkdir()
            write(root / part / name, network, VOCABULARY)
    return root


def numbers_of(predictor: Predictor) -> np.ndarray:
    if predictor.purpose == "embeddings":
        return predictor.embed(TEXTS)
    if predictor.purpose == "masked":
        every = predictor.fill_masks(TEXTS, top_k=len(VOCABULARY))
        return np.array(
            [[g.probability for g in sorted(f.masks[0], key=lambda g: g.token_id)] for f in every]
        )
    answers = predictor(TEXTS)
    if hasattr(answers[0], "output"):
        return np.array([answer.output for answer in answers])
    if hasattr(answers[0], "values"):
        assert all(answer.labels == ("wet", "dry") for answer in answers)
        return np.array([answer.values for answer in answers])
    assert all(list(answer.probabilities) == ["wet", "dry"] for answer in answers)
    return np.array([list(answer.probabilities.values()) for answer in answers])


@pytest.mark.parametrize("part", sorted(PARTS))
def test_folders_and_engines_answer_alike(folders, part):
    expected = None
    for kind, engines in READERS.items():
        for engine in ("auto", *engines):
            predictor = Predictor.from_pretrained(folders / part / kind, engine=engine, threads=1)
            if engine != "auto":
                assert (predictor.engine, predictor.precision) == (engine, "fp32")
            found = numbers_of(predictor)
            assert predictor.truncated == 1
            expected = found if expected is None else expected
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(READERS))
def test_damage_is_named(folders, tmp_path, kind):
    good, bad = folders / "classifier" / kind, tmp_path / "bad"
    (weights,) = (
        good / name
        for name in ("model.safetensors", "model.onnx", "openvino.bin")
        if (good / name).exists()
    )

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message):
            Predictor.from_pretrained(bad, threads=1)
        shutil.rmtree(bad)
        shutil.copytree(good, bad)

    shutil.copytree(good, bad)
    content = weights.read_bytes()
    (bad / weights.name).write_bytes(content[:-3])
    refused(weights.name)
    (bad / weights.name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(weights.name)
    (bad / weights.name).rename(bad / "pytorch_model.bin")
    refused("is missing|no such file|cannot be read")
    words = bad if kind == "huggingface" else bad / "vocabulary"
    (words / "merges.txt").write_text("#version: 0.2\n")
    refused(r"merges\.txt: is damaged")
    if kind != "huggingface":
        shutil.rmtree(words)
        refused("vocabulary: no such folder")


def test_a_hugging_face_folder_without_tokenizer_or_with_a_pickle_is_refused(folders, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(folders / "classifier" / "huggingface", bad)
    (bad / "bort.json").unlink()
    for name in ("vocab.json", "merges.txt", "vocabulary.json", "tokenizer.json"):
        (bad / name).unlink()
    with pytest.raises(InputError, match="bad: holds no vocabulary"):
        Predictor.from_pretrained(bad, threads=1)
    (bad / "model.safetensors").rename(bad / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin: is not read"):
        Predictor.from_pretrained(bad, threads=1)
