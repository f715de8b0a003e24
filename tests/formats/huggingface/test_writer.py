"""Exports to Hugging Face: bit-exact round trips, damage is noticed, the card says what matters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
import safetensors.numpy

from bort.errors import BortError, InputError, WorkError
from bort.export.checks import check_huggingface
from bort.export.samples import sample_of
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.writer import write_huggingface
from bort.network.description import TaskDescription
from bort.network.parameter_names import (
    DECODER,
    EMBEDDING_NORM,
    EMBEDDING_ROWS,
    FINAL_NORM,
    HEAD,
    LAYER,
    POOLER,
    PRE_NORM_LAYER,
    ParameterRow,
)
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import FOUR_WAY, PER_OPTION, TaskOptions
from bort.tasks.records import TaskRecord
from tests.formats.huggingface.folders import (
    assert_identical,
    edit_config,
)
from tests.formats.parity import BORT, SHAPES, make_network
from tests.patience import HANG_SECONDS
from tests.tasks.task_samples import CLASSIFIED
from tests.text.tiny_vocabulary import tiny_vocabulary

PARTS: Dict[str, Dict[str, Any]] = {
    "encoder": {},
    "encoder with pooler": {"pooler": True},
    "masked tokens": {"decoder": True},
    "masked tokens, own epsilon": {"decoder": True, "decoder_layer_norm_eps": 1e-12},
    "release": {"head": "release", "num_classes": 3, "labels": ["a", "b", "c"]},
    "linear": {"head": "linear", "num_classes": 2, "head_dropout": 0.2},
    "two linear": {"head": "two_linear", "num_classes": 2, "task": TaskDescription("CoLA")},
    "regression": {"head": "linear", "num_classes": 1, "metrics": {"pearson": 0.5}},
    "multi-label": {
        "head": "linear",
        "num_classes": 3,
        "labels": ["a", "b", "c"],
        "problem_type": "multi_label_classification",
    },
    "several numbers": {"head": "release", "num_classes": 2, "problem_type": "regression"},
    "one label": {"head": "linear", "num_classes": 1, "problem_type": "multi_label_classification"},
    "spans": {"head": "span", "num_classes": 2},
    "spans with dropout": {"head": "span", "num_classes": 2, "head_dropout": 0.0, "decoder": True},
    "classifier with decoder": {"head": "release", "num_classes": 2, "decoder": True},
    "untied decoder": {"decoder": True, "tied_decoder": False, "decoder_layer_norm_eps": 1e-12},
    "tanh": {"decoder": True, "activation": "gelu_new"},
    "relu": {"activation": "relu"},
}


@pytest.mark.parametrize("exact_decoder", [False, True])
@pytest.mark.parametrize("part", sorted(PARTS))
# A narrow attention comes back to one unit in the last place, see test_narrow_attention.py.
@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"narrow attention"}))
def test_there_and_back_is_the_identity(
    shape: str, part: str, exact_decoder: bool, tmp_path: Path
) -> None:
    network = make_network(SHAPES[shape], **PARTS[part])
    write_huggingface(tmp_path, network, None, exact_decoder=exact_decoder)
    imported = read_huggingface(tmp_path)
    assert imported.from_here
    assert imported.left_out == ()
    assert_identical(network, imported.network)


def test_a_vocabulary_goes_along(tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary()
    architecture = BORT.replace(vocabulary_size=len(vocabulary))
    network = make_network(architecture, vocabulary_fingerprint=vocabulary.fingerprint)
    write_huggingface(tmp_path, network, vocabulary)
    assert_identical(network, read_huggingface(tmp_path).network)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["pad_token_id"] == vocabulary.pad_id
    assert config["bort"]["vocabulary"] == vocabulary.fingerprint


def test_without_the_record_the_marks_are_enough(tmp_path: Path) -> None:
    network = make_network(head="two_linear", num_classes=2, labels=["no", "yes"])
    write_huggingface(tmp_path, network, None)
    (tmp_path / "bort.json").unlink()
    imported = read_huggingface(tmp_path)
    assert not imported.from_here
    assert imported.network.description.labels == ("no", "yes")
    assert_identical(network, imported.network)


@pytest.mark.parametrize("layers", [[*EMBEDDING_NORM, *LAYER], [*PRE_NORM_LAYER, *FINAL_NORM]])
def test_the_tables_name_every_parameter_once(layers: List[ParameterRow]) -> None:
    rows = [*EMBEDDING_ROWS, *layers, *POOLER, *DECODER, *HEAD]
    for column in ("gluon", "bert", "roberta"):
        names = [getattr(row, column) for row in rows]
        names = [n for n in names if n != "bert.pooler.dense.weight"]
        assert len(set(names)) == len(names)


def test_the_check_finds_a_wrong_export(tmp_path: Path) -> None:
    network = make_network(decoder=True)
    write_huggingface(tmp_path, network, None)
    sample = sample_of(network, None)
    original = HuggingFaceReference(tmp_path)(sample.input_ids, sample.lengths, "masked_lm")
    original = original.astype(np.float32)
    check_huggingface(tmp_path, network, sample, original, None)
    array = network.arrays["encoder.transformer_cells.3.ffn.ffn_1.weight"].copy()
    array[0] += 0.01
    arrays = {**network.arrays, "encoder.transformer_cells.3.ffn.ffn_1.weight": array}
    write_huggingface(tmp_path, network.replace(arrays=arrays), None)
    with pytest.raises(WorkError, match="differs from the original"):
        check_huggingface(tmp_path, network, sample, original, None)


def test_any_flipped_bit_of_an_export_is_noticed(
    tmp_path: Path, random_generator: np.random.Generator
) -> None:
    write_huggingface(tmp_path, make_network(head="linear", num_classes=2), None)
    for name in ("model.safetensors", "config.json"):
        path = tmp_path / name
        content = path.read_bytes()
        for place in random_generator.integers(0, len(content), 5):
            damaged = bytearray(content)
            damaged[place] ^= 1 << int(random_generator.integers(8))
            path.write_bytes(damaged)
            with pytest.raises(BortError):
                read_huggingface(tmp_path)
        path.write_bytes(content)
    read_huggingface(tmp_path)


def test_the_check_finds_another_problem_type(tmp_path: Path) -> None:
    network = make_network(head="linear", num_classes=2, problem_type="multi_label_classification")
    write_huggingface(tmp_path, network, None)
    sample = sample_of(network, None)
    original = HuggingFaceReference(tmp_path)(sample.input_ids, sample.lengths, "classifier")
    check_huggingface(tmp_path, network, sample, original.astype(np.float32), None)
    edit_config(problem_type="single_label_classification")(tmp_path)
    with pytest.raises(WorkError, match="problem_type is 'single_label_classification'"):
        check_huggingface(tmp_path, network, sample, original.astype(np.float32), None)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"num_classes": 1}, "Outputs: one number (regression)."),
        (
            {"num_classes": 2, "labels": ["no", "yes"]},
            "Outputs: no, yes.",
        ),
        (
            {"num_classes": 2},
            "Outputs: 2; they are logits of a softmax: one label is right.",
        ),
        (
            {
                "num_classes": 2,
                "labels": ["no", "yes"],
                "problem_type": "multi_label_classification",
            },
            "Outputs: no, yes; they are logits of a sigmoid each: any number of labels is right.",
        ),
        (
            {"num_classes": 2, "problem_type": "regression"},
            "Outputs: 2; they are numbers (regression).",
        ),
    ],
)
def test_the_model_card_says_what_the_outputs_mean(
    fields: Any, sentence: str, tmp_path: Path
) -> None:
    write_huggingface(tmp_path, make_network(head="linear", **fields), None)
    assert sentence in (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()


def test_a_span_model_is_the_class_for_question_answering(tmp_path: Path) -> None:
    network = make_network(head="span", num_classes=2, task=TaskDescription("SQuAD1.1"))
    write_huggingface(tmp_path, network, None)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["BertForQuestionAnswering"]
    assert not {"id2label", "problem_type", "classifier_dropout"} & set(config)
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    for name in ("qa_outputs.weight", "qa_outputs.bias"):
        np.testing.assert_array_equal(tensors[name], network.arrays[name])
    assert not any("pooler" in name or "classifier" in name for name in tensors)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\npipeline_tag: question-answering\n" in card
    assert "# Bort fine-tuned on SQuAD1.1" in card
    assert "two logits of every token" in card
    assert 'AutoModelForQuestionAnswering.from_pretrained("folder")' in card
    assert 'tokenizer(["question"], ["context"]' in card


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary()
    with pytest.raises(InputError, match="has 211 tokens"):
        write_huggingface(tmp_path, make_network(), vocabulary)
    fitting = BORT.replace(vocabulary_size=len(vocabulary))
    with pytest.raises(InputError, match="is not the one that the model was trained with"):
        write_huggingface(tmp_path, make_network(fitting, vocabulary_fingerprint="00"), vocabulary)
    with pytest.raises(InputError, match="its own pooler"):
        network = make_network(head="release", num_classes=2, pooler=True)
        write_huggingface(tmp_path, network, None)
    with pytest.raises(InputError, match="the span model's encoder has a pooler"):
        write_huggingface(tmp_path, make_network(head="span", num_classes=2, pooler=True), None)
    with pytest.raises(InputError, match="2 outputs have 3 labels"):
        make_network(head="linear", num_classes=2, labels=["a", "b", "c"])
    assert list(tmp_path.iterdir()) == []


def test_the_model_card_says_what_matters(tmp_path: Path) -> None:
    known = {"task": TaskDescription("RTE"), "metrics": {"accuracy": 0.625}, "notes": {"epoch": 3}}
    write_huggingface(
        tmp_path,
        make_network(head="linear", num_classes=2, labels=["no", "yes"], **known),
        None,
        check=lambda folder: {"largest difference": 1e-7},
    )
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\npipeline_tag: text-classification\n")
    for part in ("fine-tuned on RTE", "0.6250", "2^-14", "Before training", "1e-07", '"epoch": 3'):
        assert part in card


def test_the_model_card_names_the_layout(tmp_path: Path) -> None:
    for norm, tag, name in (("post", "bert", "plain BERT."), ("pre", "megatron-bert", "Megatron")):
        folder = tmp_path / norm
        folder.mkdir()
        write_huggingface(folder, make_network(BORT.replace(norm=norm)), None)
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert f"\n- {tag}\n---" in card
        assert f"written as {name}" in card


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary()
    write_huggingface(
        tmp_path, make_network(BORT.replace(vocabulary_size=len(vocabulary))), vocabulary
    )
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"merges\.txt: is missing"):
        read_huggingface(tmp_path)


@pytest.mark.parametrize("race_form", [PER_OPTION, FOUR_WAY])
@pytest.mark.parametrize("record", CLASSIFIED, ids=lambda record: record.name)
def test_every_tasks_labels_stand_in_the_config(
    record: TaskRecord, race_form: str, tmp_path: Path
) -> None:
    """Labels are in the order of the outputs, and are restored without the record too."""
    options = TaskOptions(race_form=race_form)
    labels = input_labels(record, options)
    outputs = output_count(record, options)
    network = make_network(
        BORT.replace(depth=1),
        head="release",
        num_classes=outputs,
        labels=labels,
        task=TaskDescription(record.name),
    )
    write_huggingface(tmp_path, network, None)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    if labels:
        assert config["id2label"] == {str(n): label for n, label in enumerate(labels)}
        assert config["label2id"] == {label: n for n, label in enumerate(labels)}
        assert config["problem_type"] == "single_label_classification"
    else:
        assert config["id2label"] == {"0": "LABEL_0"}
        assert config["problem_type"] == "regression"
    (tmp_path / "bort.json").unlink()
    assert read_huggingface(tmp_path).network.description.labels == labels


KILLED = """
import os, signal, sys
from pathlib import Path
from bort.formats.huggingface.writer import write_huggingface
from bort.storage.files import new_folder
from tests.formats.parity import BORT, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

