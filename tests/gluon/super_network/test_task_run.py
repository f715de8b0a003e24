"""Tests of super-networks that learn a task: terms, resuming, refusals, and their folders."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.errors import InputError
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.super_network.task_run import train_on_task
from bort.gluon.teacher import ordered
from bort.ranks import SingleProcess
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.extraction import extract_model
from bort.super_network.folder import open_super_network
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.teacher.source import TeacherSource
from data.tasks.sets import open_task_data
from tests.gluon.finetuning.test_from_teacher import SIZES, WORDS, make_teacher
from tests.gluon.network.network_samples import needs_bf16
from tests.gluon.training.run_samples import contents, recorded

SPACE: Dict[str, Any] = {
    "depths": ("1:3:1",),
    "hiddens": ("16", str(SIZES.hidden)),
    "intermediates": ("16", str(SIZES.intermediate)),
    "qkvs": ("16", str(SIZES.qkv)),
}
WHOLE = {axis: values[-1:] for axis, values in SPACE.items()}
WHOLE["depths"] = (str(SIZES.depth),)
SETTINGS: Dict[str, Any] = {
    "num_steps": 6,
    "batch_size": 4,
    "lr": 1e-3,
    "max_len": 64,
    "log_interval": 1,
    "eval_interval": 4,
    "ckpt_interval": 2,
    "random_samples": 1,
    "importance_batches": 2,
}
FEATURES: Dict[str, Any] = {"hidden_weight": 1.0, "relation_weight": 1.0, "relation_heads": 4}


@pytest.fixture(scope="module")
def data() -> Any:
    return open_task_data(get_task("SST-2"), WORDS, TaskOptions(), 64, sample=True)


@pytest.fixture
def teacher(tmp_path: Path) -> str:
    return str(make_teacher(tmp_path / "teacher", task=""))


def run(
    data: Any,
    folder: Path,
    *,
    teacher: str = "none",
    start: Any = None,
    space: Any = None,
    stop_at: int = 0,
    resume: bool = False,
    **settings: Any,
) -> Dict[str, Any]:
    paths = SuperNetworkPaths(
        output_dir=str(folder),
        task_name="SST-2",
        architecture=None if start else "3-4-32-32",
        start=start,
        teacher=TeacherSource(teacher),
        resume=resume,
        cpu_only=True,
        **(space or SPACE),
    )
    asked: List[int] = []
    return train_on_task(
        paths,
        SuperNetworkConfig.from_dict({**SETTINGS, **settings}, "test"),
        data,
        SingleProcess(),
        lambda: asked.append(1) or len(asked) == stop_at,  # type: ignore[func-returns-value]
    )


def steps(folder: Path) -> List[Dict[str, Any]]:
    return [line for line in recorded(folder) if "train/loss" in line]


def test_an_extracted_part_answers_the_task(data: Any, teacher: str, tmp_path: Path) -> None:
    summary = run(data, tmp_path / "run", teacher=teacher, start="teacher")
    assert (summary["task"], summary["steps"]) == ("SST-2", 6)
    found = open_super_network(tmp_path / "run")
    smallest = found.record.space.minimum(found.whole)
    extract_model(found, smallest, tmp_path / "part")
    classifier = TaskClassifier.load(tmp_path / "part")
    assert classifier.max_length == 64
    assert classifier.labels == ("0", "1")
    outputs = classifier.outputs(data.dev[0].features, SingleProcess(), 8)
    assert outputs.shape == (len(data.dev[0].features), 2)
    assert set(summary["validation"]) == {"3-8-64-48-64", "1-8-16-16-16"}
    assert set(summary["validation"]["1-8-16-16-16"]) == {"accuracy"}


@pytest.mark.parametrize("gigabytes", [0.0, 1.0])
def test_a_network_that_starts_from_its_teacher_starts_without_a_loss(
    data: Any, teacher: str, tmp_path: Path, gigabytes: float
) -> None:
    """Head, heads and columns are the teacher's, in the order of the network."""
    alone = {"random_samples": 0, "dropout": 0.0, "space": WHOLE, **FEATURES}
    alone["kept_features_gb"] = gigabytes
    run(data, tmp_path / "run", teacher=teacher, start="teacher", **alone)
    first = steps(tmp_path / "run")[0]
    for name in ("distillation", "hidden", "scores", "relations", "in_place"):
        assert abs(first[f"train/{name}_loss"]) < 1e-5, name


