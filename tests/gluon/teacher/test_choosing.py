"""Tests of teachers on other engines: same answers and losses as on MXNet, and fingerprints.

Tolerances: answers in float32 rtol 1e-5 + atol 1e-5, losses of every step relative 1e-5 (the
divergence alone, in which nearly equal numbers cancel, also absolute 1e-6); divergences with a
teacher in int8 relative 2e-2.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Optional

import mxnet as mx
import numpy as np
import pytest

from bort.engines import choosing
from bort.engines.teacher import EngineTeacher, teacher_of_network
from bort.errors import InputError
from bort.formats import network_folder
from bort.formats.onnx_file import write_onnx
from bort.gluon.network.array_network import as_arrays
from bort.gluon.pretraining.pretrain import PretrainingHooks, pretrain
from bort.gluon.pretraining.run import run_pretraining
from bort.gluon.teacher.choosing import load_feature_teacher_on, load_teacher_on
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.live import load_teacher
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.ranks import SingleProcess
from bort.search.config import SearchConfig
from bort.teacher.answers import LiveTeacher
from bort.teacher.config import TeacherCacheConfig
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from tests.formats.parity import make_network, write_network
from tests.gluon.network.network_samples import make_batch
from tests.gluon.network.network_samples import make_model as make_weighty_model
from tests.gluon.pretraining.test_trainer import (
    BASE,
    make_data,
    make_model,
    make_teacher,
    run_steps,
)
from tests.text.toy import ToyVocabulary

ENGINES = [
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
]


@pytest.fixture(params=ENGINES)
def engine(request: Any) -> str:
    return str(request.param)


def on(engine: str, precision: str = "fp32") -> EngineTeacher:
    """Return the teacher of the trainer's tests on another engine."""
    return teacher_of_network(as_arrays(make_teacher().network), engine, precision, 1)


def load_on(
    engine: str, model: str, random_seed: Optional[int] = None, **options: Any
) -> LiveTeacher:
    """Return the teacher of some flags on an engine."""
    source = TeacherSource(model, teacher_random_seed=random_seed)
    return load_teacher_on(source, TeacherRuntime(engine), **options)


def test_answers_are_mxnets(engine: str, tmp_path: Path) -> None:
    model = make_weighty_model()
    write_network(tmp_path, as_arrays(model))
    batch = make_batch()
    ours = load_teacher(str(tmp_path)).answer(batch).asnumpy()
    teacher = load_on(engine, str(tmp_path))
    answers = teacher.answer(batch)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, ours, rtol=1e-5, atol=1e-5 * np.abs(ours).max())
    assert (teacher.engine, teacher.precision) == (engine, "fp32")
    assert teacher.architecture == model.architecture
    assert teacher.vocabulary_size == model.architecture.vocabulary_size


def test_losses_are_those_of_mxnets_teacher(engine: str) -> None:
    _, live = run_steps(BASE, 6, 0.1, make_teacher())
    _, other = run_steps(BASE, 6, 0.1, on(engine))
    for a, b in zip(live, other):
        assert b.loss == pytest.approx(a.loss, rel=1e-5)
        assert b.distillation_loss == pytest.approx(a.distillation_loss, rel=1e-5, abs=1e-6)
    _, wrong = run_steps(BASE, 6, 0.1, make_teacher(seed=8))
    assert abs(wrong[0].distillation_loss - live[0].distillation_loss) > 1e-5


@pytest.mark.parity("onnx", "onnxruntime")
def test_losses_with_int8_stay_near() -> None:
    teacher = on("onnxruntime", "fast")
    assert teacher.precision == "int8"
    _, live = run_steps(BASE, 6, 0.1, make_teacher())
    _, fast = run_steps(BASE, 6, 0.1, teacher)
    for a, b in zip(live, fast):
        assert b.distillation_loss == pytest.approx(a.distillation_loss, rel=2e-2)


def test_a_resumed_run_ends_bit_for_bit(engine: str, tmp_path: Path) -> None:
    config = BASE.replace(teacher_engine=engine)
    results = []
    for name, pieces in (("whole", [12]), ("split", [5, 12])):
        for number, last in enumerate(pieces):
            asked = []
            pretrain(
                make_model(seed=number * 100) if number else make_model(),
                make_data(config),
                config,
                SingleProcess(),
                mx.cpu(),
                teacher=on(engine),
                folder=tmp_path / name,
                resume=number > 0,
                hooks=PretrainingHooks(
                    stop_requested=lambda asked=asked, last=last: (
                        asked.append(1) or len(asked) >= last < 12
                    ),
                ),
            )
        step = checkpoint_steps(tmp_path / name)[-1]
        results.append((tmp_path / name / f"step-{step:08d}" / "tensors.safetensors").read_bytes())
        assert step == 12
    assert results[0] == results[1]
    with pytest.raises(InputError, match="teacher_engine is 'mxnet', the run to resume"):
        resume(config.replace(teacher_engine="mxnet"), tmp_path / "whole")


