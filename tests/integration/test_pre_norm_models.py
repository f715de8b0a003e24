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