def test_features_in_another_order_are_noticed(
    data: Any, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: another fingerprint, so the teacher stays as it is on disk."""
    monkeypatch.setattr(ordered, "fingerprint_of_model", lambda folder: object())
    alone = {"random_samples": 0, "dropout": 0.0, "space": WHOLE, **FEATURES}
    run(data, tmp_path / "run", teacher=teacher, start="teacher", **alone)
    assert steps(tmp_path / "run")[0]["train/hidden_loss"] > 1e-3


@pytest.mark.parametrize(
    ("gigabytes", "math"),
    [(0.0, "exact"), (1.0, "exact"), pytest.param(1.0, "fast", marks=needs_bf16)],
)
def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(
    data: Any, teacher: str, tmp_path: Path, gigabytes: float, math: str
) -> None:
    given: Dict[str, Any] = {"teacher": teacher, "start": "teacher", "accumulate": 2, **FEATURES}
    given.update({"kept_features_gb": gigabytes, "math": math})
    run(data, tmp_path / "whole", **given)
    folder = tmp_path / "pieces"
    assert run(data, folder, stop_at=4, **given)["stopped"]
    run(data, folder, resume=True, **given)
    assert recorded(folder) == recorded(tmp_path / "whole")
    for name in ("super_network.json", "hidden_map.safetensors", "model/model.safetensors"):
        assert contents(folder)[name] == contents(tmp_path / "whole")[name], name


def test_a_run_that_began_without_room_for_features_continues_without(
    data: Any, teacher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: Dict[str, Any] = {"teacher": teacher, "start": "teacher", **FEATURES}
    given["kept_features_gb"] = 1.0
    with monkeypatch.context() as full:
        full.setattr("bort.teacher.keeping_features.may_keep", lambda *sizes: False)
        assert run(data, tmp_path / "run", stop_at=4, **given)["stopped"]
    run(data, tmp_path / "run", resume=True, **given)
    assert not list((tmp_path / "run" / "teacher_outputs").glob("features-*"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["features_kept"] is False


def test_inputs_without_labels_learn_from_the_teacher_alone(
    data: Any, teacher: str, tmp_path: Path
) -> None:
    more = dataclasses.replace(data, unlabelled=data.dev[0])
    run(more, tmp_path / "run", teacher=teacher, start="teacher")
    assert len(steps(tmp_path / "run")) == 6
    plain = run(data, tmp_path / "plain", teacher=teacher, start="teacher")
    assert plain["steps"] == 6
    assert steps(tmp_path / "run") != steps(tmp_path / "plain")


def test_labels_alone_are_enough(data: Any, tmp_path: Path) -> None:
    run(
        data,
        tmp_path / "run",
        space={**SPACE, "hiddens": ("16", "32"), "intermediates": ("16",), "qkvs": ("16", "32")},
    )
    first = steps(tmp_path / "run")[0]
    assert first["train/distillation_loss"] == 0
    assert first["train/in_place_loss"] > 0


def test_a_stop_while_the_teacher_answers_ends_the_run(
    data: Any, teacher: str, tmp_path: Path
) -> None:
    summary = run(data, tmp_path / "run", teacher=teacher, start="teacher", stop_at=1)
    assert (summary["steps"], summary["stopped"]) == (0, True)
    run(data, tmp_path / "run", teacher=teacher, start="teacher", resume=True)
    run(data, tmp_path / "other", teacher=teacher, start="teacher")
    assert recorded(tmp_path / "run") == recorded(tmp_path / "other")


def refused(data: Any, folder: Path, message: str, **given: Any) -> None:
    with pytest.raises(InputError, match=message):
        run(data, folder, **given)
    assert not folder.exists()


def test_a_teacher_with_other_classes_is_refused(data: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    three = {"num_classes": 3, "labels": ("0", "1", "2"), "task": ""}
    classes = str(make_teacher(tmp_path / "three", **three))
    refused(data, folder, r"labels are \['0', '1', '2'\]", teacher=classes, start=classes)
    reverse = str(make_teacher(tmp_path / "reverse", labels=("1", "0"), task=""))
    refused(data, folder, r"labels are \['1', '0'\]", teacher=reverse, start=reverse)


def test_an_encoder_teaches_its_last_layer_alone(data: Any, tmp_path: Path) -> None:
    encoder = str(
        make_teacher(tmp_path / "encoder", task="", head="", num_classes=0, labels=(), decoder=True)
    )
    given: Dict[str, Any] = {"teacher": encoder, "start": "teacher"}
    message = "the teacher holds no classifier.*soft_weight 0"
    refused(data, tmp_path / "run", message, relation_weight=1.0, **given)
    none = "soft_weight, hidden_weight and relation_weight are all 0"
    refused(data, tmp_path / "run", none, soft_weight=0.0, **given)
    run(data, tmp_path / "run", soft_weight=0.0, relation_weight=1.0, **given)
    first = steps(tmp_path / "run")[0]
    assert first["train/relations_loss"] > 0
    assert first["train/distillation_loss"] == 0


def test_a_teacher_that_is_no_folder_is_refused(data: Any, teacher: str, tmp_path: Path) -> None:
    refused(
        data, tmp_path / "run", "roberta_24_1024_16", teacher="roberta_24_1024_16", start=teacher
    )


def test_settings_that_need_a_teacher_are_refused(data: Any, teacher: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    message = "teacher_model is 'none' and relation_weight is 1.0"
    refused(data, folder, message, start=teacher, relation_weight=1.0)
    message = r"kept_features_gb is 1\.0, and .* no features to keep; allowed is 0"
    refused(data, folder, message, start=teacher, kept_features_gb=1.0)
    more = dataclasses.replace(data, unlabelled=data.dev[0])
    refused(more, folder, "unlabelled is given and teacher_model is 'none'", start=teacher)


def test_a_space_with_other_heads_than_the_teacher_is_refused(
    data: Any, teacher: str, tmp_path: Path
) -> None:
    space = {axis: values for axis, values in SPACE.items() if axis != "qkvs"}
    space["heads"] = ("4", "8")
    message = "the student has 4 heads, the teacher 8"
    given = {"teacher": teacher, "start": "teacher", "space": space, "hidden_weight": 1.0}
    refused(data, tmp_path / "run", message, **given)


def test_too_long_inputs_are_refused(data: Any, teacher: str, tmp_path: Path) -> None:
    short = str(make_teacher(tmp_path / "short", sizes=SIZES.replace(maximum_length=8)))
    refused(data, tmp_path / "run", "tokens, the model takes at most 8", start=short)