left, rename = int(sys.argv[1]), os.replace

def dying(source, target):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    rename(source, target)

vocabulary = tiny_vocabulary()
network = make_network(BORT.replace(depth=1, vocabulary_size=len(vocabulary)))
os.replace = dying
with new_folder(sys.argv[2]) as folder:
    write_huggingface(folder, network, vocabulary)
"""


@pytest.mark.parametrize("files", [0, 1, 5, 10])
def test_a_killed_export_leaves_nothing_under_its_name(
    files: int, tmp_path: Path, project_root: Path
) -> None:
    """A SIGKILL before a file gets its name leaves no folder; a second export is complete."""

    def export(left: int) -> int:
        command = [sys.executable, "-c", KILLED, str(left), str(tmp_path / "hf")]
        environment = {**os.environ, "PYTHONPATH": str(project_root)}
        return subprocess.run(
            command, env=environment, timeout=HANG_SECONDS, check=False
        ).returncode

    assert export(files) == -signal.SIGKILL
    (half,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert half.name.startswith(".unfinished-hf-")
    assert len([path for path in half.iterdir() if not path.name.startswith(".")]) == files
    if files == 10:
        assert (half / "bort.json").is_file()  # all are there; only the folder has no name yet
        assert export(99) == 0
        read_huggingface(tmp_path / "hf")
