"""Hugging Face folders: bit-exact round trips, and a one-line error for those that do not fit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from bort.downloads.huggingface_hub import fetch_from_hub
from bort.errors import BortError, InputError, WorkError
from bort.export.checks import check_huggingface
from bort.export.samples import sample_of
from bort.formats.huggingface.heads import with_tanh, without_tanh
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.residual import residual_shift, shift_residual
from bort.formats.huggingface.writer import write_huggingface
from bort.network.array_network import ArrayNetwork
from bort.network.description import TaskDescription
from bort.network.parameter_names import (
    DECODER,
    EMBEDDING_ROWS,
    HEAD,
    LAYER,
    POOLER,
    name_in,
    places,
)
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import FOUR_WAY, PER_OPTION, TaskOptions
from bort.tasks.records import TASKS, TaskRecord
from tests.formats.parity import BORT, SHAPES, make_batch, make_network
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
    "classifier with decoder": {"head": "release", "num_classes": 2, "decoder": True},
    "untied decoder": {"decoder": True, "tied_decoder": False, "decoder_layer_norm_eps": 1e-12},
    "tanh": {"decoder": True, "activation": "gelu_new"},
    "relu": {"activation": "relu"},
}


def assert_identical(ours: ArrayNetwork, theirs: ArrayNetwork) -> None:
    assert ours.replace(arrays=theirs.arrays) == theirs
    assert set(ours.arrays) == set(theirs.arrays)
    for name, array in ours.arrays.items():
        assert array.tobytes() == theirs.arrays[name].tobytes(), name


@pytest.mark.parametrize("exact_decoder", [False, True])
@pytest.mark.parametrize("part", sorted(PARTS))
@pytest.mark.parametrize("shape", sorted(SHAPES))
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


@pytest.mark.parametrize("kind", ["linear", "two_linear"])
def test_a_head_that_was_trained_further_keeps_its_tanh(kind: str, tmp_path: Path) -> None:
    network = make_network(head=kind, num_classes=2)
    write_huggingface(tmp_path, network, None)
    (tmp_path / "bort.json").unlink()
    path = tmp_path / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    tensors["classifier.weight"] = tensors["classifier.weight"] + 1
    safetensors.numpy.save_file(tensors, path)
    found = read_huggingface(tmp_path).network
    assert found.description.head is not None
    assert found.description.head.kind == "release"
    ids, lengths, _ = make_batch()
    np.testing.assert_array_equal(found.arrays["classifier.3.weight"], tensors["classifier.weight"])
    assert HuggingFaceReference(tmp_path)(ids, lengths, "classifier").shape == (4, 2)


def test_the_tanh_makes_no_difference(random_generator: np.random.Generator) -> None:
    """Logits as large as 80 keep an error below 3e-5 in float32."""
    hidden = 1024
    architecture = BORT.replace(depth=1, hidden=hidden, intermediate=8)
    network = make_network(architecture, head="linear", num_classes=2)
    weight = random_generator.uniform(-0.5, 0.5, (2, hidden)).astype(np.float32)
    network = network.replace(arrays={**network.arrays, "classifier.1.weight": weight})
    tensors, mark = with_tanh(network)
    x = random_generator.normal(0, 4, (200, hidden)).astype(np.float32)
    pooled = np.tanh(x @ tensors[HEAD[0].gluon].T + tensors[HEAD[1].gluon])
    found = pooled @ tensors[HEAD[2].gluon].T + tensors[HEAD[3].gluon]
    expected = x.astype(np.float64) @ weight.T + network.arrays["classifier.1.bias"]
    assert np.abs(expected).max() > 60
    assert np.abs(found - expected).max() < 1e-4
    kind, arrays = without_tanh(tensors, mark, "here")
    assert kind == "linear"
    np.testing.assert_array_equal(arrays["classifier.1.weight"], weight)


def test_weights_that_a_power_of_two_would_round_are_refused() -> None:
    network = make_network(head="linear", num_classes=2)
    arrays = {**network.arrays, "classifier.1.weight": np.full((2, 64), 3e38, np.float32)}
    with pytest.raises(InputError, match=r"classifier\.1\.weight"):
        with_tanh(network.replace(arrays=arrays))


@given(shift=st.integers(-30, 30))
def test_the_residual_shift_changes_no_bit(shift: int) -> None:
    network = make_network(BORT.replace(depth=1), decoder=True)
    assert_identical(network, shift_residual(shift_residual(network, shift), -shift))


def test_the_shift_brings_the_epsilons_together(tmp_path: Path) -> None:
    network = make_network(decoder=True, decoder_layer_norm_eps=1e-12)
    assert residual_shift(network) == 12
    ids, lengths, _ = make_batch()
    outputs = []
    for exact in (False, True):
        folder = tmp_path / str(exact)
        folder.mkdir()
        write_huggingface(folder, network, None, exact_decoder=exact)
        reference = HuggingFaceReference(folder)
        own = None if exact else network.description.decoder_layer_norm_eps
        outputs += [reference(ids, lengths, "masked_lm", own), reference(ids, lengths, "masked_lm")]
    plain_own, plain, shifted, _ = outputs
    assert np.abs(shifted - plain_own).max() < 1e-9
    assert 1e-6 < np.abs(plain - plain_own).max() < 1e-3


def test_the_tables_name_every_parameter_once() -> None:
    rows = [*EMBEDDING_ROWS, *LAYER, *POOLER, *DECODER, *HEAD]
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


# ---- folders from elsewhere --------------------------------------------------------------------


def roberta_folder(folder: Path, network: ArrayNetwork, *, prefix: bool = True) -> None:
    """Return the network as RoBERTa's own classes store it, with 2 unused positions first."""
    architecture = network.architecture
    tensors = {}
    arrays = dict(network.arrays)
    arrays["token_type_embed.0.weight"] = np.zeros((1, architecture.hidden), np.float32)
    positions = arrays["encoder.position_weight"]
    arrays["encoder.position_weight"] = np.concatenate([np.full_like(positions[:2], 9), positions])
    for place in places(architecture, decoder=network.description.has_decoder, token_types=True):
        name = name_in(place, "roberta")
        tensors[name if prefix else name.replace("roberta.", "")] = arrays[place.gluon]
    tensors["lm_head.decoder.weight"] = arrays["word_embed.0.weight"]
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "roberta",
        "architectures": ["RobertaForMaskedLM"],
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.hidden,
        "num_hidden_layers": architecture.depth,
        "num_attention_heads": architecture.heads,
        "intermediate_size": architecture.intermediate,
        "max_position_embeddings": architecture.maximum_length + 2,
        "type_vocab_size": 1,
        "layer_norm_eps": 1e-5,
        "pad_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("prefix", [True, False])
