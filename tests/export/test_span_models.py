"""Span models through every export and import: the same logits, and the same bits back."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest

from bort.engines.choosing import installed_engines, open_engine
from bort.engines.sources import read_source
from bort.export.exporting import (
    ExportSource,
    export_huggingface,
    export_onnx,
    export_openvino,
)
from bort.export.importing import import_huggingface
from bort.export.samples import sample_of
from bort.formats.network_folder import read_network_folder
from bort.network.description import QUESTION_ANSWERING
from bort.network.head import PADDED_LOGIT, span_head
from bort.network.model_folder import write_model_folder
from bort.text.vocabularies import load_vocabulary
from tests.formats.huggingface.folders import assert_identical
from tests.formats.huggingface.transformers_folders import PAIRS, bert_folder
from tests.formats.parity import SHAPES, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

Export = Callable[..., Dict[str, Any]]
EXPORTS = [
    pytest.param(export_huggingface, {}, id="huggingface"),
    pytest.param(export_onnx, {}, id="onnx", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param(export_openvino, {}, id="openvino", marks=pytest.mark.parity("onnx", "openvino")),
    pytest.param(
        export_onnx,
        {"precision": "int8"},
        id="onnx in int8",
        marks=pytest.mark.parity("onnx", "onnxruntime"),
    ),
    pytest.param(
        export_openvino,
        {"precision": "int8"},
        id="openvino in int8",
        marks=pytest.mark.parity("onnx", "openvino"),
    ),
]


@pytest.fixture(params=["bert", "pre-norm", "narrow attention"])
def folder(request: Any, tmp_path: Path) -> Path:
    """Return the model folder of a span model with its vocabulary."""
    vocabulary = tiny_vocabulary()
    sizes = SHAPES[request.param].replace(vocabulary_size=len(vocabulary))
    known = {"vocabulary_fingerprint": vocabulary.fingerprint, "input_length": 24}
    network = make_network(sizes, head="span", num_classes=2, head_dropout=0.0, **known)
    write_model_folder(tmp_path / "model", network.description, network.arrays)
    vocabulary.save(tmp_path / "model" / "vocabulary")
    return tmp_path / "model"


@pytest.mark.parametrize(("export", "settings"), EXPORTS)
def test_an_export_answers_as_the_model(
    export: Export, settings: Dict[str, str], folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    checks = export(ExportSource(folder), output, **settings)
    assert any(name.startswith("largest difference") for name in checks)
    assert 0.1 < checks["largest output"] < 100  # not the logits of padding
    network = read_network_folder(folder)
    sample = sample_of(network, load_vocabulary(folder / "vocabulary"))
    given = sample.input_ids, sample.lengths, sample.token_types
    expected = open_engine(folder, "mxnet").answer(*given)
    assert read_source(output).description.purpose == QUESTION_ANSWERING
    tokens = expected[..., 0] != PADDED_LOGIT
    for engine in installed_engines():
        if engine == "mxnet" and export is not export_huggingface:
            continue
        if engine == "onnxruntime" and export is export_openvino:
            continue
        found = open_engine(output, engine).answer(*given)
        assert (found.dtype, found.shape) == (np.float32, expected.shape)
        assert (found[~tokens] == PADDED_LOGIT).all()
        error = np.abs(found - expected)[tokens].max()
        assert error < (0.5 if settings else 2e-5), (engine, error)


def test_an_export_comes_back(folder: Path, tmp_path: Path) -> None:
    export_huggingface(ExportSource(folder), tmp_path / "out")
    result = import_huggingface(tmp_path / "out", tmp_path / "again")
    assert (result["head"], result["labels"], result["left_out"]) == ("span", [], [])
    network, again = map(read_network_folder, (folder, tmp_path / "again"))
    if network.architecture.qkv == network.architecture.hidden:
        assert_identical(network, again)
    else:  # the scale of a widened query rounds
        assert again.description == network.description
    for name in ("qa_outputs.weight", "qa_outputs.bias"):
        np.testing.assert_array_equal(again.arrays[name], network.arrays[name])


@pytest.mark.parity("torch", "transformers")
@pytest.mark.parametrize("kind", ["BertForQuestionAnswering"])
def test_a_folder_from_elsewhere_is_imported(kind: str, tmp_path: Path) -> None:
    import torch
    import transformers

    source = bert_folder(tmp_path / "theirs", kind, id2label={0: "LABEL_0", 1: "LABEL_1"})
    result = import_huggingface(source, tmp_path / "ours")
    assert (result["head"], result["problem_type"], result["left_out"]) == ("span", "span", [])
    assert result["largest_difference"] < 1e-5
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(source))
    rows = tokenizer.pad([dict(tokenizer(*pair)) for pair in PAIRS], return_tensors="pt")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(str(source)).eval()
    with torch.no_grad():
        theirs = model(**rows)
    starts, ends = theirs.start_logits.numpy(), theirs.end_logits.numpy()
    mask = rows["attention_mask"].numpy().astype(bool)
    assert not mask.all()
    assert rows["token_type_ids"].numpy().any()
    for place in (source, tmp_path / "ours"):
        for engine in installed_engines():
            opened = open_engine(place, engine)
            assert opened.description.head == span_head()
            ids, types = rows["input_ids"].numpy(), rows["token_type_ids"].numpy()
            found = opened.answer(ids, mask.sum(axis=1), types)
            np.testing.assert_allclose(found[mask][:, 0], starts[mask], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(found[mask][:, 1], ends[mask], rtol=1e-5, atol=1e-5)
