"""Everything that version 0.2.0 wrote is read, and its interrupted runs are resumed.

The archive was made on one processor. On that processor the results are equal bit for bit; on
another one they differ by rounding, so numbers are compared within a tolerance.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Dict, List

import numpy as np
import pytest
from safetensors.numpy import load_file

from bort import Predictor
from bort.architecture import Architecture
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import save_model_folder
from bort.teacher.cache import TeacherCache
from bort.text.vocabularies import load_vocabulary
from tests.gluon.training.run_samples import contents
from tests.integration.commands import ROOT, run

pytestmark = pytest.mark.integration

ARCHIVE = Path(__file__).with_name("version_0_2_0.tar.xz")
DOCUMENTED = Path(__file__).with_name("README.md")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """The archive's folders; tests that write work on a copy."""
    folder = tmp_path_factory.mktemp("version_0_2_0")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def copy(kept, tmp_path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(kept, tmp_path / "copy"))


def documented_command(script: str) -> List[str]:
    """The command that made the archive's `*_whole` folder, as the README beside it gives it."""
    text = DOCUMENTED.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(rf"python scripts/({script}\.py .*)", text)
    name, *flags = line.split()
    return [sys.executable, str(ROOT / "scripts" / name), *flags]


def command_in(folder: Path, script: str, output: str, *more: str, status: int = 0) -> str:
    """Run the documented command with another output folder; returns what it prints."""
    command = documented_command(script)
    command[-1] = output
    done = run([*command, *more], status, folder=folder)
    return done.stdout if status == 0 else done.stderr


def only_checkpoint(folder: Path, step: int) -> Dict[str, np.ndarray]:
    return load_file(str(folder / f"step-{step:08d}" / "tensors.safetensors"))


@pytest.mark.parametrize(
    "engine", ["mxnet", pytest.param("openvino", marks=pytest.mark.parity("openvino", "onnx"))]
)
def test_model_folders_answer_as_they_did(kept, engine):
    expected = json.loads((kept / "expected.json").read_text())
    assert len(expected["embeddings"]) == 5
    for folder, values in expected["embeddings"].items():
        predictor = Predictor.from_pretrained(str(kept / folder), engine=engine)
        embeddings = np.array(predictor.embed(expected["texts"]))[:, :8]
        np.testing.assert_allclose(embeddings, values, atol=2e-5, err_msg=folder)


def test_an_interrupted_pretraining_ends_as_it_would_have(copy):
    command_in(copy, "run_pretraining_distillation", "pretraining_killed", "--resume")
    resumed = only_checkpoint(copy / "pretraining_killed", 24)
    whole = only_checkpoint(copy / "pretraining_whole", 24)
    assert resumed.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(resumed[name], values, atol=1e-5, err_msg=name)


def test_an_interrupted_finetuning_ends_as_it_would_have(copy):
    printed = json.loads(command_in(copy, "finetune", "finetuning_killed", "--resume"))
    assert printed["stopped"] is False
    assert printed["epochs"] == 8
    resumed = load_file(str(copy / "finetuning_killed" / "model" / "model.safetensors"))
    whole = load_file(str(copy / "finetuning_whole" / "model" / "model.safetensors"))
    assert resumed.keys() == whole.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(resumed[name], values, atol=1e-4, err_msg=name)


def test_a_setting_that_was_another_is_refused_before_anything_is_written(copy):
    before = (copy / "finetuning_killed" / "model" / "vocabulary" / "vocabulary.json").read_bytes()
    message = command_in(
        copy, "finetune", "finetuning_killed", "--resume", "--dropout", "0.3", status=2
    )
    assert "dropout is 0.3" in message
    assert "Traceback" not in message
    vocabulary = copy / "finetuning_killed" / "model" / "vocabulary" / "vocabulary.json"
    assert vocabulary.read_bytes() == before


