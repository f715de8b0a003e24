"""A pre-norm model on its whole way: pre-training, distillation, a task, exports, an import."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from bort.network.model_folder import read_description
from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

TEXTS = "The cat sleeps.\nA dog walks to the market today.\n"


def printed(name: str, *flags: Any) -> Dict[str, Any]:
    command = [sys.executable, ROOT / "scripts" / f"{name}.py", *flags]
    return json.loads(run(command).stdout)


def pretrained(sample: Path, folder: Path, architecture: str, *flags: Any) -> Path:
    settings = ("--batch_size", "4", "--lr", "2e-3", "--cpu_only", "--num_steps", "4")
    paths = ("--data", sample / "shards", "--ckpt_dir", folder)
    printed(
        "run_pretraining_distillation", *paths, *settings, "--architecture", architecture, *flags
    )
    return folder / "model"


def answers(model: Path, texts: Path, engine: str) -> np.ndarray:
    command = [sys.executable, ROOT / "scripts" / "predict.py", "--model", model]
    done = run([*command, "--engine", engine, "--input", texts])
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 2
    return np.array([list(row["probabilities"].values()) for row in rows])


@pytest.mark.parity("onnx", "onnxruntime", "openvino", "torch", "transformers")
def test_a_pre_norm_model_goes_the_whole_way(sample: Path, tmp_path: Path) -> None:
    """From a post-norm teacher to a pre-norm student and back."""
    teacher = ("--teacher_model", sample / "teacher")
    student = pretrained(sample, tmp_path / "run", "2-2-32-64-16-pre", *teacher)
    sizes = read_description(student).architecture
    assert (sizes.norm, sizes.qkv) == ("pre", 16)
    resumed = ("--resume", "--num_steps", "6")
    pretrained(sample, tmp_path / "run", "2-2-32-64-16-pre", *teacher, *resumed)
    smaller = pretrained(sample, tmp_path / "smaller", "1-2-16-32", "--teacher_model", student)
    assert read_description(smaller).architecture.norm == "post"

    task = ("--task_name", "CoLA", "--sample", "--epochs", "1", "--max_len", "32")
    start = ("--pretrained_parameters", student)
    printed("finetune", *task, *start, "--output_dir", tmp_path / "tuned")
    tuned = tmp_path / "tuned" / "model"
    assert read_description(tuned).architecture == sizes

    texts = tmp_path / "texts.txt"
    texts.write_text(TEXTS, encoding="utf-8")
    expected = answers(tuned, texts, "mxnet")
    for to, engine in (("onnx", "onnxruntime"), ("openvino", "openvino"), ("huggingface", "mxnet")):
        done = printed("export_model", "--model", tuned, "--to", to, "--output_dir", tmp_path / to)
        assert any(name.startswith("largest difference,") for name in done["checks"])
        np.testing.assert_allclose(answers(tmp_path / to, texts, engine), expected, atol=1e-5)
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["MegatronBertForSequenceClassification"]
    back = tmp_path / "back"
    found = printed("import_model", "--source", tmp_path / "huggingface", "--output_dir", back)
    assert found["architecture"] == sizes.as_dict()
    np.testing.assert_allclose(answers(back, texts, "mxnet"), expected, atol=1e-5)


@pytest.mark.parity("torch", "transformers")
def test_sub_networks_of_a_pre_norm_network(sample: Path, tmp_path: Path) -> None:
    teacher = pretrained(sample, tmp_path / "run", "2-2-32-64-pre", "--teacher_model", "none")
    space = ("--depths", "1", "2", "--hiddens", "16", "32", "--intermediates", "64", "--heads", "2")
    whole = tmp_path / "whole"
    start = ("--start", teacher, "--teacher_model", teacher, "--relation_weight", "0.5")
    steps = ("--data", sample / "shards", "--num_steps", "2", "--batch_size", "4", "--cpu_only")
    printed("train_super_network", *start, *space, *steps, "--output_dir", whole)
    part = tmp_path / "part"
    printed(
        "extract_model",
        "--super_network",
        whole,
        "--architecture",
        "1-2-16-64",
        "--output_dir",
        part,
    )
    sizes = read_description(part).architecture
    assert (sizes.norm, sizes.depth, sizes.qkv) == ("pre", 1, 32)
    form = ("--to", "huggingface", "--output_dir", tmp_path / "hf")
    export = [sys.executable, ROOT / "scripts" / "export_model.py", "--model", part, *form]
    refused = run(export, status=2)
    assert "qkv is 32, the Hugging Face format allows at most hidden 16" in refused.stderr
    student = ("--initialise_from", "teacher", "--teacher_model", teacher)
    narrow = pretrained(sample, tmp_path / "narrow", "1-2-32-64-16-pre", *student)
    checks = printed("export_model", "--model", narrow, *form, "--encoder_only")["checks"]
    assert checks["largest difference, Transformers"] < 1e-5
