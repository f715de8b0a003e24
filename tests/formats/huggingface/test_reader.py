"""Folders from elsewhere: read as what they are, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import pytest

from bort.errors import InputError
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import write_huggingface
from bort.network.head import span_head
from tests.formats.huggingface.folders import (
    assert_identical,
    edit_config,
    edit_tensors,
    roberta_folder,
)
from tests.formats.huggingface.transformers_folders import PIECES
from tests.formats.parity import BORT, make_batch, make_network


@pytest.mark.parametrize("prefix", [True, False])
def test_roberta_comes_in_without_its_unused_positions(prefix: bool, tmp_path: Path) -> None:
    network = make_network(decoder=True)
    roberta_folder(tmp_path, network, prefix=prefix)
    imported = read_huggingface(tmp_path)
    assert_identical(network, imported.network)
    ids, lengths, _ = make_batch()
    reference = HuggingFaceReference(tmp_path)
    assert reference(ids, lengths, "masked_lm").shape == (4, 17, 211)


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def pickle_instead(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def drop_layer(tensors: Dict[str, np.ndarray]) -> None:
    del tensors["roberta.encoder.layer.2.output.dense.bias"]


def not_finite(tensors: Dict[str, np.ndarray]) -> None:
    tensors["lm_head.bias"][3] = np.nan


BAD_FOLDERS = {
    "truncated": (truncate, "is not a safetensors file: it has"),
    "pickle": (pickle_instead, "opening a pickle can run code"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no such file"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "config.json: is missing"),
    "no json": (lambda folder: (folder / "config.json").write_text("{"), "not valid JSON"),
    "other type": (edit_config(model_type="gpt2"), "model_type is 'gpt2'"),
    "other activation": (edit_config(hidden_act="mish"), "hidden_act is 'mish', allowed are gelu,"),
    "decoder with a fixed gelu": (edit_config(hidden_act="relu"), "with RoBERTa's decoder"),
    "relative": (
        edit_config(position_embedding_type="relative_key"),
        "position_embedding_type is 'relative_key'",
    ),
    "missing size": (edit_config(hidden_size=...), "hidden_size is missing"),
    "odd size": (edit_config(hidden_size="big"), "hidden_size is 'big'"),
    "other size": (edit_config(intermediate_size=50), "has shape"),
    "other vocabulary": (edit_config(vocab_size=200), "has shape (211, 64), expected (200, 64)"),
    "deeper": (edit_config(num_hidden_layers=5), "'roberta.encoder.layer.4"),
    "no positions": (
        edit_config(max_position_embeddings=2),
        "max_position_embeddings is 2, allowed with pad_token_id 1 is at least 3",
    ),
    "epsilon": (edit_config(layer_norm_eps="small"), "layer_norm_eps is 'small'"),
    "dropout": (edit_config(classifier_dropout="x"), "classifier_dropout is 'x'"),
    "missing tensor": (edit_tensors(drop_layer), "layer.2.output.dense.bias' is missing"),
    "not finite": (edit_tensors(not_finite), "not finite"),
    "mark": (edit_config(bort=3), "bort is 3"),
}


@pytest.mark.parametrize("name", sorted(BAD_FOLDERS))
def test_a_bad_folder_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    spoil, message = BAD_FOLDERS[name]
    roberta_folder(tmp_path, make_network(decoder=True))
    spoil(tmp_path)
    with pytest.raises(InputError) as caught:
        read_huggingface(tmp_path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    roberta_folder(tmp_path, make_network(BORT.replace(depth=1), decoder=True))
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    for size in (0, 1, 8, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="safetensors"):
            read_huggingface(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a"}}, "id2label names 1 labels, the model has 3"),
        ({"id2label": {"0": "a", "5": "b", "2": "c"}}, "does not name the outputs"),
        ({"id2label": {"2": "a", "0": "b", "1": "a"}}, "id2label names 'a' twice"),
        (
            {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 2, "c": 1}},
            "label2id.b is 2, but id2label has it as 1",
        ),
        ({"num_labels": 4}, "num_labels is 4, the model has 3 outputs"),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "config.json: id2label names 'a' twice"),
        ({"problem_type": "ranking"}, "config.json: problem_type is 'ranking', allowed are single"),
        ({"problem_type": ["regression"]}, r"problem_type is \['regression'\], allowed are"),
        ({"bort": {"head": {"kind": "cubic"}}}, "not a mark of a head"),
        ({"bort": {"head": {"kind": "linear", "shift": 99}}}, "shift is 99"),
        ({"bort": {"residual_shift": "x"}}, "allowed is -62 to 62"),
    ],
)
def test_a_wrong_label_count_or_mark(changes: Any, message: str, tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="linear", num_classes=3), None)
    (tmp_path / "bort.json").unlink()
    edit_config(**changes)(tmp_path)
    with pytest.raises(InputError, match=message):
        read_huggingface(tmp_path)


BAD_TENSORS: Dict[str, Tuple[Any, str]] = {
    "shape": (np.zeros((3, 64), np.float32), "has shape (3, 64), expected (48, 64)"),
    "flat": (np.zeros(48 * 64, np.float32), "has shape (3072,), expected (48, 64)"),
    "scalar": (np.array(1, np.float32), "has shape (), expected (48, 64)"),
    "nan": (np.full((48, 64), np.nan, np.float32), "holds a number that is not finite"),
    "inf": (np.full((48, 64), 1e300), "holds a number that is not finite"),
    "integers": (np.zeros((48, 64), np.int8), "is I8, allowed are floats"),
}


@pytest.mark.parametrize("kind", sorted(BAD_TENSORS))
def test_a_bad_tensor_is_named_as_in_its_file(kind: str, tmp_path: Path) -> None:
    name = "roberta.encoder.layer.1.intermediate.dense.weight"
    array, message = BAD_TENSORS[kind]

    def change(tensors: Dict[str, np.ndarray]) -> None:
        tensors[name] = array

    roberta_folder(tmp_path, make_network(decoder=True))
    edit_tensors(change)(tmp_path)
    with pytest.raises(InputError) as caught:
        read_huggingface(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'model.safetensors'}: the tensor {name!r} {message}"


@pytest.mark.parametrize(
    "ending", ["ForMaskedLM", "ForSequenceClassification", "ForQuestionAnswering"]
)
def test_a_class_whose_head_is_missing_is_refused(ending: str, tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(), None)
    (tmp_path / "bort.json").unlink()
    edit_config(architectures=[f"Bert{ending}"])(tmp_path)
    with pytest.raises(
        InputError, match=r"the tensor '(cls|classifier|qa_outputs)\..*' is missing"
    ):
        read_huggingface(tmp_path)


def test_a_span_head_without_a_record_has_no_dropout_and_no_labels(tmp_path: Path) -> None:
    network = make_network(head="span", num_classes=2, head_dropout=0.3)
    write_huggingface(tmp_path, network, None)
    assert read_huggingface(tmp_path).network.description.head == span_head(0.3)
    (tmp_path / "bort.json").unlink()
    names = {"id2label": {"0": "start", "1": "end"}, "problem_type": "regression"}
    for fields in (names, {"architectures": ...}):
        edit_config(**fields)(tmp_path)
        imported = read_huggingface(tmp_path)
        assert imported.network.description.head == span_head()
        for name, array in network.arrays.items():
            np.testing.assert_array_equal(imported.network.arrays[name], array)


@pytest.mark.parametrize("shape", [(3, 48), (2, 47), (2,)])
def test_a_span_head_has_two_outputs(shape: Any, tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="span", num_classes=2), None)
    (tmp_path / "bort.json").unlink()
    name = "qa_outputs.weight"
    edit_tensors(lambda tensors: tensors.update({name: np.zeros(shape, np.float32)}))(tmp_path)
    with pytest.raises(InputError, match=r"'qa_outputs.weight' has shape .*, expected \(2, 64\)"):
        read_huggingface(tmp_path)


def test_a_span_models_pooler_is_left_out(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="span", num_classes=2), None)
    (tmp_path / "bort.json").unlink()
    added = {"bert.pooler.dense.weight": np.zeros((64, 64), np.float32)}
    edit_tensors(lambda tensors: tensors.update(added))(tmp_path)
    imported = read_huggingface(tmp_path)
    assert imported.left_out == ("bert.pooler.dense.weight",)
    assert imported.network.description.purpose == "question_answering"


def test_an_encoders_class_leaves_the_decoder_out(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(decoder=True), None)
    (tmp_path / "bort.json").unlink()
    edit_config(architectures=["BertModel"])(tmp_path)
    imported = read_huggingface(tmp_path)
    assert not imported.network.description.has_decoder
    assert {name.split(".")[0] for name in imported.left_out} == {"cls"}


def test_positions_that_count_from_another_token_are_refused(tmp_path: Path) -> None:
    roberta_folder(tmp_path, make_network(decoder=True))
    write_pieces(tmp_path, PIECES)  # [PAD] is 0, but the config says 1
    message = "config.json: pad_token_id is 1, allowed is 0, the id of the tokenizer's padding"
    with pytest.raises(InputError, match=message):
        read_huggingface(tmp_path)
    write_pieces(tmp_path, ["[UNK]", "[PAD]", *PIECES[2:]])
    assert read_huggingface(tmp_path).network.architecture == BORT


def write_pieces(folder: Path, pieces: Sequence[str]) -> None:
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
