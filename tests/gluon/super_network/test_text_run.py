"""Tests of super-network runs on text: starts, terms, resuming, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest
from safetensors.numpy import load_file

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.super_network.run import SuperNetworkRun
from bort.gluon.super_network.text_run import train_on_text
from bort.network.importance import Importance
from bort.network.importance_file import IMPORTANCE_FILE, write_importance
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from bort.ranks import SingleProcess
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.folder import open_super_network
from bort.super_network.parts import read_part
from bort.teacher.source import TeacherSource
from tests.gluon.network.network_samples import needs_bf16
from tests.gluon.training.run_samples import contents, recorded
from tests.text.tiny_vocabulary import tiny_vocabulary
from tests.text.toy import ToyExamples

VOCABULARY = tiny_vocabulary()
TEACHER = Architecture(3, 4, 16, 32, vocabulary_size=len(VOCABULARY), maximum_length=24)
SPACE: Dict[str, Any] = {
    "depths": ("1:3:1",),
    "hiddens": ("8", "16"),
    "intermediates": ("16", "32"),
    "qkvs": ("8", "16"),
}
FILES = ("super_network.json", "model/model.safetensors")
SETTINGS: Dict[str, Any] = {
    "num_steps": 8,
    "batch_size": 4,
    "lr": 3e-3,
    "warmup_ratio": 0.25,
    "log_interval": 1,
    "eval_interval": 3,
    "ckpt_interval": 2,
    "random_samples": 1,
}


def examples(count: int, seed: int = 0) -> ToyExamples:
    found = ToyExamples(count, seed=seed)
    found.vocabulary_fingerprint = VOCABULARY.fingerprint
    return found


def write_teacher(folder: Path, *, decoder: bool = True, seed: int = 3) -> str:
    network = random_network(TEACHER, seed, decoder=decoder)
    generator = np.random.default_rng(seed)
    arrays = {
        name: array + generator.normal(0, 0.2, array.shape).astype(np.float32)
        for name, array in network.arrays.items()
    }
    network = network.replace(arrays, vocabulary_fingerprint=VOCABULARY.fingerprint)
    write_model_folder(folder, network.description, network.arrays)
    VOCABULARY.save(folder / "vocabulary")
    return str(folder)


def run(
    folder: Path,
    *,
    stop_at: int = 0,
    teacher: str = "none",
    space: Any = None,
    resume: bool = False,
    start: Any = None,
    **settings: Any,
) -> Dict[str, Any]:
    paths = SuperNetworkPaths(
        output_dir=str(folder),
        data="unused",
        architecture=None if start else "3-4-16-32",
        start=start,
        teacher=TeacherSource(teacher),
        resume=resume,
        cpu_only=True,
        **(space or SPACE),
    )
    asked: List[int] = []
    return train_on_text(
        paths,
        SuperNetworkConfig.from_dict({**SETTINGS, **settings}, "test"),
        examples(40),
        examples(9, seed=1),
        VOCABULARY,
        SingleProcess(),
        lambda: asked.append(1) or len(asked) == stop_at,  # type: ignore[func-returns-value]
    )


def architectures(folder: Path) -> List[str]:
    return [line["train/architectures"] for line in recorded(folder) if "train/loss" in line]


def weights(folder: Path) -> Dict[str, np.ndarray]:
    return load_file(str(folder / "model" / "model.safetensors"))


def test_a_run_from_nothing_writes_a_super_network(tmp_path: Path) -> None:
    summary = run(tmp_path / "run")
    assert (summary["steps"], summary["stopped"]) == (8, False)
    found = open_super_network(tmp_path / "run")
    assert found.whole == TEACHER.replace(maximum_length=found.whole.maximum_length)
    assert found.record.steps == 8
    assert found.read_vocabulary().fingerprint == VOCABULARY.fingerprint
    assert found.description.has_decoder
    smallest = "1-4-8-16-8"
    assert set(found.record.metrics) == {"3-4-16-32-16", smallest}
    assert summary["validation"] == found.record.metrics
    assert (
        read_part(smallest, found.whole, found.record.space)
        == found.part(found.record.space.minimum(found.whole)).part
    )
    for line in recorded(tmp_path / "run"):
        if "train/loss" in line:
            largest, least, other = line["train/architectures"].split()
            assert (largest, least) == ("3-4-16-32-16", smallest)
    assert len(set(architectures(tmp_path / "run"))) > 3
    evaluated = [line["step"] for line in recorded(tmp_path / "run") if "train/loss" not in line]
    assert evaluated == [3, 6, 8]


@pytest.mark.parametrize(
    ("stop_at", "math"),
    [(3, "exact"), (4, "exact"), pytest.param(3, "fast", marks=needs_bf16)],
)
def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(
    tmp_path: Path, stop_at: int, math: str
) -> None:
    """The start is measured once; the resumed run takes it up."""
    teacher = write_teacher(tmp_path / "teacher")
    given: Dict[str, Any] = {
        "teacher": teacher,
        "start": "teacher",
        "hidden_weight": 1.0,
        "relation_weight": 1.0,
        "accumulate": 2,
        "batch_size": 2,
        "new_samples_per_micro_batch": True,
        "math": math,
    }
    run(tmp_path / "whole", **given)
    folder = tmp_path / "pieces"
    assert run(folder, stop_at=stop_at, **given)["stopped"]
    assert not (folder / "super_network.json").exists()
    run(folder, resume=True, **given)
    assert recorded(folder) == recorded(tmp_path / "whole")
    for name in ("super_network.json", "hidden_map.safetensors", "model/model.safetensors"):
        assert contents(folder)[name] == contents(tmp_path / "whole")[name], name


def test_a_finished_run_that_is_resumed_keeps_its_files(tmp_path: Path) -> None:
    """A kill may come between the last checkpoint and the super-network."""
    first = run(tmp_path)
    before = [contents(tmp_path)[name] for name in FILES]
    (tmp_path / "super_network.json").unlink()
    again = run(tmp_path, resume=True)
    assert again == first
    assert again["validation"]
    assert [contents(tmp_path)[name] for name in FILES] == before


def test_a_resume_with_another_space_is_refused(tmp_path: Path) -> None:
    run(tmp_path, stop_at=3)
    before = contents(tmp_path)
    refusal = r"depths is \[1, 3\], the run to resume started with \{'from': 1"
    with pytest.raises(InputError, match=refusal):
        run(tmp_path, resume=True, space={**SPACE, "depths": ("1", "3")})
    with pytest.raises(InputError, match="random_samples is 2, the run to resume started with 1"):
        run(tmp_path, resume=True, random_samples=2)
    with pytest.raises(InputError, match="already holds a run"):
        run(tmp_path)
    assert contents(tmp_path) == before


def test_a_resume_with_another_start_is_refused(tmp_path: Path) -> None:
    one, other = write_teacher(tmp_path / "one"), write_teacher(tmp_path / "two", seed=9)
    folder = tmp_path / "run"
    run(folder, stop_at=3, start=one, importance="order")
    with pytest.raises(InputError, match="start differs from that of the run to resume"):
        run(folder, resume=True, start=other, importance="order")
    with pytest.raises(InputError, match="teacher is '.*', the run to resume started with None"):
        run(folder, resume=True, start=one, importance="order", teacher=one)


def first_line(folder: Path) -> Dict[str, Any]:
    return recorded(folder)[0]


SAME: Dict[str, Any] = {
    "start": "teacher",
    "hidden_weight": 1.0,
    "relation_weight": 1.0,
    "mlm_weight": 0.0,
    "teacher_ce_weight": 1.0,
    "dropout": 0.0,
    "num_steps": 2,
}


@pytest.mark.parametrize("importance", ["taylor", "magnitude", "order"])
def test_a_network_that_starts_from_its_teacher_starts_without_a_loss(
    tmp_path: Path, importance: str
) -> None:
    """Heads and columns of the teacher's features are in the order of the network's."""
    teacher = write_teacher(tmp_path / "teacher")
    folder = tmp_path / "run"
    alone = {"depths": ("3",), "hiddens": ("16",), "intermediates": ("32",), "qkvs": ("16",)}
    run(folder, teacher=teacher, space=alone, importance=importance, random_samples=0, **SAME)
    line = first_line(folder)
    for name in ("distillation", "hidden", "scores", "relations"):
        assert abs(line[f"train/{name}_loss"]) < 1e-5, name


def test_features_in_the_order_of_the_file_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: the teacher as it is on disk."""
    monkeypatch.setattr(SuperNetworkRun, "numbering", lambda run, teacher: None)
    teacher = write_teacher(tmp_path / "teacher")
    run(tmp_path / "run", teacher=teacher, **SAME)
    assert first_line(tmp_path / "run")["train/hidden_loss"] > 0.1


