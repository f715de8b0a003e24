"""Tests of students of a task that learn the features of the teacher that they start from."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Dict, List

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.finetuning.asking_teacher import ask_task_teacher
from bort.gluon.finetuning.starting_point import StartingPoint, build_classifier
from bort.gluon.finetuning.task_teacher import EncoderTeacher, TaskTeacher
from bort.ranks import SingleProcess
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.teacher.keeping_features import KeptFeaturesConfig
from bort.teacher.source import TeacherRuntime
from bort.text.labelled import make_labelled_batch
from bort.text.pair_form import BERT_PAIRS
from bort.training.finetuning_config import FinetuningConfig
from bort.training.objective import FeatureObjective
from data.tasks.sets import open_task_data
from tests.gluon.finetuning.test_from_teacher import (
    CONFIG,
    SIZES,
    WORDS,
    make_teacher,
    run,
    start,
)
from tests.gluon.training.run_samples import contents, recorded

WHOLE = f"{SIZES.depth}-{SIZES.heads}-{SIZES.hidden}-{SIZES.intermediate}"
FEATURES = FeatureObjective(hidden_weight=1.0, relation_weight=1.0, relation_heads=4)
ENCODER: Dict[str, Any] = {"task": "", "head": "", "num_classes": 0, "labels": ()}
DISTILLED = dataclasses.replace(CONFIG, features=FEATURES, dropout=0.0, log_interval=1)


@pytest.fixture(scope="module")
def data() -> Any:
    return open_task_data(get_task("SST-2"), WORDS, TaskOptions(), 64, sample=True)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return make_teacher(tmp_path / "teacher", task="")


def distil(data: Any, folder: Path, teacher: Path, begun: Any, **options: Any) -> List[Any]:
    run(data, folder, begun, DISTILLED, teacher=str(teacher), **options)
    return [line for line in recorded(folder) if "train/loss" in line]


def test_a_student_with_all_weights_of_its_teacher_starts_without_a_loss_on_features(
    data: Any,
    teacher: Path,
    tmp_path: Path,
) -> None:
    names = ("train/hidden_loss", "train/scores_loss", "train/relations_loss")
    first = distil(data, tmp_path / "run", teacher, start(teacher, architecture=WHOLE))[0]
    assert [first[name] for name in names] == pytest.approx([0, 0, 0], abs=1e-5)
    other = make_teacher(tmp_path / "other", task="", seed=1)
    further = distil(data, tmp_path / "further", other, start(teacher, architecture=WHOLE))[0]
    assert all(further[name] > 1e-3 for name in names)


def test_a_resumed_run_has_the_same_order_and_ends_with_the_same_bits(
    data: Any,
    teacher: Path,
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    distil(data, tmp_path / "whole", teacher, start(teacher, architecture=WHOLE))
    folder, asked = tmp_path / "pieces", []
    begun = start(teacher, architecture=WHOLE)
    stop: Dict[str, Any] = {"stop_requested": lambda: asked.append(1) or len(asked) == 5}
    distil(data, folder, teacher, begun, **stop)
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures"),
    )
    distil(data, folder, teacher, start(teacher, architecture=WHOLE), resume=True)
    assert recorded(folder) == recorded(tmp_path / "whole")
    name = "model/model.safetensors"
    assert contents(folder)[name] == contents(tmp_path / "whole")[name]


def test_a_run_that_is_stopped_while_the_teacher_is_asked_is_continued(
    data: Any, teacher: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    begun = StartingPoint(None, "1-2-32-16")
    stopped = run(data, folder, begun, CONFIG, teacher=str(teacher), stop_requested=lambda: True)
    assert (stopped["stopped"], stopped["steps"], stopped["best"]) == (True, 0, None)
    assert not (folder / "run.json").exists()
    done = run(data, folder, begun, CONFIG, teacher=str(teacher), resume=True)
    assert (done["stopped"], done["epochs"]) == (False, CONFIG.epochs)


def test_an_encoder_without_a_head_teaches_its_features_alone(data: Any, tmp_path: Path) -> None:
    encoder = make_teacher(tmp_path / "encoder", **ENCODER)
    config = DISTILLED.replace(soft_weight=0.0, hidden_weight=0.0, label_weight=0.25)
    folder = tmp_path / "run"
    run(data, folder, StartingPoint(None, "1-2-32-16"), config, teacher=str(encoder))
    lines = [line for line in recorded(folder) if "train/loss" in line]
    assert all(line["train/relations_loss"] > 0 for line in lines)
    assert not any("distillation" in name for line in lines for name in line)
    assert not (folder / "teacher_outputs").exists()
    useless = config.replace(relation_weight=0.0)
    with pytest.raises(InputError, match="soft_weight, hidden_weight and relation_weight are all"):
        run(data, folder / "x", StartingPoint(None, "1-2-32-16"), useless, teacher=str(encoder))
    assert not (folder / "x").exists()


def test_a_folder_that_names_no_task_serves_with_its_labels(
    data: Any,
    teacher: Path,
    tmp_path: Path,
) -> None:
    found = TaskTeacher(str(teacher), data, mx.cpu())
    outputs = found.outputs(data.train.features, tmp_path / "kept", 4, SingleProcess())
    assert outputs is not None
    assert outputs.shape == (len(data.train.features), 2)
    other = make_teacher(tmp_path / "other", task="", labels=("1", "0"))
    with pytest.raises(InputError, match=r"labels are \['1', '0'\], those of SST-2 are"):
        TaskTeacher(str(other), data, mx.cpu())
    three = make_teacher(tmp_path / "three", task="", num_classes=3, labels=("0", "1", "2"))
    with pytest.raises(InputError, match=r"labels are \['0', '1', '2'\], those of SST-2 are"):
        TaskTeacher(str(three), data, mx.cpu())


def test_a_teacher_that_reads_other_inputs_is_refused(
    data: Any,
    teacher: Path,
    tmp_path: Path,
) -> None:
    short = make_teacher(tmp_path / "short", task="", sizes=SIZES.replace(maximum_length=8))
    with pytest.raises(InputError, match=r"an input of SST-2 train has \d+ tokens, the teacher"):
        TaskTeacher(str(short), data, mx.cpu())
    encoder = make_teacher(tmp_path / "encoder", **ENCODER)
    with pytest.raises(InputError, match="holds no classifier; fine-tune it .* soft_weight 0"):
        TaskTeacher(str(encoder), data, mx.cpu())
    labels = {"labels": ("not_entailment", "entailment")}
    typed = SIZES.replace(token_types=2)
    pairs = make_teacher(tmp_path / "pairs", task="", sizes=typed, pairs=BERT_PAIRS, **labels)
    rte = open_task_data(get_task("RTE"), WORDS, TaskOptions(), 64, sample=True)
    with pytest.raises(InputError, match="reads two texts as .*'token_types': True"):
        TaskTeacher(str(pairs), rte, mx.cpu())
    same = dataclasses.replace(rte, pairs=BERT_PAIRS)
    assert np.isfinite(
        TaskTeacher(str(pairs), same, mx.cpu())
        .outputs(rte.train.features, tmp_path / "kept", 4, SingleProcess())
        .sum()
    )


@pytest.mark.parity("onnx", "openvino")
def test_an_engine_computes_the_outputs_and_they_are_kept_apart(
    data: Any, teacher: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    plain = TaskTeacher(str(teacher), data, mx.cpu())
    expected = plain.outputs(data.train.features, kept, 4, SingleProcess())
    other = TaskTeacher(str(teacher), data, mx.cpu(), TeacherRuntime("openvino"))
    found = other.outputs(data.train.features, kept, 4, SingleProcess())
    assert expected is not None
    assert found is not None
    assert (found != expected).any()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    again = plain.outputs(data.train.features, kept, 4, SingleProcess())
    np.testing.assert_array_equal(again, expected)
    assert other.fingerprint == plain.fingerprint


def test_an_engine_without_outputs_to_compute_is_refused(
    data: Any, teacher: Path, tmp_path: Path
) -> None:
    begun = StartingPoint(None, "1-2-32-16")
    config = DISTILLED.replace(teacher_engine="openvino")
    with pytest.raises(InputError, match="teacher_engine is 'openvino' and there is no teacher"):
        run(data, tmp_path / "x", begun, config)
    with pytest.raises(InputError, match=r"teacher_engine is 'openvino' and soft_weight is 0\.0"):
        run(data, tmp_path / "x", begun, config.replace(soft_weight=0.0), teacher=str(teacher))
    assert not (tmp_path / "x").exists()


def test_features_are_not_kept_without_a_loss_on_them() -> None:
    with pytest.raises(InputError, match=r"kept_features_gb is 2\.0, and .* allowed is 0"):
        FinetuningConfig(kept=KeptFeaturesConfig(kept_features_gb=2.0))
    assert kept(FeatureObjective(hidden_weight=0.5)).kept.kept_features_gb == 1.0


def kept(features: FeatureObjective = FEATURES) -> FinetuningConfig:
    return dataclasses.replace(
        DISTILLED, features=features, kept=KeptFeaturesConfig(kept_features_gb=1.0)
    )


@pytest.mark.parametrize("with_outputs", [True, False])
@pytest.mark.parametrize("kind", ["taylor", "order"])
def test_kept_features_are_those_of_the_teacher_in_the_order_of_the_student(
    data: Any, teacher: Path, tmp_path: Path, with_outputs: bool, kind: str
) -> None:
    begun = start(teacher, kind, architecture=WHOLE)
    build_classifier(data, begun, DISTILLED, mx.cpu())
    found = (TaskTeacher if with_outputs else EncoderTeacher)(str(teacher), data, mx.cpu())
    examples = data.train.features

    def answers(gigabytes: float) -> Any:
        answers = ask_task_teacher(
            found,
            examples,
            tmp_path / "kept",
            FEATURES,
            KeptFeaturesConfig(kept_features_gb=gigabytes),
            batch_size=3,
            communicator=SingleProcess(),
            start=begun.initialise_from,
        )
        assert answers is not None
        return answers

    live, from_file = answers(0.0), answers(1.0)
    assert from_file.architecture == found.architecture
    longest = int(examples.lengths.max())
    for numbers, length in (([5, 0, -1], longest), ([2, 5, 1, 0, 7], longest + 5)):
        batch = make_labelled_batch(examples, np.array(numbers), length, WORDS.pad_id)
        ours, theirs = from_file.answer(batch), live.answer(batch)
        if with_outputs:
            np.testing.assert_allclose(ours.logits, theirs.logits, atol=1e-5)
        real = np.arange(length) < batch.real_lengths[:, None]
        for name in ("hidden", "query", "key", "value"):
            own = getattr(ours.features, name).asnumpy()
            expected = getattr(theirs.features, name).asnumpy()
            np.testing.assert_allclose(own[real], expected[real], atol=1e-5, err_msg=name)
            assert not own[~real].any()


def test_a_run_with_kept_features_is_that_of_live_ones_but_for_rounding(
    data: Any, teacher: Path, tmp_path: Path
) -> None:
    begun = StartingPoint(None, "2-4-40-20-32")
    relations = FeatureObjective(relation_weight=1.0, relation_heads=4)
    losses = []
    for name, config in (("live", DISTILLED.replace(hidden_weight=0.0)), ("kept", kept(relations))):
        run(data, tmp_path / name, begun, config, teacher=str(teacher))
        lines = [line for line in recorded(tmp_path / name) if "train/loss" in line]
        losses.append([line["train/relations_loss"] for line in lines])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert (tmp_path / "kept" / "teacher_outputs" / "features-000000.npy").exists()
    assert not list((tmp_path / "live" / "teacher_outputs").glob("features-*"))


def test_a_resumed_run_with_kept_features_ends_with_the_same_bits(
    data: Any, teacher: Path, tmp_path: Path
) -> None:
    begun, config = StartingPoint(None, "2-8-40-20-32"), kept()
    run(data, tmp_path / "whole", begun, config, teacher=str(teacher))
    folder, asked = tmp_path / "pieces", []
    stopped = run(
        data,
        folder,
        begun,
        config,
        teacher=str(teacher),
        stop_asking=lambda: True,
    )
    assert (stopped["stopped"], stopped["steps"]) == (True, 0)
    stop: Dict[str, Any] = {"stop_requested": lambda: asked.append(1) or len(asked) == 5}
    never: Dict[str, Any] = {"stop_asking": lambda: False, "resume": True}
    stopped = run(data, folder, begun, config, teacher=str(teacher), **stop, **never)
    assert 0 < stopped["steps"] < len(asked) + 1
    for path in (folder / "teacher_outputs").glob("features-*"):
        path.unlink()
    run(data, folder, begun, config, teacher=str(teacher), resume=True)
    assert recorded(folder) == recorded(tmp_path / "whole")
    name = "model/model.safetensors"
    assert contents(folder)[name] == contents(tmp_path / "whole")[name]


@pytest.mark.parametrize("with_room", [False, True])
def test_a_run_continues_with_the_features_that_it_began_with(
    data: Any, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_room: bool
) -> None:
    """Whether the disk has room is another matter at the start than when the run continues."""
    begun, config = StartingPoint(None, "2-8-40-20-32"), kept()
    given: Dict[str, Any] = {"teacher": str(teacher), "outputs_folder": tmp_path / "kept"}
    room = [with_room]
    monkeypatch.setattr("bort.teacher.keeping_features.may_keep", lambda *sizes: room[0])
    run(data, tmp_path / "whole", begun, config, **given)
    assert bool(list((tmp_path / "kept").glob("features-*"))) == with_room
    folder, asked = tmp_path / "pieces", []
    stop: Dict[str, Any] = {"stop_requested": lambda: asked.append(1) or len(asked) == 5}
    assert run(data, folder, begun, config, stop_asking=lambda: False, **stop, **given)["stopped"]
    room[0] = True
    run(data, folder, begun, config, resume=True, **given)
    assert bool(list((tmp_path / "kept").glob("features-*"))) == with_room
    assert json.loads((folder / "run.json").read_text())["features_kept"] is with_room
    assert recorded(folder) == recorded(tmp_path / "whole")
    name = "model/model.safetensors"
    assert contents(folder)[name] == contents(tmp_path / "whole")[name]
