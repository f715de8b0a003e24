"""A Hugging Face folder from elsewhere, given to every command that takes a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bort.formats.huggingface.writer import write_huggingface
from bort.text.vocabularies import load_vocabulary
from tests.formats.parity import BORT, make_network
from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

SPARE = 3


def script(name, *flags):
    return [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *flags]


@pytest.fixture
def make_folder(sample, tmp_path):
    """Write a folder with the sample's tokenizer, without this project's record and marks."""
    vocabulary = load_vocabulary(sample / "shards" / "vocabulary")

    def make(name: str, spare: int = 0, **parts) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        architecture = BORT.replace(
            depth=1, vocabulary_size=len(vocabulary) + spare, maximum_length=128
        )
        known = {"vocabulary_fingerprint": vocabulary.fingerprint}
        network = make_network(architecture, **known, **parts)
        write_huggingface(folder, network, vocabulary)
        (folder / "bort.json").unlink()
        config = json.loads((folder / "config.json").read_text())
        del config["bort"]
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return make


def printed(command):
    return json.loads(run(command).stdout)


def test_a_classifier_is_evaluated_exported_and_fine_tuned(make_folder, tmp_path):
    labels = ["not_entailment", "entailment"]
    folder = make_folder("rte", SPARE, head="release", num_classes=2, labels=labels)
    task = ["--task_name", "RTE", "--sample"]
    scores = printed(script("evaluate", "--model", folder, *task))
    assert scores["task"] == "RTE"
    for kind in ("onnx", "huggingface"):
        printed(
            script("export_model", "--model", folder, "--to", kind, "--output_dir", tmp_path / kind)
        )
    printed(script("import_model", "--source", folder, "--output_dir", tmp_path / "model"))
    quick = ["--max_len", "48", "--epochs", "1", "--gpu", "false"]
    tuned = printed(
        script("finetune", "--pretrained_parameters", folder, *task, *quick)
        + ["--output_dir", tmp_path / "run"]
    )
    assert tuned["task"] == "RTE"
    again = printed(script("evaluate", "--model", tmp_path / "run" / "model", "--sample"))
    assert again["task"] == "RTE"


def test_labels_of_another_task_are_refused_in_one_line(make_folder):
    folder = make_folder("other", head="release", num_classes=2, labels=["a", "b"])
    done = run(script("evaluate", "--model", folder, "--task_name", "RTE", "--sample"), status=2)
    assert "config.json: labels are ['a', 'b'], those of RTE are" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(script("evaluate", "--model", folder), status=2)
    assert "does not say what it was fine-tuned on" in done.stderr


@pytest.mark.parametrize("spare", [0, SPARE])
def test_a_masked_language_model_teaches_and_starts_a_student(make_folder, sample, tmp_path, spare):
    folder = make_folder("teacher", spare, decoder=True)
    data = ["--data", sample / "shards", "--num_steps", "2", "--batch_size", "2", "--cpu_only"]
    small = ["--architecture", "1-2-16-32"]
    teacher = ["--teacher_model", folder]
    pretrain = script("run_pretraining_distillation", *data, *small)
    printed([*pretrain, *teacher, "--ckpt_dir", tmp_path / "distilled"])
    start = ["--initial_model", folder, "--ckpt_dir", tmp_path / "continued"]
    printed([*pretrain, *teacher, *start])
    model = json.loads((tmp_path / "continued" / "model" / "model.json").read_text())
    rows = model["architecture"]["vocabulary_size"]
    assert rows == len(load_vocabulary(folder)) + spare
    cache = script("cache_teacher_answers", "--data", sample / "shards", *teacher, "--cpu_only")
    answers = printed([*cache, "--mask_epochs", "1", "--output_dir", tmp_path / "answers"])
    assert answers["complete"]


def test_a_folder_without_decoder_is_no_teacher(make_folder, sample, tmp_path):
    folder = make_folder("encoder")
    flags = ["--data", sample / "shards", "--teacher_model", folder, "--cpu_only"]
    done = run(
        script("run_pretraining_distillation", *flags, "--ckpt_dir", tmp_path / "run"), status=2
    )
    assert "config.json: has no masked-token decoder" in done.stderr


def test_its_tokenizer_is_a_vocabulary(make_folder, tmp_path):
    folder = make_folder("tokenizer")
    text = ROOT / "test_data" / "generated_english_sample.txt"
    made = printed(
        script("create_pretraining_data", "--input_file", text, "--vocab", folder)
        + ["--output_dir", tmp_path / "shards"]
    )
    assert made["vocabulary"]["fingerprint"] == load_vocabulary(folder).fingerprint