def test_a_super_network_goes_on_from_its_own_folder(tmp_path: Path) -> None:
    """Weights, order of layers and learnt map: without a step of any size, bit for bit."""
    teacher = write_teacher(tmp_path / "teacher")
    given: Dict[str, Any] = {"teacher": teacher, "hidden_weight": 1.0}
    run(tmp_path / "one", start="teacher", **given)
    still = {"num_steps": 1, "lr": 1e-30, "weight_decay": 0.0}
    run(tmp_path / "two", start=str(tmp_path / "one"), **{**given, **still})
    one, two = open_super_network(tmp_path / "one"), open_super_network(tmp_path / "two")
    assert one.record.layer_order == two.record.layer_order
    for name, values in weights(tmp_path / "one").items():
        np.testing.assert_array_equal(values, weights(tmp_path / "two")[name], name)
    ours, theirs = one.read_hidden_map(), two.read_hidden_map()
    assert ours is not None
    assert theirs is not None
    assert np.abs(ours["weight"] - np.eye(16)).max() > 1e-4
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize("importance", ["taylor", "magnitude", "order"])
def test_a_super_network_goes_on_in_the_order_of_its_teachers_parts(
    tmp_path: Path, importance: str
) -> None:
    """Also over two continuations; the losses on features are those of the end before."""
    teacher = write_teacher(tmp_path / "teacher")
    alone = {"depths": ("3",), "hiddens": ("16",), "intermediates": ("32",), "qkvs": ("16",)}
    given = {**SAME, "teacher": teacher, "space": alone, "random_samples": 0, "num_steps": 1}
    start = "teacher"
    for name in ("one", "two", "three"):
        still = {"lr": 1e-30, "weight_decay": 0.0, "importance": importance, "start": start}
        run(tmp_path / name, **{**given, **still})
        line = first_line(tmp_path / name)
        for term in ("hidden", "scores"):
            assert abs(line[f"train/{term}_loss"]) < 1e-5, (name, term)
        start = str(tmp_path / name)