def resume(config: PretrainingConfig, folder: Path) -> None:
    pretrain(
        make_model(),
        make_data(config),
        config,
        SingleProcess(),
        mx.cpu(),
        teacher=make_teacher(),
        folder=folder,
        resume=True,
    )


def test_fingerprints_tell_weights_engine_and_precision(tmp_path: Path) -> None:
    network = make_network(decoder=True)
    seen = [
        EngineTeacher(FakeEngine(name, precision), weights).fingerprint
        for name, precision, weights in (
            ("openvino", "fp32", "a"),
            ("openvino", "bf16", "a"),
            ("onnxruntime", "fp32", "a"),
            ("openvino", "fp32", "b"),
        )
    ]
    assert len(set(seen)) == 4
    again = teacher_of_network(network, "mxnet", "fp32")
    assert again.fingerprint == teacher_of_network(network, "mxnet", "fp32").fingerprint
    changed = {**network.arrays, "decoder.3.bias": network.arrays["decoder.3.bias"] + 1}
    other = teacher_of_network(network.replace(arrays=changed), "mxnet", "fp32")
    assert other.fingerprint != again.fingerprint


class FakeEngine:
    """An engine with only name, precision and description."""

    def __init__(self, name: str, precision: str) -> None:
        self.name = name
        self.precision = precision
        self.description = make_network(decoder=True).description

    def answer(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray] = None
    ) -> np.ndarray:
        raise AssertionError("it was asked")

    encode = answer

    def predict_tokens(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        positions: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        raise AssertionError("it was asked")


@pytest.mark.parity("onnx", "onnxruntime")
def test_an_exported_folder_teaches(tmp_path: Path) -> None:
    network = make_network(decoder=True)
    write_onnx(tmp_path, network, None, masked_positions=True)
    teacher = load_on("onnxruntime", str(tmp_path))
    batch = make_batch(network.architecture)
    expected = teacher_of_network(network, "onnxruntime", "fp32").answer(batch)
    np.testing.assert_array_equal(teacher.answer(batch), expected)


@pytest.mark.parity("onnx", "onnxruntime")
def test_random_weights_are_mxnets_random_weights() -> None:
    batch = make_batch()
    expected = load_teacher("1-2-16-16", random_seed=3, vocabulary_size=90).answer(batch).asnumpy()
    teacher = load_on("onnxruntime", "1-2-16-16", random_seed=3, vocabulary_size=90)
    np.testing.assert_allclose(teacher.answer(batch), expected, rtol=1e-5, atol=1e-5)


def test_models_that_cannot_teach_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(choosing, "is_installed", lambda package: True)
    for part in ({}, {"head": "linear", "num_classes": 2}):
        folder = tmp_path / str(len(part))
        write_network(folder, make_network(**part))
        with pytest.raises(InputError, match=f"{folder}: has no masked-token decoder"):
            load_on("openvino", str(folder))


def test_a_missing_package_is_named_before_anything_is_loaded(monkeypatch: Any) -> None:
    monkeypatch.setattr(choosing, "is_installed", lambda package: False)
    with pytest.raises(InputError, match=r'engine openvino: .*pip install "bort\[openvino\]"'):
        load_on("openvino", "roberta_24_1024_16")


@pytest.mark.parametrize(
    "config", [PretrainingConfig(), SearchConfig(), TeacherCacheConfig(data="x", output_dir="y")]
)
def test_settings_that_make_no_sense_together(config: Any) -> None:
    make = config.replace
    config = make(teacher_engine="openvino", teacher_precision="fast")
    assert config.results_settings()["teacher_engine"] == "openvino"
    assert config.results_settings()["teacher_precision"] == "fast"
    with pytest.raises(InputError, match="teacher_precision is 'fast', teacher_engine mxnet"):
        make(teacher_precision="fast")
    with pytest.raises(InputError, match="teacher_engine is 'auto', allowed are mxnet, openvino"):
        make(teacher_engine="auto")


def test_float16_is_mxnets(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dtype is 'float16', which is for teacher_engine mxnet"):
        TeacherCacheConfig(
            data="x",
            output_dir="y",
            teacher_runtime=TeacherRuntime("openvino"),
            dtype="float16",
            cpu_only=True,
        )


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ({"teacher_model": "none"}, "teacher_engine is 'openvino' and teacher_model is 'none'"),
        ({"teacher_cache": "kept"}, "teacher_engine is 'openvino' and teacher_cache is 'kept'"),
    ],
)
def test_no_engine_without_a_live_teacher(paths: Any, message: str, tmp_path: Path) -> None:
    config = BASE.replace(teacher_engine="openvino")
    data = make_data()
    flags = {"data": "x", "ckpt_dir": str(tmp_path), "architecture": "1-2-16-16", **paths}
    with pytest.raises(InputError, match=message):
        run_pretraining(
            PretrainingPaths.from_dict(flags, "flags"),
            config,
            data.train,
            None,
            ToyVocabulary(),
            SingleProcess(),
            lambda: False,
        )


