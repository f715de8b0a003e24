"""Fine-tuning sub-networks of a super-network on several tasks, as a command."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from bort.architecture import Architecture
from bort.network.random_network import random_network
from bort.super_network.folder import SuperNetworkRecord, write_super_network
from bort.super_network.space import SubNetworkSpace
from bort.tasks.own.config import DescribeConfig
from bort.tasks.own.task_file import write_task_file
from data.tasks.own_description import describe_files
from data.tasks.sample_vocabulary import train_sample_vocabulary
from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

SCRIPT = "scripts/evaluate_architectures.py"
EVALUATE = [sys.executable, SCRIPT]
SPACE = SubNetworkSpace((1, 2), (16, 32), (32, 64), heads=(1, 2))
SIZES = Architecture(2, 2, 32, 64, maximum_length=96, token_types=2)
QUICK = "--sample --epochs 1 --max_len 48 --lr 1e-3".split()


def make_masked(folder: Path) -> Path:
    """Write a super-network of masked tokens with random weights."""
    vocabulary = train_sample_vocabulary()
    sizes = SIZES.replace(vocabulary_size=len(vocabulary))
    network = random_network(sizes, 5, decoder=True)
    network = network.replace(vocabulary_fingerprint=vocabulary.fingerprint)
    write_super_network(folder, SuperNetworkRecord(space=SPACE), network, vocabulary)
    return folder


@pytest.fixture(scope="module")
def masked(tmp_path_factory) -> Path:
    return make_masked(tmp_path_factory.mktemp("masked") / "super")


def rows_of(folder: Path) -> Counter:
    """Count the rows of an evaluation by (sub-network, task, seed), from the bytes on disk."""
    found = Counter()
    for path in folder.glob("scores-rank*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found[row["name"], row["task"], row["seed"]] += 1
    return found


def test_a_killed_evaluation_of_several_tasks_loses_nothing_and_repeats_nothing(masked, tmp_path):
    words = ["--super_network", masked, *QUICK, "--architectures", "largest", "1-2-16-32"]
    words += ["--tasks", "RTE", "STS-B", "SQuAD1.1", "--seeds", "2", "--max_len", "96"]
    folder = tmp_path / "killed"
    lines = folder / "scores-rank0.jsonl"
    kill_when([*EVALUATE, *words, "--output_dir", folder], Moment(lines, of_lines=True))
    assert not (folder / "scores.json").exists()
    first = lines.read_text().splitlines()
    resumed = run([*EVALUATE, *words, "--output_dir", folder, "--resume"])
    assert lines.read_text().splitlines()[: len(first)] == first
    names = ("2-2-32-64-32", "1-2-16-32-32")
    tasks = ("RTE", "STS-B", "SQuAD1.1")
    expected = Counter((n, task, seed) for n in names for task in tasks for seed in (0, 1))
    assert rows_of(folder) == expected  # each row once
    assert {path.name for path in folder.iterdir()} == {
        *("evaluation.json", "scores.json", "scores-rank0.jsonl")
    }

    script = ["-m", "bort.launch", "--ranks", "2", SCRIPT]
    both = run([sys.executable, *script, *words, "--output_dir", tmp_path / "two"])
    assert json.loads(both.stdout)["scores"] == json.loads(resumed.stdout)["scores"]
    assert rows_of(tmp_path / "two") == expected
    assert (tmp_path / "two" / "scores-rank1.jsonl").is_file()

    # A row that a faulty run wrote again is found.
    shutil.copy(lines, folder / "scores-rank1.jsonl")
    again = run([*EVALUATE, *words, "--output_dir", folder, "--resume"], 2)
    assert_refused(again, "scores-rank1.jsonl, line 1: holds ")


def test_a_kept_model_has_the_score_of_its_row(masked, tmp_path):
    words = ["--super_network", masked, *QUICK, "--architectures", "1-2-16-32", "--keep_models"]
    words += ["--tasks", "MNLI", "--seed", "4", "--cache_dir", tmp_path / "cache"]
    done = run([*EVALUATE, *words, "--output_dir", tmp_path / "e"])
    (part,) = json.loads(done.stdout)["scores"]
    metrics = {n: one["mean"] for n, one in part["tasks"]["MNLI"]["metrics"].items()}
    model = tmp_path / "e" / "runs" / "1-2-16-32-32" / "MNLI" / "seed-4" / "model"
    command = [sys.executable, "scripts/evaluate.py", "--sample", "--model", model]
    for split in ("dev_matched", "dev_mismatched"):
        found = json.loads(run([*command, "--split", split]).stdout)["metrics"]
        assert found["accuracy"] == pytest.approx(metrics[f"accuracy/{split}"])
    assert any((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--tasks", "X"], "task 'X': is not known, allowed are CoLA, "),
        (["--tasks", "AX"], "tasks has 'AX', which has no training data, allowed is 'MNLI'"),
        (["--tasks", "RTE", "--data", "x"], "data is 'x', allowed with tasks are data_dir and"),
        (["--tasks", "RTE", "--engine", "openvino"], "engine is 'openvino', allowed with tasks is"),
        (["--tasks", "RTE", "--split", "train"], "split is 'train', allowed with tasks is 'dev'"),
        (["--tasks", "RTE", "--max_len", "128"], "max_len is 128 for RTE, allowed is at most 96"),
        (["--tasks", "RTE", "--data_dir", "x"], "sample and data_dir (x) are both given"),
        (["--tasks", "RTE", "--architectures", "9-1-32-64"], "depth is 9, allowed is at most 2"),
        (["--tasks", "RTE", "--seeds", "0"], "seeds is 0, allowed is at least 1"),
        (["--tasks", "RTE", "--lr", "0"], "lr is 0.0, allowed is more than 0"),
    ],
)
def test_bad_usage_is_refused_in_one_line(masked, tmp_path, flags, message):
    given = ["--super_network", masked, *QUICK, "--draw", "1", "--output_dir", tmp_path / "out"]
    assert_refused(run([*EVALUATE, *given, *flags], 2), message)
    assert list(tmp_path.iterdir()) == []


def test_a_task_of_the_user_beside_one_of_the_table(masked, tmp_path):
    data = ROOT / "test_data" / "own_task" / "messages.csv"
    config = DescribeConfig(("message",), "kind", output=str(tmp_path / "t.json"))
    write_task_file(tmp_path / "t.json", describe_files(data, config).task)
    words = ["--super_network", masked, *QUICK, "--architectures", "smallest"]
    words += ["--tasks", "RTE", tmp_path / "t.json", "--output_dir", tmp_path / "out"]
    first = run([*EVALUATE, *words])
    (part,) = json.loads(first.stdout)["scores"]
    assert part["tasks"].keys() == {"RTE", "messages"}
    assert part["tasks"]["messages"]["metrics"].keys() == {"accuracy", "macro_f1"}
    assert json.loads(run([*EVALUATE, *words, "--resume"]).stdout) == json.loads(first.stdout)