def test_roberta_comes_in_without_its_unused_positions(prefix: bool, tmp_path: Path) -> None:
    network = make_network(decoder=True)
    roberta_folder(tmp_path, network, prefix=prefix)
    imported = read_huggingface(tmp_path)
    assert_identical(network, imported.network)
    ids, lengths, _ = make_batch()
    reference = HuggingFaceReference(tmp_path)
    assert reference(ids, lengths, "masked_lm").shape == (4, 17, 211)


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        config.update(changes)
        path.write_text(
            json.dumps({k: v for k, v in config.items() if v is not ...}), encoding="utf-8"
        )

    return edit


def edit_tensors(change: Callable[[Dict[str, np.ndarray]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = safetensors.numpy.load_file(folder / "model.safetensors")
        change(tensors)
        safetensors.numpy.save_file(tensors, folder / "model.safetensors")

    return edit


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": {"0": "a"}}, "id2label names 1 labels, the model has 3"),
        ({"id2label": {"0": "a", "5": "b", "2": "c"}}, "does not name the outputs"),
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


@pytest.mark.parametrize(
    ("classes", "given", "expected"),
    [
        (1, None, "regression"),
        (1, "multi_label_classification", "multi_label_classification"),
        (3, None, "single_label_classification"),
        (3, "regression", "regression"),
        (3, "multi_label_classification", "multi_label_classification"),
    ],
)
def test_the_problem_type_is_read_and_written_again(
    classes: int, given: Any, expected: str, tmp_path: Path
) -> None:
    labels = [f"name {number}" for number in range(classes)]
    write_huggingface(
        tmp_path, make_network(head="release", num_classes=classes, labels=labels), None
    )
    (tmp_path / "bort.json").unlink()
    edit_config(problem_type=given)(tmp_path)
    network = read_huggingface(tmp_path).network
    head = network.description.head
    assert head is not None
    assert (head.problem_type, head.labels) == (expected, tuple(labels))
    again = tmp_path / "again"
    again.mkdir()
    write_huggingface(again, network, None)
    config = json.loads((again / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == expected
    assert list(config["id2label"].values()) == labels
    assert read_huggingface(again).network.description.head == head


def test_a_single_label_of_one_output_is_refused(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="linear", num_classes=1), None)
    (tmp_path / "bort.json").unlink()
    edit_config(problem_type="single_label_classification")(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: problem_type is .* there is 1 output"):
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


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    vocabulary = tiny_vocabulary()
    write_huggingface(
        tmp_path, make_network(BORT.replace(vocabulary_size=len(vocabulary))), vocabulary
    )
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(InputError, match=r"merges\.txt: is missing"):
        read_huggingface(tmp_path)


def test_without_its_package_a_download_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="pip install huggingface_hub"):
        fetch_from_hub("roberta-large")


@pytest.mark.parametrize("race_form", [PER_OPTION, FOUR_WAY])
@pytest.mark.parametrize("record", TASKS, ids=lambda record: record.name)
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
        return subprocess.run(command, env=environment, timeout=120, check=False).returncode

    assert export(files) == -signal.SIGKILL
    (half,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert half.name.startswith(".unfinished-hf-")
    assert len([path for path in half.iterdir() if not path.name.startswith(".")]) == files
    if files == 10:
        assert (half / "bort.json").is_file()  # all are there; only the folder has no name yet
        assert export(99) == 0
        read_huggingface(tmp_path / "hf")
