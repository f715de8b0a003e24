"""The fine-tuning command with a teacher: outputs asked once, ranks, kills, bad input."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from bort.architecture import Architecture
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from data.tasks.sample_vocabulary import train_sample_vocabulary
from tests.integration.commands import ROOT, kill_when, run
from tests.integration.customised import Moment
from tests.integration.test_finetune_command import ONE, QUICK, TWO, final_tensors

pytestmark = pytest.mark.integration

ASKED = "teacher's outputs: "
FEATURES = ["--hidden_weight", "0.1", "--relation_weight", "0.5", "--relation_heads", "4"]
LIVE_OR_KEPT = pytest.mark.parametrize("kept", [[], ["--kept_features_gb", "1"]], ids=["", "kept"])


def finetune(folder: Path, *flags, task="RTE", command=ONE, **options):
    named = ["--task_name", task, "--output_dir", folder]
    return run([*command, *named, *QUICK, *flags], **options)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    finetune(folder, "--epochs", "4", "--weight_decay", "0.01")
    return folder / "model"


@pytest.fixture
def unlabelled(tmp_path) -> Path:
    path = tmp_path / "more.tsv"
    path.write_text("".join(f"The cat number {n} sat.\tA cat sat.\n" for n in range(10)) + "x\n")
    return path


def distilled(folder, teacher, *flags, **options):
    return finetune(folder, "--teacher", teacher, "--epochs", "2", *flags, **options)


def metrics_of(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "second" not in k} for line in lines]


def test_a_small_student_learns_from_a_teacher_and_from_inputs_without_labels(
    teacher, unlabelled, tmp_path
):
    folder = tmp_path / "student"
    flags = ["--architecture", "1-2-32-64", "--unlabelled", unlabelled, "--log_interval", "1"]
    done = distilled(folder, teacher, *flags, "--soft_weight", "0.9")
    assert json.loads(done.stdout)["best"]["metrics"].keys() == {"accuracy"}
    assert f"{unlabelled}: 10 usable lines, 1 are left out" in done.stderr
    assert f"{unlabelled} line 11: is a text" in done.stderr or "line 11: is a list" in done.stderr
    assert ASKED in done.stderr
    record = json.loads((folder / "run.json").read_text())
    assert record["architecture"]["hidden"] == 32
    assert (record["settings"]["soft_weight"], record["teacher_folder"]) == (0.9, str(teacher))
    assert record["inputs"]["RTE unlabelled"] == 10
    steps = [line for line in metrics_of(folder) if "train/loss" in line]
    assert all(line["train/distillation_loss"] > 0 for line in steps)
    described = json.loads((folder / "model" / "model.json").read_text())
    assert described["extra"]["teacher"] == record["teacher"]
    evaluate = [sys.executable, ROOT / "scripts" / "evaluate.py", "--sample"]
    scores = json.loads(run([*evaluate, "--model", folder / "model"]).stdout)
    assert scores["metrics"] == json.loads(done.stdout)["best"]["metrics"]


@pytest.mark.parity("onnx", "openvino")
def test_teacher_and_dev_scores_on_another_engine(teacher, tmp_path):
    there = ["--teacher_engine", "openvino", "--eval_engine", "openvino"]
    done = distilled(tmp_path / "student", teacher, *there)
    assert ASKED in done.stderr
    model = tmp_path / "student" / "model"
    evaluate = [sys.executable, ROOT / "scripts" / "evaluate.py", "--sample", "--model", model]
    for flags in ([], ["--engine", "openvino"]):
        scores = json.loads(run([*evaluate, *flags]).stdout)
        assert scores["metrics"] == json.loads(done.stdout)["best"]["metrics"]
    refused = run([*evaluate, "--precision", "bf16"], status=2)
    assert refused.stderr.splitlines()[-1] == (
        f"error: {model}: engine mxnet: precision is 'bf16', allowed are fp32"
    )


def test_a_finished_run_and_further_seeds_do_not_ask_again(teacher, tmp_path):
    folder = tmp_path / "seeds"
    done = distilled(folder, teacher, "--seeds", "2")
    assert done.stderr.count(ASKED) == 1
    assert [path.parent for path in folder.rglob("teacher_outputs")] == [folder]
    again = distilled(folder, teacher, "--seeds", "2", "--resume")
    assert ASKED not in again.stderr
    assert json.loads(again.stdout)["dev"] == json.loads(done.stdout)["dev"]
    (part,) = (folder / "teacher_outputs").glob("*.npy")
    part.write_bytes(part.read_bytes()[:-1])
    third = distilled(folder, teacher, "--seeds", "2", "--resume")
    (line,) = (line for line in third.stderr.splitlines() if "part-000000.npy" in line)
    assert "computed again: 1" in line
    assert json.loads(third.stdout)["dev"] == json.loads(done.stdout)["dev"]


@LIVE_OR_KEPT
def test_a_killed_run_resumes_to_the_same_bits(teacher, unlabelled, tmp_path, kept):
    flags = ["--unlabelled", unlabelled, "--ckpt_interval", "2", "--log_interval", "1"]
    flags += ["--epochs", "8", *FEATURES, *kept]
    distilled(tmp_path / "whole", teacher, *flags)
    folder = tmp_path / "killed"
    command = [*ONE, "--task_name", "RTE", *QUICK, "--teacher", teacher, *flags]
    kill_when([*command, "--output_dir", folder], Moment(folder / "step-*"))
    assert checkpoint_steps(folder)[-1] < checkpoint_steps(tmp_path / "whole")[-1]
    done = distilled(folder, teacher, *flags, "--resume")
    assert ASKED not in done.stderr
    assert "teacher's outputs and features: " not in done.stderr
    whole, resumed = final_tensors(tmp_path / "whole"), final_tensors(folder)
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    lines = metrics_of(folder)
    assert metrics_of(tmp_path / "whole") == lines
    named = {"train/hidden_loss", "train/scores_loss", "train/relations_loss"}
    assert all(named <= line.keys() for line in lines if "train/loss" in line)


@LIVE_OR_KEPT
def test_two_ranks_make_the_steps_of_one_rank_of_twice_the_batch(
    teacher, unlabelled, tmp_path, kept
):
    flags = ["--unlabelled", unlabelled, "--dropout", "0", *FEATURES, *kept]
    distilled(tmp_path / "two", teacher, *flags, "--batch_size", "4", command=TWO)
    distilled(tmp_path / "one", teacher, *flags, "--batch_size", "8")
    one, two = final_tensors(tmp_path / "one"), final_tensors(tmp_path / "two")
    for name in one:
        if name.startswith("weights/"):
            np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)
    for name in ("part", *(["features"] if kept else [])):
        file = f"teacher_outputs/{name}-000000.npy"
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_regression_learns_from_a_teacher(tmp_path):
    finetune(tmp_path / "teacher", "--epochs", "1", task="STS-B")
    done = distilled(tmp_path / "student", tmp_path / "teacher" / "model", task="STS-B")
    assert json.loads(done.stdout)["epochs"] == 2
    assert metrics_of(tmp_path / "student")[-1].keys() >= {"dev/pearson", "dev/spearman"}


def test_a_teacher_that_does_not_fit_is_one_line_and_nothing_is_left(teacher, tmp_path):
    def refused(message, *flags, task="RTE"):
        folder = tmp_path / "run"
        done = finetune(folder, *flags, task=task, status=2)
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        assert message in errors[0]
        assert "Traceback" not in done.stderr
        assert not folder.exists()

    given = ["--teacher", teacher]
    finetune(tmp_path / "four", "--epochs", "1", "--race_form", "four-way", task="RACE-M")
    four = tmp_path / "four" / "model"
    refused("no such folder", "--teacher", tmp_path / "nowhere")
    refused("unlabelled is given without teacher", "--unlabelled", "x.tsv")
    refused("x.tsv: cannot be read: No such file", *given, "--unlabelled", "x.tsv")
    refused("was fine-tuned on RTE, CoLA needs a model of CoLA", *given, task="CoLA")
    refused("was fine-tuned on RTE, MNLI needs", *given, task="MNLI")
    refused("trained with race_form 'four-way', the student has", "--teacher", four, task="RACE-M")
    refused("soft_weight is -0.5, allowed is at least 0", *given, "--soft_weight", "-0.5")
    weights = ["--soft_weight", "0", "--label_weight", "0"]
    refused("label_weight and soft_weight are both 0", *given, *weights)
    refused("one global batch needs 64", *given, "--batch_size", "64")
    refused("dtype is 'float16', which needs a GPU", *given, "--dtype", "float16")
    refused("without a teacher both must be 0", "--hidden_weight", "1")
    refused("no features to keep; allowed is 0", *given, "--kept_features_gb", "1")
    narrow = ["--architecture", "1-4-64-64", "--hidden_weight", "1"]
    refused("the student has 4 heads, the teacher 2", *given, *narrow)
    relations = ["--relation_weight", "1", "--relation_heads", "3"]
    refused("relation_heads is 3", *given, *relations)
    refused("distillation_temperature is 0.0", *given, "--distillation_temperature", "0")
    refused("architecture: '9' is unknown", *given, "--architecture", "9")
    vocabulary = tmp_path / "vocabulary"
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"another text of {n} words about cats" for n in range(300)))
    script = ROOT / "scripts" / "train_vocabulary.py"
    flags = ["--input_file", text, "--vocabulary_size", "330", "--output_dir", vocabulary]
    run([sys.executable, script, *flags])
    refused("distillation needs the same vocabulary", *given, "--vocab", vocabulary)
    damaged = tmp_path / "damaged"
    shutil.copytree(teacher, damaged)
    weights = damaged / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    refused("model.safetensors: is damaged", "--teacher", damaged)


def test_the_longest_input_need_not_be_a_multiple_of_8(tmp_path):
    vocabulary = train_sample_vocabulary()
    sizes = Architecture(2, 2, 16, 32, vocabulary_size=len(vocabulary), maximum_length=29)
    network = random_network(sizes, 0)
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    write_model_folder(teacher, network.description, network.arrays)
    vocabulary.save(teacher / "vocabulary")
    first = ["--pretrained_parameters", teacher, "--max_len", "29", "--epochs", "1"]
    finetune(tmp_path / "first", *first, task="MultiRC")
    fine_tuned = tmp_path / "first" / "model"
    started = ["--initialise_from", "teacher", "--architecture", "1-2-16-32", "--max_len", "29"]
    flags = ["--epochs", "1", *started, "--relation_weight", "1"]
    done = finetune(tmp_path / "student", "--teacher", fine_tuned, *flags, task="MultiRC")
    assert "tokens were dropped" in done.stderr  # inputs fill all 29 places
    assert json.loads(done.stdout)["best"]["metrics"].keys() == {"answer_f1", "exact_match"}


def test_another_teacher_is_no_resume(teacher, tmp_path):
    distilled(tmp_path / "run", teacher)
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    described = json.loads((other / "model.json").read_text())
    described["extra"]["note"] = "another"
    (other / "model.json").write_text(json.dumps(described))
    done = distilled(tmp_path / "run", other, "--resume", status=2)
    assert "teacher differs from that of the run to resume" in done.stderr
    done = finetune(tmp_path / "run", "--epochs", "2", "--resume", status=2)
    assert "error: " in done.stderr
    done = distilled(tmp_path / "run", teacher, "--soft_weight", "0.1", "--resume", status=2)
    assert "soft_weight is 0.1, the run to resume started with 0.5" in done.stderr