def test_a_run_older_than_the_setting_is_resumed(tmp_path: Path, monkeypatch: Any) -> None:
    """Its checkpoint has no engine, which means MXNet."""
    young = PretrainingConfig.results_settings

    def without_engine(config: PretrainingConfig) -> Any:
        values = young(config)
        return {name: value for name, value in values.items() if not name.startswith("teacher_")}

    monkeypatch.setattr(PretrainingConfig, "results_settings", without_engine)
    config = dataclasses.replace(BASE, num_steps=4)
    pretrain(
        make_model(), make_data(config), config, SingleProcess(), mx.cpu(),
        teacher=make_teacher(), folder=tmp_path,
    )  # fmt: skip
    monkeypatch.setattr(PretrainingConfig, "results_settings", young)
    resume(dataclasses.replace(BASE, num_steps=5), tmp_path)
    assert checkpoint_steps(tmp_path)[-1] == 5


def features_of(folder: Any, size: int = 90, **options: Any) -> GluonFeatureTeacher:
    """Return the teacher of features for a vocabulary of `size` tokens."""
    source = TeacherSource(str(folder), teacher_random_seed=options.pop("random_seed", None))
    return load_feature_teacher_on(
        source, TeacherRuntime(), vocabulary=ToyVocabulary(size), **options
    )


def test_features_come_from_folders_and_random_weights(tmp_path: Path) -> None:
    model, batch = make_weighty_model(), make_batch()
    write_network(tmp_path, as_arrays(model))
    teacher = features_of(tmp_path, logits="teacher_ce_weight is 0.5")
    expected = GluonFeatureTeacher(make_weighty_model()).answers(batch)
    found = teacher.answers(batch)
    np.testing.assert_array_equal(found.logits.asnumpy(), expected.logits.asnumpy())
    for ours, theirs in zip(found.features, expected.features):
        np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy())
    drawn = [features_of("1-2-16-16", random_seed=seed).fingerprint for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_features_need_the_same_tokens(tmp_path: Path, monkeypatch: Any) -> None:
    """Equal numbers of tokens are not enough, and further rows need the teacher's vocabulary."""
    write_network(tmp_path, as_arrays(make_weighty_model()))
    with pytest.raises(InputError, match="has 90 tokens, the given one has 80"):
        features_of(tmp_path, 80)
    monkeypatch.setattr(network_folder, "load_vocabulary", lambda folder: ToyVocabulary(80))
    batch = make_batch()
    cut = features_of(tmp_path, 80)
    assert cut.vocabulary_size == 80
    assert cut.answer(batch).shape == (*batch.labels.shape, 80)

    class Other(ToyVocabulary):
        fingerprint = "other"

    monkeypatch.setattr(network_folder, "load_vocabulary", lambda folder: Other(90))
    with pytest.raises(InputError, match=r"its vocabulary \(other\) is another than the given one"):
        features_of(tmp_path)


def test_a_teacher_without_a_decoder_gives_features_alone(tmp_path: Path) -> None:
    write_network(tmp_path, as_arrays(make_weighty_model(use_decoder=False)))
    assert features_of(tmp_path).network.decoder is None
    with pytest.raises(
        InputError, match=r"no masked-token decoder.* teacher_ce_weight is 0\.5; al"
    ):
        features_of(tmp_path, logits="teacher_ce_weight is 0.5")