@pytest.mark.parametrize(
    ("script", "folder", "flags", "message"),
    [
        (
            "run_pretraining_distillation",
            "pretraining_killed",
            ("--architecture", "2-4-32-64"),
            "architecture is '<D=2, A=4, H=32, I=64>', the run to resume started with '<D=1, A=2,",
        ),
        (
            "finetune",
            "finetuning_killed",
            ("--pretrained_parameters", "larger"),
            "architecture is '<D=2, A=4, H=32, I=64>', the run to resume started with '<D=2, A=2,",
        ),
        (
            "finetune",
            "finetuning_killed",
            ("--task_name", "RTE"),
            "task is 'RTE', the run to resume started with 'COPA'",
        ),
        (
            "finetune",
            "finetuning_killed",
            ("--pretrained_parameters", "alike"),
            "', the run to resume started with None",
        ),
        (
            "run_pretraining_distillation",
            "pretraining_killed",
            ("--initial_model", "small"),
            "', the run to resume started with None",
        ),
    ],
)
def test_another_run_is_refused_by_name(copy, script, folder, flags, message):
    vocabularies = (copy / "finetuning_killed" / "model", copy / "sample" / "shards")
    for name, sizes, source in (
        ("larger", (2, 4, 32, 64), vocabularies[0]),
        ("alike", (2, 2, 64, 128), vocabularies[0]),
        ("small", (1, 2, 16, 32), vocabularies[1]),
    ):
        size = len(load_vocabulary(str(source / "vocabulary")))
        model = BortModel(Architecture(*sizes, vocabulary_size=size))
        model.initialize()
        save_model_folder(copy / name, model)
        shutil.copytree(source / "vocabulary", copy / name / "vocabulary")
    before = contents(copy / folder)
    assert message in command_in(copy, script, folder, "--resume", *flags, status=2)
    assert contents(copy / folder) == before


def test_kept_teacher_answers_are_read(kept):
    cache = TeacherCache.open(kept / "cache_whole", temperature=2.0)
    assert cache.row_count == 944


def test_an_interrupted_cache_is_completed_without_asking_again(copy):
    parts = sorted((copy / "cache_killed").glob("part-*.bin"))
    assert parts
    before = {path.name: path.read_bytes() for path in parts}
    command_in(copy, "cache_teacher_answers", "cache_killed")
    for name, content in before.items():
        assert (copy / "cache_killed" / name).read_bytes() == content
    resumed = json.loads((copy / "cache_killed" / "cache.json").read_text())
    whole = json.loads((copy / "cache_whole" / "cache.json").read_text())
    assert resumed["key"] == whole["key"]
    assert [part["rows"] for part in resumed["parts"]] == [part["rows"] for part in whole["parts"]]


def test_kept_teacher_answers_train_a_student(copy):
    command = documented_command("run_pretraining_distillation")
    teacher = command.index("--teacher_model")
    command[teacher : teacher + 2] = ["--teacher_cache", "cache_whole"]
    command[-1] = "student"
    printed = run([*command, "--num_steps", "2"], folder=copy).stdout
    assert json.loads(printed)["steps"] == 2


def read_ranking(folder: Path) -> List[Dict[str, str]]:
    with (folder / "ranking.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_an_interrupted_search_ends_as_it_would_have(copy):
    results = copy / "search_killed" / "results-rank0.jsonl"
    before = results.read_bytes()
    assert before.count(b"\n") == 3
    command_in(copy, "search_architecture", "search_killed", "--resume")
    assert results.read_bytes().startswith(before), "nothing is trained twice"
    resumed, whole = read_ranking(copy / "search_killed"), read_ranking(copy / "search_whole")
    assert len(resumed) == len(whole) == 4
    for here, there in zip(resumed, whole):
        for name in ("depth", "heads", "hidden", "intermediate", "parameters", "latency"):
            assert here[name] == there[name]
        np.testing.assert_allclose(float(here["error"]), float(there["error"]), rtol=1e-4)
        np.testing.assert_allclose(float(here["w"]), float(there["w"]), rtol=1e-4)


def test_an_interrupted_agora_run_ends_as_it_would_have(copy):
    trainings = copy / "agora_killed" / "trainings-rank0.jsonl"
    before = trainings.read_bytes()
    assert before.count(b"\n") == 2
    printed = json.loads(command_in(copy, "run_agora", "agora_killed", "--resume"))
    assert printed["stopped"] is False
    assert trainings.read_bytes().startswith(before), "nothing is trained twice"
    whole = copy / "agora_whole"
    for name in ("chs.json", "points.jsonl"):
        assert (copy / "agora_killed" / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    ("script", "folder"),
    [
        ("run_pretraining_distillation", "pretraining_whole"),
        ("finetune", "finetuning_whole"),
        ("search_architecture", "search_whole"),
        ("run_agora", "agora_whole"),
    ],
)
def test_a_folder_that_holds_a_run_is_refused(kept, script, folder):
    message = command_in(kept, script, folder, status=2)
    assert "--resume continues it" in message
    assert "Traceback" not in message