def test_scores_of_an_earlier_start_in_the_folder_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_importance(folder, Importance(np.ones(1), np.ones((1, 1)), np.ones((1, 1))), {})
    run(folder, start=None, num_steps=1)
    assert not (folder / IMPORTANCE_FILE).exists()


def test_a_smaller_space_takes_the_slice_of_its_largest_size(tmp_path: Path) -> None:
    teacher = write_teacher(tmp_path / "teacher")
    space = {**SPACE, "depths": ("1", "2"), "hiddens": ("8",)}
    run(tmp_path / "run", start=teacher, space=space)
    found = open_super_network(tmp_path / "run")
    assert (found.whole.depth, found.whole.hidden) == (2, 8)
    assert sorted(found.record.layer_order or ()) == [0, 1]


def test_a_teacher_without_a_decoder_serves_for_features(tmp_path: Path) -> None:
    teacher = write_teacher(tmp_path / "teacher", decoder=False)
    alone = {"mlm_weight": 0.0, "teacher_ce_weight": 0.0, "relation_weight": 1.0}
    run(tmp_path / "run", start=teacher, teacher=teacher, **alone)
    lines = recorded(tmp_path / "run")
    assert lines[0]["train/relations_loss"] > 0
    assert "train/in_place_loss" not in lines[0], "the decoder does not learn, so it cannot teach"
    scored = [line for line in lines if "train/loss" not in line]
    names = {"step", "validation/largest_relations_loss", "validation/smallest_relations_loss"}
    assert all(set(line) == names for line in scored)
    assert scored[-1]["validation/largest_relations_loss"] > 0
    record = open_super_network(tmp_path / "run").record
    assert all(set(scores) == {"relations_loss"} for scores in record.metrics.values())


BAD: Dict[str, Any] = {
    "larger": ({"space": {**SPACE, "hiddens": ("8", "20")}}, "hiddens holds 20, allowed is at"),
    "heads": ({"space": {**SPACE, "qkvs": ("6",)}}, "qkvs holds 6, which the 4 heads"),
    "start": ({"start": "nowhere"}, "nowhere"),
    "no teacher": (
        {"relation_weight": 1.0},
        "teacher_model is 'none' and relation_weight is 1.0",
    ),
    "nothing to learn": (
        {"mlm_weight": 0.0},
        "teacher_model is 'none' and mlm_weight is 0.0; allowed without",
    ),
    "float16": ({"dtype": "float16"}, "dtype is 'float16'"),
    "kept features": (
        {"relation_weight": 1.0, "kept_features_gb": 1.0},
        "kept_features_gb is 1.0, which has no effect with data; allowed is 0",
    ),
}


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_refused_and_leaves_nothing(tmp_path: Path, case: str) -> None:
    given, message = BAD[case]
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


OF_A_TEACHER: Dict[str, Any] = {
    "heads differ": (
        {
            "hidden_weight": 1.0,
            "space": {**{k: v for k, v in SPACE.items() if k != "qkvs"}, "heads": ("2", "4")},
        },
        "the student has 2 heads, the teacher 4",
    ),
    "relation heads": (
        {"relation_weight": 1.0, "relation_heads": 8, "space": {**SPACE, "qkvs": ("4", "16")}},
        "relation_heads is 8",
    ),
    "without decoder": ({"teacher_ce_weight": 1.0}, "decoder"),
    "in place": (
        {"mlm_weight": 0.0, "teacher_ce_weight": 0.0, "relation_weight": 1.0, "in_place": True},
        "in_place is true with mlm_weight 0 and teacher_ce_weight 0",
    ),
}


@pytest.mark.parametrize("case", list(OF_A_TEACHER))
def test_a_teacher_that_does_not_fit_is_refused(tmp_path: Path, case: str) -> None:
    given, message = OF_A_TEACHER[case]
    teacher = write_teacher(tmp_path / "teacher", decoder=case != "without decoder")
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", start="teacher", teacher=teacher, **given)
    assert not (tmp_path / "run").exists()
