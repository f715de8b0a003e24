"""Tests of pre-training on a teacher's features: learning, equal steps, resuming, refusals."""

from __future__ import annotations

import copy
import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest
from safetensors.numpy import load_file

from bort.errors import InputError
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model_folder import load_model_folder, save_model_folder
from bort.gluon.pretraining import teachers
from bort.gluon.pretraining.pretrain import (
    held_out_batches,
    plan_batches,
    planned_batches,
    pretrain,
)
from bort.gluon.pretraining.run import run_pretraining
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.network.array_network import places_of
from bort.network.model_folder import read_model_folder, write_model_folder
from bort.ranks import SingleProcess
from bort.teacher.source import TeacherSource
from bort.text.masking_config import TrainingMasks
from bort.training.importance_config import ImportanceConfig
from bort.training.objective import FeatureObjective, Objective
from bort.training.pretraining_config import PretrainingPaths
from tests.gluon.pretraining.test_trainer import BASE, SMALL, make_data, make_model
from tests.gluon.training.gradients import relative_differences, updates_of
from tests.gluon.training.run_samples import forget_setting, recorded
from tests.text.toy import ToyVocabulary

WIDE = SMALL.replace(hidden=32, depth=3)
NO_LOGITS = Objective(mlm_weight=0.0, teacher_ce_weight=0.0)
BOTH = FeatureObjective(hidden_weight=1.0, relation_weight=1.0, relation_heads=4)
ALONE = dataclasses.replace(BASE, objective=NO_LOGITS, features=BOTH)


class Vocabulary(ToyVocabulary):
    def save(self, folder):
        folder.mkdir(exist_ok=True)


def make_teacher(architecture=WIDE):
    return GluonFeatureTeacher(make_model(9, architecture))


def make_trainer(config, student=SMALL, teacher=None, dropout=0.0):
    teacher = teacher or make_teacher()
    return DistillationTrainer(
        make_model(architecture=student, dropout=dropout),
        config,
        SingleProcess(),
        mx.cpu(),
        teacher,
        feature_teacher=teacher,
    )


def steps(trainer, config, number):
    data = make_data(config)
    batches = planned_batches(
        plan_batches(data.train, config, 1), data, config, trainer.communicator, 1
    )
    return [trainer.step(step, next(batches)) for step in range(1, number + 1)]


@pytest.mark.parametrize(
    ("field", "features"),
    [
        ("hidden_loss", FeatureObjective(hidden_weight=1.0)),
        ("scores_loss", FeatureObjective(hidden_weight=1.0)),
        ("relations_loss", FeatureObjective(relation_weight=1.0)),
    ],
)
def test_a_student_comes_closer_to_its_teacher(field, features):
    config = dataclasses.replace(ALONE, features=features, num_steps=60, batch_size=12)
    reports = steps(make_trainer(config), config, 60)
    losses = [getattr(report, field) for report in reports]
    assert 0 < np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.parametrize("objective", [NO_LOGITS, Objective()])
def test_losses_are_means_with_divisors_of_their_own(objective):
    """A batch of unequal lengths, and the loss is the weighted sum of the reported means."""
    features = FeatureObjective(hidden_weight=0.5, relation_weight=0.25)
    config = dataclasses.replace(BASE, objective=objective, features=features)
    report = steps(make_trainer(config), config, 1)[0]
    total = 0.5 * (report.hidden_loss + report.scores_loss) + 0.25 * report.relations_loss
    if objective is not NO_LOGITS:
        total += 0.1 * report.mlm_loss + 0.5 * report.distillation_loss
    assert report.loss == pytest.approx(total, rel=1e-5)
    trainer = make_trainer(config)
    data = make_data(config)
    batch = next(
        planned_batches(plan_batches(data.train, config, 1), data, config, trainer.communicator, 1)
    )[0]
    model = make_model(dropout=0.0)
    student = GluonFeatureTeacher(model).features(batch.input_ids, batch.valid_lengths)
    teacher = make_teacher().features(batch.input_ids, batch.valid_lengths)
    real = np.arange(batch.input_ids.shape[1]) < batch.real_lengths[:, None]
    # The map starts as the identity on the first columns.
    error = teacher.hidden.asnumpy()[real]
    error[:, : SMALL.hidden] -= student.hidden.asnumpy()[real]
    assert report.hidden_loss == pytest.approx((error**2).mean(), rel=1e-4)


