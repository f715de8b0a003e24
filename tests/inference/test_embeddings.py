"""Embeddings of sentence-transformers folders: as Transformers' hidden states say by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from bort import Predictor
from bort.errors import InputError
from bort.export.exporting import (
    ExportSource,
    export_huggingface,
    export_onnx,
    export_openvino,
)
from bort.export.importing import import_huggingface
from bort.inference.config import PredictConfig
from bort.inference.streaming import predict_file
from bort.network.embedding import EmbeddingDescription
from tests.formats.huggingface.sentence_folders import NEW_TYPES, OLD_TYPES, flags, sentence_folder
from tests.inference.fake_engine import VOCABULARY, FakeEngine, describe, encoder_predictor

TEXTS = ["the rain", "It rained all day. " * 9, "", "It"]

FOLDERS: Any = {
    "mean, normalised": {"length": {"max_seq_length": 16}},
    "first token": {
        "pooling": flags("cls_token"),
        "types": OLD_TYPES[:2],
        "transformer": "0_Transformer",
    },
    "maximum": {"pooling": {"pooling_mode": "max"}, "types": NEW_TYPES},
    "sum over root": {"pooling": flags("mean_sqrt_len_tokens"), "types": OLD_TYPES[:2]},
    "weighted": {"pooling": flags("weightedmean_tokens"), "length": {"max_seq_length": 9}},
    "last token": {"pooling": flags("lasttoken"), "length": {"max_seq_length": 7}},
    "prompt": {
        "types": OLD_TYPES[:2],
        "length": {"max_seq_length": 16},
        "general": {"prompts": {"query": "the "}, "default_prompt_name": "query"},
    },
    "with a decoder": {"decoder": True, "length": {"max_seq_length": 16}},
}


def by_hand(folder: Path, settings: Any) -> np.ndarray:
    """Compute embeddings from Transformers' last hidden states, one text at a time."""
    import torch
    import transformers

    inside = folder / settings.get("transformer", "")
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(inside))
    model = transformers.AutoModel.from_pretrained(str(inside)).eval()
    length = (settings.get("length") or {}).get("max_seq_length", 40)
    prompt = "the " if "general" in settings else ""
    rows: List[np.ndarray] = []
    for text in TEXTS:
        tokens = tokenizer(prompt + text, truncation=True, max_length=length, return_tensors="pt")
        with torch.no_grad():
            states = model(**tokens).last_hidden_state[0].double().numpy()
        fields = settings.get("pooling") or flags("mean_tokens")
        if fields.get("pooling_mode_cls_token"):
            row = states[0]
        elif fields.get("pooling_mode") == "max":
            row = states.max(axis=0)
        elif fields.get("pooling_mode_mean_sqrt_len_tokens"):
            row = states.sum(axis=0) / len(states) ** 0.5
        elif fields.get("pooling_mode_weightedmean_tokens"):
            row = sum((n + 1) * state for n, state in enumerate(states))
            row = row / sum(range(1, len(states) + 1))
        elif fields.get("pooling_mode_lasttoken"):
            row = states[-1]
        else:
            row = states.sum(axis=0) / len(states)
        if len(settings.get("types", OLD_TYPES)) == 3:
            row = row / (row**2).sum() ** 0.5
        rows.append(row)
    return np.stack(rows)


@pytest.mark.parity("torch", "transformers", "onnx", "onnxruntime")
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_a_folder_embeds_as_it_says(name: str, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "m", **FOLDERS[name])
    predictor = Predictor.from_pretrained(folder, engine="onnxruntime", threads=1)
    found = predictor.embed(TEXTS)
    expected = by_hand(folder, FOLDERS[name])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    as_before = predictor.embed(TEXTS, pooling="mean", normalise=False, prompt="")
    assert np.abs(as_before - expected).max() > 1e-3


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
@pytest.mark.parametrize("name", ["mean, normalised", "first token", "prompt"])
def test_the_settings_survive_import_and_every_export(name: str, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "m", **FOLDERS[name])
    expected = Predictor.from_pretrained(folder, engine="mxnet", threads=1).embed(TEXTS)
    summary = import_huggingface(folder, tmp_path / "model")
    assert summary["embedding"]["pooling"] in ("mean", "cls")
    source = ExportSource(tmp_path / "model")
    export_huggingface(source, tmp_path / "huggingface")
    (tmp_path / "huggingface" / "bort.json").unlink()
    export_onnx(source, tmp_path / "onnx")
    export_openvino(source, tmp_path / "openvino")
    for kind in ("model", "huggingface", "onnx", "openvino"):
        predictor = Predictor.from_pretrained(tmp_path / kind, threads=1)
        np.testing.assert_allclose(predictor.embed(TEXTS), expected, rtol=1e-5, atol=1e-5)


