"""Taking sub-networks out of a super-network and scoring them, as commands."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from bort.architecture import Architecture
from bort.network.model_folder import read_model_folder
from bort.super_network.folder import SuperNetworkRecord, write_super_network
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabularies import load_vocabulary
from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

EXTRACT = [sys.executable, "scripts/extract_model.py"]
EVALUATE = [sys.executable, "scripts/evaluate_architectures.py"]
SPACE = SubNetworkSpace((1, 2), (32, 64), (64, 128), heads=(1, 2))


def make_super_network(model: Path, folder: Path, **fields) -> Path:
    """Write a super-network of the weights of a model folder."""
    network = read_model_folder(model)
    vocabulary = load_vocabulary(model / "vocabulary")
    record = SuperNetworkRecord(**{"space": SPACE, "layer_order": (1, 0), **fields})
    write_super_network(folder, record, network, vocabulary)
    return folder


@pytest.fixture(scope="module")
def masked(sample, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masked") / "super"
    return make_super_network(sample / "teacher", folder)


@pytest.fixture(scope="module")
def of_a_task(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    words = "--task_name STS-B --sample --max_len 32 --epochs 1 --gpu false".split()
    run([sys.executable, "scripts/finetune.py", *words, "--output_dir", folder / "run"])
    sizes = read_model_folder(folder / "run" / "model").architecture
    space = SubNetworkSpace((1, sizes.depth), (8, sizes.hidden), (8,), heads=(1, sizes.heads))
    return make_super_network(
        folder / "run" / "model", folder / "super", space=space, layer_order=None
    )


def test_an_extracted_folder_alone_is_trained_exported_and_served(masked, sample, tmp_path):
    source = shutil.copytree(masked, tmp_path / "old-run" / "super")
    words = ["--architecture", "1-1-32-64", "--output_dir", tmp_path / "part"]
    printed = json.loads(run([*EXTRACT, "--super_network", source, *words]).stdout)
    assert printed["name"] == "1-1-32-64-32"
    assert printed["in_space"]
    shutil.rmtree(tmp_path / "old-run")
    model = Path(shutil.move(str(tmp_path / "part"), tmp_path / "elsewhere"))
    for path in model.rglob("*"):
        assert path.is_dir() or b"old-run" not in path.read_bytes()

    (tmp_path / "in.txt").write_text("the quick <mask> runs\n")
    served = [sys.executable, "scripts/predict.py", "--model", model, "--engine", "mxnet"]
    answers = run([*served, "--input", tmp_path / "in.txt", "--top_k", "2"]).stdout
    assert len(json.loads(answers.splitlines()[0])) > 0

    exported = [sys.executable, "scripts/export_model.py", "--model", model]
    run([*exported, "--to", "huggingface", "--output_dir", tmp_path / "hf"])

    trained = [sys.executable, "scripts/run_pretraining_distillation.py", "--cpu_only"]
    trained += ["--data", sample / "shards", "--initial_model", model, "--teacher_model", "none"]
    run([*trained, "--num_steps", "1", "--ckpt_dir", tmp_path / "further"])
    further = read_model_folder(tmp_path / "further" / "model").architecture
    assert further == Architecture.from_dict(printed["architecture"])

    finetuned = [sys.executable, "scripts/finetune.py", "--task_name", "CoLA", "--sample"]
    finetuned += ["--max_len", "32", "--epochs", "1", "--gpu", "false"]
    run([*finetuned, "--pretrained_parameters", model, "--output_dir", tmp_path / "tuned"])
    assert (tmp_path / "tuned" / "model" / "model.json").is_file()


def test_scores_of_text_are_resumed_after_a_kill_and_go_into_the_model(masked, sample, tmp_path):
    data = ["--data", sample / "shards", "--held_out_batches", "1", "--batch_size", "8"]
    command = [*EVALUATE, "--super_network", masked, *data, "--draw", "100"]
    folder = tmp_path / "killed"
    lines = folder / "scores-rank0.jsonl"
    kill_when([*command, "--output_dir", folder], Moment(lines, of_lines=True))
    assert not (folder / "scores.json").exists()
    first = lines.read_text().splitlines()
    resumed = json.loads(run([*command, "--output_dir", folder, "--resume"]).stdout)
    whole = json.loads(run([*command, "--output_dir", tmp_path / "whole"]).stdout)
    assert resumed["scores"] == whole["scores"]
    assert len(whole["scores"]) == SPACE.size() == 16
    assert len(lines.read_text().splitlines()) == 16
    assert lines.read_text().splitlines()[: len(first)] == first

    best = whole["scores"][0]
    words = ["--architecture", best["name"], "--evaluation", folder]
    run([*EXTRACT, "--super_network", masked, *words, "--output_dir", tmp_path / "best"])
    metrics = read_model_folder(tmp_path / "best").description.metrics
    assert dict(metrics) == best["metrics"]


def test_two_ranks_print_the_scores_of_one(masked, sample, tmp_path):
    words = ["--super_network", masked, "--data", sample / "shards", "--held_out_batches", "1"]
    words += ["--architectures", "1-1-32-64", "largest", "smallest", "2-2-32-64-64"]
    script = "scripts/evaluate_architectures.py"
    two = [sys.executable, "-m", "bort.launch", "--ranks", "2", script]
    one = run([sys.executable, script, *words, "--output_dir", tmp_path / "one"])
    both = run([*two, *words, "--output_dir", tmp_path / "two"])
    printed = [json.loads(done.stdout)["scores"] for done in (one, both)]
    assert printed[0] == printed[1]
    assert len(printed[0]) == 3  # 1-1-32-64 is the smallest
    assert (tmp_path / "two" / "scores-rank1.jsonl").is_file()
    assert "D-A-H-I-Q" in one.stderr


def test_a_sub_network_of_a_task_has_the_score_of_its_extracted_model(of_a_task, tmp_path):
    words = ["--super_network", of_a_task, "--sample", "--draw", "3", "--draw_seed", "1"]
    done = run([*EVALUATE, *words, "--output_dir", tmp_path / "e"])
    scores = json.loads(done.stdout)["scores"]
    assert len(scores) == 3
    assert all(set(one["metrics"]) == {"pearson", "spearman"} for one in scores)
    values = [one["score"] for one in scores]
    assert values == sorted(values, reverse=True)
    best = ["--architecture", scores[0]["name"], "--output_dir", tmp_path / "m"]
    run([*EXTRACT, "--super_network", of_a_task, *best])
    command = [sys.executable, "scripts/evaluate.py", "--model", tmp_path / "m", "--sample"]
    found = json.loads(run(command).stdout)
    assert found["metrics"] == pytest.approx(scores[0]["metrics"], abs=1e-6)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--architecture", "3-1-32-64"], "3-1-32-64: sub-network: depth is 3, allowed is at most"),
        (["--architecture", "1-1-32"], "architecture is '1-1-32', allowed are depth-heads"),
        (["--architecture", "largest", "--super_network", "docs"], "docs: holds no super-network"),
        (["--architecture", "largest", "--output_dir", "docs"], "docs: exists already"),
        (["--architecture", "largest", "--evaluation", "docs"], "docs/evaluation.json"),
    ],
)
def test_a_bad_extraction_is_refused_in_one_line(masked, tmp_path, flags, message):
    given = ["--super_network", masked, "--output_dir", tmp_path / "out"]
    assert_refused(run([*EXTRACT, *given, *flags], 2), message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--architectures", "9-1-32-64"],
            "9-1-32-64: sub-network: depth is 9, allowed is at most",
        ),
        ([], "architectures is missing and draw is 0, needed is one of them"),
        (["--draw", "1", "--data", "docs"], "docs: holds no manifest.json"),
        (["--draw", "1", "--length", "4000"], "length is 4000, allowed is at most"),
        (["--draw", "1", "--engine", "x"], "engine"),
        (["--draw", "1", "--data_dir", "x"], "data_dir is 'x', but "),
        (["--draw", "1", "--sample"], "sample is True, but "),
    ],
)
def test_a_bad_evaluation_is_refused_in_one_line(masked, sample, tmp_path, flags, message):
    given = ["--super_network", masked, "--data", sample / "shards"]
    done = run([*EVALUATE, *given, "--output_dir", tmp_path / "out", *flags], 2)
    assert_refused(done, message)
    assert list(tmp_path.iterdir()) == []


def test_data_of_the_other_kind_are_refused(masked, of_a_task, sample, tmp_path):
    out = ["--draw", "1", "--output_dir", tmp_path / "out"]
    done = run([*EVALUATE, "--super_network", masked, *out], 2)
    assert_refused(done, "data is missing")
    words = ["--super_network", of_a_task, "--data", sample / "shards"]
    assert_refused(run([*EVALUATE, *words, *out], 2), "is of a task, allowed is data_dir")
    done = run([*EVALUATE, "--super_network", of_a_task, "--sample", "--split", "test", *out], 2)
    assert_refused(done, "split is 'test', allowed is one that has labels")
    assert ROOT.is_dir()
    assert list(tmp_path.iterdir()) == []