@pytest.mark.parametrize("objective", [NO_LOGITS, Objective()])
def test_accumulated_gradients_are_those_of_one_large_batch(objective):
    found = []
    for size in (12, 4):
        config = dataclasses.replace(
            ALONE, objective=objective, batch_size=size, accumulate=12 // size
        )
        trainer = make_trainer(config)
        updates = updates_of(trainer)
        steps(trainer, config, 1)
        found.append((updates[0][0], trainer.flat))
    (large, flat), (small, _) = found
    differences = relative_differences(flat, small, large)
    assert {"hidden_map.weight", "hidden_map.bias"} < differences.keys()
    assert max(differences.values()) <= 1e-5, differences


def test_a_text_without_masks_is_enough():
    config = dataclasses.replace(ALONE, masks=TrainingMasks(mask_probability=0.0))
    report = steps(make_trainer(config), config, 1)[0]
    assert report.predictions == 0
    assert report.loss == pytest.approx(
        report.hidden_loss + report.scores_loss + report.relations_loss, rel=1e-5
    )


@pytest.mark.parametrize("objective", [NO_LOGITS, Objective()])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, objective):
    config = dataclasses.replace(ALONE, objective=objective, accumulate=2, batch_size=3)
    results = {}
    for name, pieces in (("whole", [12]), ("split", [4, 12])):
        for number, last in enumerate(pieces):
            teacher = make_teacher()
            pretrain(
                make_model(seed=number * 100),
                make_data(config),
                dataclasses.replace(config, schedule="constant", num_steps=last, warmup_ratio=0.0),
                SingleProcess(),
                mx.cpu(),
                teacher=teacher,
                feature_teacher=teacher,
                folder=tmp_path / name,
                resume=number > 0,
            )
        assert checkpoint_steps(tmp_path / name)[-1] == 12
        results[name] = (tmp_path / name / "step-00000012" / "tensors.safetensors").read_bytes()
    assert results["whole"] == results["split"]
    tensors = load_file(str(tmp_path / "whole" / "step-00000012" / "tensors.safetensors"))
    weight = tensors["weights/hidden_map.weight"]
    assert weight.shape == (WIDE.hidden, SMALL.hidden)
    assert np.abs(weight - np.eye(*weight.shape)).max() > 1e-3


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return folders of teachers: a model, an encoder and a classifier; and of other students."""
    root = tmp_path_factory.mktemp("teachers")
    models = {
        "model": make_model(9, WIDE),
        "short": make_model(9, WIDE.replace(maximum_length=16)),
        "other_vocabulary": make_model(9, WIDE.replace(vocabulary_size=61)),
        "heads": make_model(9, WIDE.replace(heads=4)),
    }
    for name, model in models.items():
        save_model_folder(root / name, model)
    classifier = BortClassifier(make_model(9, WIDE), 3)
    classifier.initialize()
    save_model_folder(root / "classifier", classifier)
    whole = read_model_folder(root / "model")
    alone = whole.description.encoder_alone()
    arrays = {place.gluon: whole.arrays[place.gluon] for place in places_of(alone)}
    write_model_folder(root / "encoder", alone, arrays)
    return root


def run(folder, teacher, config=ALONE, resume=False, architecture="2-2-16-32", stop_at=0, **paths):
    data = make_data(config)
    asked = []
    return run_pretraining(
        PretrainingPaths(
            data="unused",
            ckpt_dir=str(folder),
            architecture=architecture,
            teacher=TeacherSource(str(teacher)),
            resume=resume,
            cpu_only=True,
            **paths,
        ),
        config,
        data.train,
        data.validation,
        Vocabulary(),
        SingleProcess(),
        lambda: asked.append(1) or len(asked) == stop_at,
    )


def test_any_encoder_can_be_the_teacher(tmp_path, folders):
    written = {}
    for name in ("model", "encoder", "classifier"):
        run(tmp_path / name, folders / name)
        written[name] = (tmp_path / name / "model" / "model.safetensors").read_bytes()
    assert written["encoder"] == written["classifier"] == written["model"]
    lines = recorded(tmp_path / "model")
    terms = {"train/loss", "train/hidden_loss", "train/scores_loss", "train/relations_loss"}
    assert terms < lines[0].keys()
    assert "train/mlm_loss" not in lines[0], "logits are not computed"
    assert {name for name in lines[-1] if name.startswith("validation")} == {
        "validation/hidden_loss",
        "validation/scores_loss",
        "validation/relations_loss",
    }
    record = json.loads((tmp_path / "model" / "run.json").read_text())
    assert record["settings"]["hidden_weight"] == 1.0
    assert record["teacher"] is None
    assert len(record["feature_teacher"]) == 64


@pytest.mark.parametrize("size", [1, 4, 50])
def test_held_out_losses_are_means_over_tokens_and_pairs(tmp_path, folders, size):
    """They do not depend on the batches, and are those of NumPy after the last step."""
    features = dataclasses.replace(BOTH, relation_weight=0.0)
    config = dataclasses.replace(ALONE, features=features, num_steps=2, batch_size_eval=size)
    found = run(tmp_path / "run", folders / "model", config)["validation"]
    assert found.keys() == {"hidden_loss", "scores_loss"}
    network, _ = load_model_folder(tmp_path / "run" / "model")
    tensors = load_file(str(tmp_path / "run" / "step-00000002" / "tensors.safetensors"))
    weight, bias = (tensors[f"weights/hidden_map.{name}"] for name in ("weight", "bias"))
    student, teacher = GluonFeatureTeacher(network), make_teacher()
    data, errors, scores = make_data(config), [], []
    for batch in held_out_batches(data, config, SingleProcess(), SMALL.maximum_length):
        inputs = batch.input_ids, batch.valid_lengths
        ours, theirs = ([x.asnumpy() for x in one.features(*inputs)] for one in (student, teacher))
        for row, length in enumerate(batch.real_lengths):
            mapped = ours[0][row, :length] @ weight.T + bias
            errors.append(((mapped - theirs[0][row, :length]) ** 2).reshape(-1))
            for head in range(2):
                sides = []
                for query, key in (ours[1:3], theirs[1:3]):
                    width = query.shape[2] // 2
                    part = slice(head * width, (head + 1) * width)
                    product = query[row, :length, part] @ key[row, :length, part].T
                    sides.append(product / np.sqrt(width))
                scores.append(((sides[0] - sides[1]) ** 2).reshape(-1))
    assert found["hidden_loss"] == pytest.approx(np.concatenate(errors).mean(), rel=1e-4)
    assert found["scores_loss"] == pytest.approx(np.concatenate(scores).mean(), rel=1e-4)


@pytest.mark.parametrize("taker", ["architecture", "teacher"])
def test_held_out_examples_that_are_too_long_are_refused_before_the_first_step(tmp_path, taker):
    data = make_data(ALONE)
    short = data.train.lengths <= 16
    train = copy.copy(data.train)
    train._rows = [row for row, is_short in zip(train._rows, short) if is_short]
    train.lengths = data.train.lengths[short]
    cut = {"architecture": SMALL, "teacher": WIDE}
    cut[taker] = cut[taker].replace(maximum_length=16)
    with pytest.raises(
        InputError, match=f"held-out examples are up to 23 tokens long, the {taker} takes"
    ):
        pretrain(
            make_model(architecture=cut["architecture"]),
            dataclasses.replace(data, train=train),
            ALONE,
            SingleProcess(),
            mx.cpu(),
            feature_teacher=make_teacher(cut["teacher"]),
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_a_student_without_a_decoder_is_trained(tmp_path, folders):
    result = run(tmp_path / "run", folders / "model", initial_model=str(folders / "encoder"))
    assert result["validation"].keys() == {"hidden_loss", "scores_loss", "relations_loss"}
    network, description = load_model_folder(tmp_path / "run" / "model")
    assert not description.has_decoder
    config = dataclasses.replace(ALONE, objective=Objective())
    with pytest.raises(
        InputError, match=r"no masked-token decoder and mlm_weight is 0\.1; allowed"
    ):
        run(tmp_path / "other", folders / "model", config, initial_model=str(folders / "encoder"))


def test_a_run_without_features_is_that_of_older_versions(tmp_path):
    run(tmp_path, "none", BASE)
    for name in ("feature_teacher", "hidden_weight", "relation_weight", "relation_heads"):
        forget_setting(tmp_path, name)
    assert run(tmp_path, "none", BASE, resume=True)["steps"] == 12
    with pytest.raises(InputError, match=r"teacher_model is 'none' and hidden_weight is 1\.0;"):
        run(tmp_path, "none", ALONE, resume=True)


def test_a_run_resumes_with_its_own_teacher_and_weights_only(tmp_path, folders):
    run(tmp_path, folders / "model")
    with pytest.raises(InputError, match="relation_weight is 2.0, the run to resume"):
        features = dataclasses.replace(BOTH, relation_weight=2.0)
        changed = dataclasses.replace(ALONE, features=features)
        run(tmp_path, folders / "model", changed, resume=True)
    save_model_folder(tmp_path / "another", make_model(10, WIDE))
    with pytest.raises(InputError, match="feature_teacher differs from that of the run to resume"):
        run(tmp_path, tmp_path / "another", resume=True)


@pytest.mark.parametrize(
    ("teacher", "changes", "message"),
    [
        ("heads", {}, r"hidden_weight is 1\.0 and the student has 2 heads, the teacher 4;"),
        (
            "model",
            {"features": FeatureObjective(relation_weight=1.0, relation_heads=3)},
            "relation_heads is 3; the attention of the student is 16 wide .* divisors of 16",
        ),
        ("none", {}, r"teacher_model is 'none' and hidden_weight is 1\.0; allowed .* is 0"),
        (
            "none",
            {"objective": Objective(mlm_weight=0.0), "features": FeatureObjective()},
            r"teacher_model is 'none' and mlm_weight is 0\.0; allowed .* more than 0",
        ),
        ("encoder", {"objective": Objective()}, r"encoder: has no .* teacher_ce_weight is 0\.5;"),
        ("short", {}, "examples are up to 24 tokens long, the teacher takes at most 16"),
        ("other_vocabulary", {}, "vocabulary has 61 tokens, the given one has 60"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, folders, teacher, changes, message):
    given = "none" if teacher == "none" else folders / teacher
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", given, dataclasses.replace(ALONE, **changes))
    assert not list((tmp_path / "run").glob("*")) if (tmp_path / "run").exists() else True


def test_a_cache_and_another_engine_give_no_features(tmp_path, folders):
    with pytest.raises(InputError, match=r"teacher_cache is .* and hidden_weight is 1\.0; a cache"):
        run(tmp_path / "run", folders / "model", teacher_cache=str(tmp_path / "cache"))
    runtime = dataclasses.replace(ALONE.teacher_runtime, teacher_engine="openvino")
    with pytest.raises(InputError, match=r"teacher_engine is 'openvino', which gives no hidden"):
        run(
            tmp_path / "run",
            folders / "model",
            dataclasses.replace(ALONE, teacher_runtime=runtime),
        )


@pytest.mark.parametrize("importance", ["order", "magnitude", "taylor"])
def test_a_student_of_its_teachers_weights_starts_with_its_features(
    tmp_path, folders, monkeypatch, importance
):
    """A student in full size has no loss, since heads and columns of both have one order."""
    ranking = ImportanceConfig(importance=importance, importance_batches=2)
    config = dataclasses.replace(ALONE, dropout=0.0, num_steps=1, ranking=ranking)
    start = {"initialise_from": "teacher", "architecture": "3-2-32-32"}

    def first_line(name):
        run(tmp_path / name, folders / "model", config, **start)
        return recorded(tmp_path / name)[0]

    assert first_line("run")["train/loss"] < 1e-8
    # Planted fault: the teacher in its own order.
    monkeypatch.setattr(teachers, "in_order_of_student", lambda teacher, *rest: teacher)
    assert (first_line("faulty")["train/loss"] > 1e-3) == (importance != "order")


@pytest.mark.parametrize("stored", [True, False])
def test_a_resumed_student_of_its_teachers_weights_has_the_same_bits(tmp_path, folders, stored):
    config = dataclasses.replace(ALONE, ranking=ImportanceConfig(importance_batches=2))
    start = {"initialise_from": "teacher"}
    run(tmp_path / "whole", folders / "model", config, **start)
    assert run(tmp_path / "split", folders / "model", config, stop_at=6, **start)["stopped"]
    assert (tmp_path / "split" / "importance.json").exists()
    if not stored:  # importance is measured again
        (tmp_path / "split" / "importance.json").unlink()
    run(tmp_path / "split", folders / "model", config, resume=True, **start)
    whole, split = (
        (tmp_path / name / "model" / "model.safetensors").read_bytes()
        for name in ("whole", "split")
    )
    assert whole == split
