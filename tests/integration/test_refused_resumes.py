"""A refused `--resume` changes nothing, whichever setting of a command has another value."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple, Type

import pytest

from bort.agora.config import AgoraConfig
from bort.agora.timaeus_config import TimaeusConfig
from bort.search.config import SearchConfig
from bort.settings.config import Config
from bort.tasks.options import TaskOptions
from bort.teacher.config import TeacherCacheConfig
from bort.training.finetuning_config import FinetuningConfig
from bort.training.pretraining_config import PretrainingConfig
from tests.integration.commands import ROOT, run

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPTS = ROOT / "scripts"


class World(NamedTuple):
    """The inputs of the commands.

    Attributes:
        shards: shards of text.
        other_shards: shards of the same text with shorter sequences, and the same vocabulary.
        models: two models of the same architecture with other weights.
        vocabulary: another vocabulary of the same size.
    """

    shards: Path
    other_shards: Path
    models: Tuple[Path, Path]
    vocabulary: Path


@pytest.fixture(scope="module")
def world(sample, tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("world")
    shards = sample / "shards"
    for seed in (1, 2):
        script(
            "run_pretraining_distillation",
            *pretraining_flags(shards),
            "--seed",
            seed,
            "--teacher_model",
            "none",
            "--ckpt_dir",
            folder / f"run-{seed}",
        )
    text = folder / "text.txt"
    script("generate_english", "--output_file", text, "--num_documents", 60, "--seed", 5)
    script(
        "create_pretraining_data",
        "--input_file",
        text,
        "--output_dir",
        folder / "shards",
        "--vocab",
        shards / "vocabulary",
        "--max_seq_length",
        48,
        "--split",
        0.9,
        0.1,
        "--num_workers",
        1,
    )
    script(
        "train_vocabulary",
        "--input_file",
        text,
        "--output_dir",
        folder / "vocabulary",
        "--vocabulary_size",
        700,
    )
    models = (folder / "run-1" / "model", folder / "run-2" / "model")
    return World(shards, folder / "shards", models, folder / "vocabulary")


def pretraining_flags(shards: Path) -> List[Any]:
    return [
        "--data",
        shards,
        "--architecture",
        "2-2-32-64",
        "--num_steps",
        2,
        "--batch_size",
        4,
        "--cpu_only",
    ]


def script(name: str, *flags: Any, status: int = 0) -> str:
    return run([sys.executable, SCRIPTS / f"{name}.py", *flags], status).stderr


def tree(folder: Path) -> Dict[str, Any]:
    """Return type, permissions, time of change and content of everything in a folder."""
    found: Dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(folder))
        found[name] = status.st_mode
        if path.is_file():
            found[name] = (status.st_mode, status.st_mtime_ns, path.read_bytes())
    return found


def changed_settings(kind: Type[Config], given: List[Any]) -> List[List[Any]]:
    """Return flags that give every setting that can change results another value."""
    values = {name: value for name, value in zip(given, given[1:]) if str(name).startswith("--")}
    changes = []
    for field in _fields(kind):
        if field.metadata["speed_only"]:
            continue
        now = values.get(f"--{field.name}", field.default)
        value = _other(field, now)
        if value is not None:
            changes.append([f"--{field.name}", *value])
    return changes


def _fields(kind: Type[Config]) -> List[Any]:
    found: List[Any] = []
    for field in dataclasses.fields(kind):
        inside = field.metadata.get("part")
        found += [field] if inside is None else _fields(inside)
    return found


def _other(field: Any, now: Any) -> Any:
    """Return another allowed value of a setting, as words; None for a text without choices."""
    meta, hint = field.metadata, str(field.type)
    if meta["choices"] is not None:
        shown = now if isinstance(now, tuple) else (now,)
        return next([str(one)] for one in meta["choices"] if one not in shown)
    if "bool" in hint:
        return ["false" if now is True else "true"]
    if "int" in hint:
        return [str(int(now) + 1 if now is not None else 7)]
    if "float" in hint:
        now = now[0] if isinstance(now, tuple) and now else now or 0.25
        return [str(float(now) / 2)]
    return None


def check_refusals(folder: Path, name: str, flags: List[Any], changes: List[List[Any]]) -> None:
    """Hold that every change is refused in one line, and that the folder stays as it is."""
    before = tree(folder)
    accepted, damaged = [], []
    for change in changes:
        words = [sys.executable, SCRIPTS / f"{name}.py", *flags, *change]
        done = run(words, status=None)
        if done.returncode != 2:
            accepted.append((change, done.returncode, done.stderr[-300:]))
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        if done.returncode and (len(errors) != 1 or "Traceback" in done.stderr):
            damaged.append((change, done.stderr[-300:]))
        if tree(folder) != before:
            now = tree(folder)
            damaged.append((change, [n for n in {*now, *before} if now.get(n) != before.get(n)]))
            before = now
    assert not accepted
    assert not damaged
    assert len(changes) > 3


def test_finetuning(world, tmp_path):
    folder, (model, other) = tmp_path / "run", world.models
    flags = [
        "--task_name",
        "RTE",
        "--sample",
        "--max_len",
        64,
        "--epochs",
        1,
        "--batch_size",
        8,
        "--gpu",
        "false",
        "--pretrained_parameters",
        model,
        "--output_dir",
        folder,
    ]
    script("finetune", *flags)
    changes = [
        *changed_settings(FinetuningConfig, flags),
        *changed_settings(TaskOptions, flags),
        ["--task_name", "CB"],
        ["--pretrained_parameters", other],
        ["--vocab", world.vocabulary],
        ["--pretrained_parameters", "none.params"],
        ["--report_share", 0.3],
        ["--preset", "release"],
        ["--data_dir", tmp_path / "none", "--sample", "false"],
    ]
    check_refusals(folder, "finetune", [*flags, "--resume"], changes)
    check_refusals(folder, "finetune", flags, changes)
    script("finetune", *flags, "--resume")
    shutil.copytree(model, tmp_path / "moved")
    script("finetune", *flags, "--resume", "--pretrained_parameters", tmp_path / "moved")


def test_pretraining(world, tmp_path):
    folder, (model, other) = tmp_path / "run", world.models
    flags = [*pretraining_flags(world.shards), "--teacher_model", model, "--ckpt_dir", folder]
    script("run_pretraining_distillation", *flags)
    settings = changed_settings(PretrainingConfig, flags)
    changes = [
        *(change for change in settings if change[0] != "--num_steps"),
        *(["--architecture", name] for name in ("2-4-32-64", "1-2-32-64", "2-2-32-32")),
        ["--data", world.other_shards],
        ["--vocab", world.vocabulary],
        ["--teacher_model", other],
        ["--teacher_model", "none"],
        ["--initial_model", other],
        ["--start_step", 77],
    ]
    check_refusals(folder, "run_pretraining_distillation", [*flags, "--resume"], changes)
    check_refusals(folder, "run_pretraining_distillation", flags, [[], *changes[-3:]])
    script("run_pretraining_distillation", *flags, "--resume")


def test_search(world, tmp_path):
    folder, (model, other) = tmp_path / "run", world.models
    flags = [
        "--data",
        world.shards,
        "--teacher_model",
        model,
        "--depths",
        2,
        "--heads",
        2,
        4,
        "--hiddens",
        16,
        "--intermediates",
        16,
        "--epsilon",
        1,
        "--latency",
        "multiply_adds",
        "--train_steps",
        2,
        "--held_out_batches",
        1,
        "--batch_size",
        4,
        "--output_dir",
        folder,
    ]
    script("search_architecture", *flags)
    changes = [
        *changed_settings(SearchConfig, flags),
        ["--data", world.other_shards],
        ["--data_eval", world.other_shards],
        ["--vocab", world.vocabulary],
        ["--teacher_model", other],
        ["--hiddens", 32],
        ["--depths", 1],
    ]
    check_refusals(folder, "search_architecture", [*flags, "--resume"], changes)
    check_refusals(folder, "search_architecture", flags, [[], *changes[-3:]])
    script("search_architecture", *flags, "--resume")


def test_agora(world, tmp_path):
    folder, (model, other) = tmp_path / "run", world.models
    for number, start in enumerate((model, other)):
        script(
            "finetune",
            "--task_name",
            "WSC",
            "--sample",
            "--max_len",
            64,
            "--epochs",
            1,
            "--gpu",
            "false",
            "--pretrained_parameters",
            start,
            "--output_dir",
            tmp_path / f"socrates-{number}",
        )
    flags = [
        "--task",
        "WSC",
        "--sample",
        "--max_len",
        64,
        "--cpu_only",
        "--epochs",
        1,
        "--seeds",
        0,
        "--lrs",
        1e-3,
        "--taus",
        "deletion",
        "--allow_weak_socrates",
        "--timaeus",
        model,
        "--socrates",
        tmp_path / "socrates-0" / "model",
        "--output_dir",
        folder,
    ]
    script("run_agora", *flags)
    changes = [
        *changed_settings(AgoraConfig, flags),
        *changed_settings(TimaeusConfig, flags),
        ["--socrates", tmp_path / "socrates-1" / "model"],
        ["--timaeus", other],
        ["--task", "RTE"],
        ["--lrs", 2e-3],
    ]
    check_refusals(folder, "run_agora", [*flags, "--resume"], changes)
    check_refusals(folder, "run_agora", flags, [[], *changes[-3:]])
    script("run_agora", *flags, "--resume")


def test_agora_with_sample_models(tmp_path):
    flags = ["--task", "WSC", "--sample", "--max_len", 64, "--cpu_only", "--epochs", 1]
    flags += ["--seeds", 0, "--lrs", 1e-3, "--taus", "deletion"]
    script("run_agora", *flags, "--output_dir", tmp_path / "new", status=2)
    assert list(tmp_path.iterdir()) == [], "its Socrates is too weak"
    flags += ["--allow_weak_socrates", "--output_dir", tmp_path / "run"]
    script("run_agora", *flags)
    changes = [["--seed", 1], ["--report_share", 0.4], ["--task", "RTE"], ["--epochs", 2]]
    check_refusals(tmp_path / "run", "run_agora", [*flags, "--resume"], changes)
    script("run_agora", *flags, "--resume")


def test_the_teachers_answers(world, tmp_path):
    folder, (model, other) = tmp_path / "answers", world.models
    flags = [
        "--data",
        world.shards,
        "--teacher_model",
        model,
        "--output_dir",
        folder,
        "--batch_size",
        8,
        "--cpu_only",
    ]
    script("cache_teacher_answers", *flags)
    changes = [
        *changed_settings(TeacherCacheConfig, flags),
        ["--teacher_model", other],
        ["--data", world.other_shards],
        ["--vocab", world.vocabulary],
    ]
    check_refusals(folder, "cache_teacher_answers", flags, changes)
    script("cache_teacher_answers", *flags)