def with_settings(embedding: EmbeddingDescription, **fields: Any) -> Predictor:
    return Predictor(FakeEngine(describe(embedding=embedding)), VOCABULARY, **fields)


def test_arguments_override_the_model_own_settings() -> None:
    plain = encoder_predictor()
    own = with_settings(EmbeddingDescription("cls", True, 12, prompts={"q": "the "}))
    np.testing.assert_array_equal(
        own.embed(TEXTS, pooling="mean", normalise=False)[0], plain.embed(TEXTS)[0]
    )
    expected = encoder_predictor(max_length=12).embed(TEXTS, pooling="cls", normalise=True)
    np.testing.assert_array_equal(own.embed(TEXTS), expected)
    long = with_settings(EmbeddingDescription("cls", True, 12), max_length=20)
    expected = encoder_predictor(max_length=20).embed(TEXTS, pooling="cls", normalise=True)
    np.testing.assert_array_equal(long.embed(TEXTS), expected)
    assert (own.truncated, long.truncated) == (2, 1)


def test_a_prompt_is_put_before_every_text() -> None:
    prompts = {"q": "the ", "p": ""}
    own = with_settings(EmbeddingDescription(prompts=prompts, default_prompt_name="q"))
    plain = encoder_predictor()
    np.testing.assert_array_equal(own.embed(["rain"]), plain.embed(["the rain"]))
    np.testing.assert_array_equal(own.embed(["rain"], prompt=""), plain.embed(["rain"]))
    np.testing.assert_array_equal(plain.embed(["rain"], prompt="It "), plain.embed(["It rain"]))
    np.testing.assert_array_equal(own.embed([("a", "b")]), plain.embed([("the a", "b")]))


def test_texts_are_lower_cased_if_the_model_says_so() -> None:
    own = with_settings(EmbeddingDescription(lower_case=True))
    np.testing.assert_array_equal(own.embed(["The RAIN"]), encoder_predictor().embed(["the rain"]))


def test_a_pooling_without_its_prompt_is_refused() -> None:
    own = with_settings(
        EmbeddingDescription(prompts={"q": "the "}, default_prompt_name="q", pools_prompt=False)
    )
    with pytest.raises(
        InputError, match="the prompt is 'the ', but the pooling leaves out prompts"
    ):
        own.embed(["rain"])
    assert own.embed(["rain"], prompt="").shape == (1, 8)


def test_a_length_without_room_for_text_is_refused() -> None:
    with pytest.raises(InputError, match="max_length of embeddings is 4, allowed is at least 5"):
        with_settings(EmbeddingDescription(max_length=4)).embed(["a"])


def test_the_length_of_embeddings_is_theirs_alone() -> None:
    described = describe(head="linear", num_classes=2, embedding=EmbeddingDescription(max_length=6))
    predictor = Predictor(FakeEngine(described), VOCABULARY)
    predictor(["the rain " * 6])
    assert predictor.truncated == 0
    predictor.embed(["the rain " * 6])
    assert predictor.truncated == 1


@pytest.mark.parity("onnx", "onnxruntime")
def test_the_command_follows_the_folder(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "m", **FOLDERS["prompt"])
    (tmp_path / "texts").write_text("the rain\nIt\n")
    predictor = Predictor.from_pretrained(folder, engine="onnxruntime", threads=1)
    for flags_given, expected in (
        ({}, predictor.embed(["the rain", "It"])),
        ({"prompt": ""}, predictor.embed(["the rain", "It"], prompt="")),
        (
            {"pooling": "max", "normalise": True},
            predictor.embed(["the rain", "It"], pooling="max", normalise=True),
        ),
    ):
        output = tmp_path / "vectors.tsv"
        predict_file(
            PredictConfig(
                model=str(folder),
                input=str(tmp_path / "texts"),
                output=str(output),
                output_format="tsv",
                engine="onnxruntime",
                threads=1,
                **flags_given,
            )
        )
        np.testing.assert_allclose(np.loadtxt(output), expected, rtol=1e-6, atol=1e-7)
