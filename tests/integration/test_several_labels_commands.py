"""The real commands on a file of texts with several labels each: train, distil, search, serve."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bort import Predictor
from bort.inference.results import MultiLabelClassification
from bort.network.model_folder import read_description
from tests.integration.commands import ROOT, assert_refused, run

pytestmark = pytest.mark.integration

DATA = ROOT / "test_data" / "own_task" / "topics.jsonl"
COLUMNS = ["--text_columns", "message", "--label_column", "topics"]
QUICK = ["--max_len", "48", "--lr", "2e-3", "--weight_decay", "0", "--gpu", "false"]
LABELS = ("billing", "delivery", "repair")
METRICS = {"micro_f1", "macro_f1", "subset_accuracy"}
TEXTS = ["The bill is missing the discount.", "The chain slips. The parcel has not come yet."]


def script(name: str, *flags, **options):
    return run([sys.executable, ROOT / "scripts" / f"{name}.py", *flags], **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the data, the task file and a fine-tuned model."""
    where = tmp_path_factory.mktemp("several")
    shutil.copy(DATA, where)
    done = script("describe_task", where / DATA.name, *COLUMNS, "--output", where / "task.json")
    found = json.loads(done.stdout)
    assert (found["kind"], found["splits"]) == ("labels", {"train": 37, "dev": 5, "report": 6})
    assert "48 rows, 3 labels, 1.5 a row" in done.stderr
    named = ["--task_name", where / "task.json", "--output_dir", where / "run", "--sample"]
    printed = json.loads(script("finetune", *named, *QUICK, "--epochs", "8").stdout)
    assert printed["best"]["metrics"].keys() == METRICS
    return where


def test_the_model_is_scored_and_predicts(folder, tmp_path):
    model = folder / "run" / "model"
    described = read_description(model)
    assert described.head is not None
    assert described.head.problem_type == "multi_label_classification"
    assert described.labels == LABELS
    assert described.metrics["micro_f1"] > 0.6
    record = json.loads((folder / "run" / "run.json").read_text())
    assert record["classes"] == {"billing": 19, "delivery": 19, "repair": 17}
    dev = json.loads(script("evaluate", "--model", model, "--data_dir", folder).stdout)
    assert dev["metrics"] == described.metrics
    answers = Predictor.from_pretrained(model)(TEXTS)
    assert all(isinstance(one, MultiLabelClassification) for one in answers)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    done = script("predict", "--model", model, "--input", tmp_path / "texts.txt")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["labels"] for one in printed] == [list(one.labels) for one in answers]
    assert printed[0]["probabilities"].keys() == set(LABELS)
    lines = [{"idx": n, "label": list(one.labels)} for n, one in enumerate(answers)]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    gold = [{"message": text, "topics": list(one.labels)} for text, one in zip(TEXTS, answers)]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, gold)))
    files = ["--predictions", tmp_path / "p.jsonl", "--gold", tmp_path / "gold.jsonl"]
    done = script("evaluate", "--task_name", folder / "task.json", *files)
    assert json.loads(done.stdout)["metrics"]["subset_accuracy"] == 1.0


@pytest.mark.parity("torch", "transformers", "onnx", "onnxruntime")
def test_exported_folders_answer_alike_and_transformers_agrees(folder, tmp_path):
    import transformers

    expected = Predictor.from_pretrained(folder / "run" / "model")(TEXTS)
    for target in ("huggingface", "onnx"):
        out = tmp_path / target
        named = ["--model", folder / "run" / "model", "--to", target, "--output_dir", out]
        script("export_model", *named)
        predictor = Predictor.from_pretrained(out)
        assert predictor.record is not None
        assert predictor.record.several_labels
        for one, other in zip(predictor(TEXTS), expected):
            assert one.labels == other.labels
            assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    config = json.loads((tmp_path / "huggingface" / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    pipeline = transformers.pipeline("text-classification", model=str(tmp_path / "huggingface"))
    for text, answer in zip(TEXTS, expected):
        theirs = {one["label"]: one["score"] for one in pipeline(text, top_k=None)}
        assert theirs == pytest.approx(dict(answer.probabilities), abs=1e-4)


def test_a_student_learns_from_a_teacher_and_from_texts_without_labels(folder, tmp_path):
    teacher, out = folder / "run" / "model", tmp_path / "student"
    (tmp_path / "more.txt").write_text("\n".join([*TEXTS, "The brake squeals again."]))
    named = ["--task_name", folder / "task.json", "--output_dir", out, "--teacher", teacher]
    slim = ["--initialise_from", "teacher", "--architecture", "1-2-64-128"]
    more = ["--unlabelled", tmp_path / "more.txt", "--soft_weight", "0.5", "--epochs", "2"]
    printed = json.loads(script("finetune", *named, *slim, *more, *QUICK).stdout)
    assert printed["best"]["metrics"].keys() == METRICS
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert any(one.get("train/distillation_loss", 0) > 0 for one in records)


def test_a_super_network_learns_the_task_and_is_searched(folder, tmp_path):
    teacher, out = folder / "run" / "model", tmp_path / "super"
    named = ["--task_name", folder / "task.json", "--output_dir", out]
    start = ["--teacher_model", teacher, "--start", "teacher", "--depths", "1", "2"]
    script("train_super_network", *named, *start, "--max_len", "48", "--num_steps", "3")
    named = ["--super_network", out, "--data_dir", folder, "--output_dir", tmp_path / "scores"]
    done = script("evaluate_architectures", *named, "--architectures", "largest")
    (score,) = json.loads(done.stdout)["scores"]
    assert score["metrics"].keys() >= METRICS


def test_agora_refuses_several_labels(folder, tmp_path):
    named = ["--task", folder / "task.json", "--socrates", folder / "run" / "model"]
    done = script("run_agora", *named, "--output_dir", tmp_path / "agora", status=2)
    assert_refused(done, "task is 'topics', whose texts have several labels each; allowed for Ag")
    assert not (tmp_path / "agora").exists()


def test_a_teacher_of_classes_is_refused(folder, tmp_path):
    rows = [f"text {n},{LABELS[n % 3]}" for n in range(30)]
    (tmp_path / "classes.csv").write_text("\n".join(["message,topics", *rows]))
    named = ["--data", tmp_path / "classes.csv", *COLUMNS, "--output_dir", tmp_path / "classes"]
    script("finetune", *named, *QUICK, "--sample", "--epochs", "1")
    named = ["--task_name", folder / "task.json", "--output_dir", tmp_path / "run"]
    teacher = ["--teacher", tmp_path / "classes" / "model", "--soft_weight", "0.5"]
    done = script("finetune", *named, *teacher, *QUICK, "--epochs", "1", status=2)
    assert_refused(done, "was fine-tuned on classes, topics needs a model of topics")


def test_probabilities_are_sigmoids(folder):
    predictor = Predictor.from_pretrained(folder / "run" / "model")
    sums = [sum(one.probabilities.values()) for one in predictor(TEXTS)]
    assert not np.allclose(sums, 1.0, atol=1e-3)
