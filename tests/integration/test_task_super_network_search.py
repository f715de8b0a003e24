"""From a super-network of a task to the search of its best sub-network under a limit."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bort.tasks.metrics import mean_score
from data.tasks.sample_vocabulary import train_sample_vocabulary
from tests.integration.commands import run
from tests.super_network.super_network_samples import write_sample

pytestmark = pytest.mark.integration

AXES = "--depths 1 2 3 --hiddens 16 32 --heads 2 4".split()


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("masked") / "super"
    write_sample(folder, vocabulary=train_sample_vocabulary())
    return folder


@pytest.mark.parametrize(
    ("task", "metrics"),
    [
        ("STS-B", {"pearson", "spearman"}),
        ("RTE", {"accuracy"}),
        ("MNLI", {"accuracy/dev_matched", "accuracy/dev_mismatched"}),
        ("SQuAD1.1", {"exact_match", "f1"}),
    ],
)
def test_the_error_of_a_candidate_is_that_of_its_task(masked, tmp_path, task, metrics):
    words = ["--task_name", task, "--sample", "--max_len", "64", "--batch_size", "8"]
    words += ["--teacher_model", "none", "--start", masked, "--num_steps", "2", *AXES]
    train = [sys.executable, "scripts/train_super_network.py", *words]
    run([*train, "--output_dir", tmp_path / "super"])
    common = ["--super_network", tmp_path / "super", "--sample"]

    search = [sys.executable, "scripts/search_architecture.py", *common]
    search += ["--error", "super_network", "--strategy", "exhaustive", "--parameters", "60000"]
    search += ["--band_least", "0.8"]
    run([*search, "--output_dir", tmp_path / "search"])
    found = json.loads((tmp_path / "search" / "ranking.json").read_text())

    names = [name_of(one) for one in found["ranking"]]
    assert len(names) > 1
    score = [sys.executable, "scripts/evaluate_architectures.py", *common, "--architectures"]
    done = run([*score, *names, "--output_dir", tmp_path / "scores"])
    scores = {one["name"]: one["metrics"] for one in json.loads(done.stdout)["scores"]}
    assert all(set(one) == metrics for one in scores.values())
    for one in found["ranking"]:
        assert one["error"] == pytest.approx(1 - mean_score(scores[name_of(one)]), abs=1e-6)


def name_of(candidate) -> str:
    sizes = candidate["architecture"]
    values = [sizes[name] for name in ("depth", "heads", "hidden", "intermediate")]
    return "-".join(map(str, [*values, sizes.get("qkv", sizes["hidden"])]))
