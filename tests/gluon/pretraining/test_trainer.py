"""Tests of pre-training steps: equal steps, refusals, and repeatability bit for bit."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError, WorkError
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.pretrain import (
    PretrainingData,
    PretrainingHooks,
    plan_batches,
    planned_batches,
    pretrain,
)
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.gluon.teacher.live import GluonTeacher
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.flat_trainer import dropout_seed
from bort.ranks import SingleProcess
from bort.text.masking import Masking
from bort.training.objective import WITHOUT_TEACHER
from bort.training.pretraining_config import PretrainingConfig
from tests.gluon.network.network_samples import needs_bf16
from tests.gluon.training.gradients import relative_differences, updates_of
from tests.gluon.training.run_samples import forget_setting
from tests.text.toy import ToyExamples, ToyVocabulary

SMALL = Architecture(2, 2, 16, 32, vocabulary_size=60, maximum_length=24)
BASE = PretrainingConfig(
    num_steps=12,
    batch_size=4,
    lr=5e-3,
    warmup_ratio=0.25,
    ckpt_interval=4,
    log_interval=1,
    eval_interval=5,
)


def make_model(seed=0, architecture=SMALL, dropout=0.1):
    mx.random.seed(seed)
    model = BortModel(architecture, dropout=dropout)
    model.initialize()
    return model


def make_teacher(seed=9):
    architecture = SMALL.replace(hidden=32)
    return GluonTeacher(make_model(seed, architecture), architecture)


def make_data(config=BASE, count=50, stride=7):
    masking = Masking(ToyVocabulary(), config.masks.policy, config.order_seed)
    train = ToyExamples(count, stride=stride)
    return PretrainingData(train, ToyExamples(13, seed=1, stride=stride), masking)


def first_updates(config, lost=0):
    """Return the first two mean gradients, with their counts, and the flat buffers.

    Args:
        lost: a fault: the number of micro-batches that each step leaves out.
    """
    data = make_data(config)
    trainer = DistillationTrainer(
        make_model(dropout=0.0), config, SingleProcess(), mx.cpu(), make_teacher()
    )
    updates = updates_of(trainer)
    plan = plan_batches(data.train, config, 1)
    batches = planned_batches(plan, data, config, SingleProcess(), 1)
    for number in (1, 2):
        micro_batches = next(batches)
        trainer.step(number, micro_batches[: len(micro_batches) - lost])
    return updates, trainer.flat


@pytest.mark.parametrize("accumulate", [2, 3, 12])
def test_accumulated_gradients_are_those_of_one_large_batch(accumulate):
    """The first update has all its micro-batches, too."""
    large = dataclasses.replace(BASE, batch_size=12, lr=1e-3)
    small = dataclasses.replace(large, batch_size=12 // accumulate, accumulate=accumulate)
    expected, flat = first_updates(large)
    found, _ = first_updates(small)
    assert [count for _, count in found] == [count for _, count in expected]
    assert expected[0][1] >= 12
    first = relative_differences(flat, found[0][0], expected[0][0])
    assert max(first.values()) <= 1e-6, first
    # Adam's first update amplifies the rounding of gradients near 0.
    second = relative_differences(flat, found[1][0], expected[1][0])
    assert max(second.values()) <= 1e-3, second


def test_a_step_without_its_last_micro_batch_is_noticed():
    large = dataclasses.replace(BASE, batch_size=12)
    expected, flat = first_updates(large)
    found, _ = first_updates(dataclasses.replace(BASE, batch_size=4, accumulate=3), lost=1)
    assert found[0][1] < expected[0][1]
    assert max(relative_differences(flat, found[0][0], expected[0][0]).values()) > 1e-2


def run_steps(config, steps=6, dropout=0.1, teacher=None, **data_settings):
    """Return weights and reports after some steps."""
    data = make_data(config, **data_settings)
    trainer = DistillationTrainer(
        make_model(dropout=dropout), config, SingleProcess(), mx.cpu(), teacher
    )
    plan = plan_batches(data.train, config, 1)
    batches = planned_batches(plan, data, config, SingleProcess(), 1)
    reports = [trainer.step(n, next(batches)) for n in range(1, steps + 1)]
    return trainer.flat.weights.asnumpy(), reports


def test_accumulated_micro_batches_equal_one_large_batch():
    large = dataclasses.replace(BASE, batch_size=12)
    small = dataclasses.replace(BASE, batch_size=4, accumulate=3)
    one, reports = run_steps(large, dropout=0.0, teacher=make_teacher())
    other, split = run_steps(small, dropout=0.0, teacher=make_teacher())
    np.testing.assert_allclose(one, other, atol=1e-5)
    for a, b in zip(reports, split):
        assert a.predictions == b.predictions
        assert a.loss == pytest.approx(b.loss, rel=1e-5)


def test_repeated_runs_are_equal_bit_for_bit_and_seeds_matter():
    one, _ = run_steps(BASE)
    again, _ = run_steps(BASE)
    assert (one == again).all()
    other, _ = run_steps(dataclasses.replace(BASE, seed=1))
    assert (one != other).any()


def test_a_student_learns_to_predict():
    config = dataclasses.replace(BASE, num_steps=150, objective=WITHOUT_TEACHER, batch_size=16)
    _, reports = run_steps(config, steps=150, count=400, stride=0)
    assert np.mean([r.mlm_loss for r in reports[:5]]) > 3.9
    assert np.mean([r.mlm_loss for r in reports[-10:]]) < 2.0


@pytest.mark.parametrize(
    ("interrupted_after", "accumulate", "math"),
    [(4, 1, "exact"), (8, 1, "exact"), (4, 3, "exact"), (8, 3, "exact")]
    + [pytest.param(4, 3, "fast", marks=needs_bf16)],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path, interrupted_after, accumulate, math
):
    config = dataclasses.replace(BASE, accumulate=accumulate, batch_size=3, math=math)
    results = {}
    for name, pieces in (("whole", [12]), ("split", [interrupted_after, 12])):
        lines = []
        for number, last in enumerate(pieces):
            model = make_model(seed=number * 100)
            hooks = PretrainingHooks(
                stop_requested=_after(last - 1 if last < 12 else 10**9),
                on_step=lambda step, report, lines=lines: lines.append((step, report.loss)),
            )
            pretrain(
                model if number else make_model(),
                make_data(config),
                config,
                SingleProcess(),
                mx.cpu(),
                teacher=make_teacher(),
                folder=tmp_path / name,
                resume=number > 0,
                hooks=hooks,
            )
        step = checkpoint_steps(tmp_path / name)[-1]
        tensors = (tmp_path / name / f"step-{step:08d}" / "tensors.safetensors").read_bytes()
        results[name] = (step, tensors, dict(lines))
    assert results["whole"] == results["split"]


def _after(step):
    calls = []

    def requested():
        calls.append(1)
        return len(calls) > step

    return requested


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    config = dataclasses.replace(BASE, ckpt_interval=2, keep_checkpoints=2)
    run(config, tmp_path)
    assert checkpoint_steps(tmp_path) == [10, 12]


def test_a_resumed_run_must_be_the_same_run(tmp_path):
    run(BASE, tmp_path)
    with pytest.raises(InputError, match=r"lr is 0\.1, .* started with 0\.005"):
        run(dataclasses.replace(BASE, lr=0.1), tmp_path, resume=True)
    with pytest.raises(InputError, match="holds no checkpoint of step 3"):
        run(BASE, tmp_path, resume_step=3)
    with pytest.raises(InputError, match="holds no complete checkpoint"):
        run(BASE, tmp_path / "elsewhere", resume=True)


def test_a_run_older_than_a_setting_is_resumed_with_its_default(tmp_path):
    run(BASE, tmp_path)
    forget_setting(tmp_path, "clip")
    with pytest.raises(InputError, match=r"clip is 2\.0, the run to resume started with 1\.0"):
        run(dataclasses.replace(BASE, clip=2.0), tmp_path, resume=True)
    run(BASE, tmp_path, resume=True)


def test_the_number_of_steps_may_grow(tmp_path, caplog):
    run(BASE, tmp_path)
    with caplog.at_level(logging.INFO):
        assert run(dataclasses.replace(BASE, num_steps=14), tmp_path, resume=True).steps == 14
    assert "num_steps was 12 and is 14 now: the schedule changes" in caplog.messages


def test_a_warm_up_longer_than_the_run_is_a_warning(tmp_path, caplog):
    config = dataclasses.replace(BASE, num_steps=3, warmup_steps=10_000, warmup_ratio=0.7)
    rates = []
    hooks = PretrainingHooks(on_step=lambda step, report: rates.append(report.learning_rate))
    run(config, tmp_path, hooks=hooks)
    assert rates == pytest.approx([2.5e-3, 5e-3, 2.5e-3])
    warnings = [message for message in caplog.messages if "warmup_steps" in message]
    assert len(warnings) == 1
    assert "warmup_steps is 10000, but the learning rate is planned for 3 steps" in warnings[0]


def run(config, folder, **how):
    return pretrain(
        make_model(), make_data(config), config, SingleProcess(), mx.cpu(), folder=folder, **how
    )


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path):
    run(BASE, tmp_path)
    path = tmp_path / "step-00000012" / "tensors.safetensors"
    payload = bytearray(path.read_bytes())
    payload[len(payload) // 2] ^= 4
    path.write_bytes(bytes(payload))
    with pytest.raises(InputError, match=r"step-00000012/tensors\.safetensors: is damaged"):
        run(BASE, tmp_path, resume=True)
    run(BASE, tmp_path, resume_step=8)


def test_a_half_written_checkpoint_is_not_taken_for_one(tmp_path):
    run(BASE, tmp_path)
    (tmp_path / "step-00000012" / "state.json").unlink()
    (tmp_path / ".saving-00000016").mkdir()
    assert checkpoint_steps(tmp_path) == [4, 8]


def test_a_loss_that_is_not_finite_stops_and_names_step_and_examples():
    class Broken:
        vocabulary_size = 60
        fingerprint = "broken"

        def __init__(self):
            self.asked = 0

        def answer(self, batch):
            self.asked += 1
            value = np.nan if self.asked == 3 else 0.0
            return np.full((*batch.labels.shape, 60), value, dtype="float32")

    with pytest.raises(
        WorkError, match=r"step 3, rank 0, micro-batch 0: the loss is not finite .*examples \d+"
    ):
        run_steps(BASE, teacher=Broken())


def test_a_teacher_of_another_vocabulary_is_refused():
    other = make_teacher()
    other.vocabulary_size = 61
    with pytest.raises(InputError, match="vocabulary has 61 tokens, the student's has 60"):
        run_steps(BASE, teacher=other)


def test_float16_without_a_gpu_is_refused():
    with pytest.raises(InputError, match="needs a GPU"):
        run_steps(dataclasses.replace(BASE, dtype="float16"))


@needs_bf16
@pytest.mark.parametrize("accumulate", [1, 3])
def test_fast_rounds_the_gradient_of_every_parameter(accumulate):
    large = dataclasses.replace(BASE, batch_size=12)
    expected, flat = first_updates(large)
    small = dataclasses.replace(large, batch_size=12 // accumulate, accumulate=accumulate)
    found, _ = first_updates(dataclasses.replace(small, math="fast"))
    differences = relative_differences(flat, found[0][0], expected[0][0])
    assert 1e-4 < max(differences.values()) < 0.05, differences


def test_sequences_longer_than_the_model_takes_are_refused(tmp_path):
    short = SMALL.replace(maximum_length=16)
    with pytest.raises(InputError, match="24 tokens long, the architecture takes at most 16"):
        pretrain(make_model(architecture=short), make_data(), BASE, SingleProcess(), mx.cpu())


def test_every_held_out_token_counts_once_whatever_the_batch(tmp_path):
    scores = []
    for size in (1, 4, 50):
        config = dataclasses.replace(BASE, num_steps=1, batch_size_eval=size)
        scores.append(run(config, tmp_path / str(size)).score)
    assert len({score.predictions for score in scores}) == 1
    assert np.ptp([score.mlm_loss for score in scores]) < 1e-5


def test_dropout_seeds_differ_by_step_micro_batch_and_rank():
    seeds = {dropout_seed(0, s, m, r) for s in range(20) for m in range(3) for r in range(3)}
    assert len(seeds) == 180
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_clipping_bounds_the_step(tmp_path: Path):
    _, loose = run_steps(dataclasses.replace(BASE, clip=1e9), steps=1)
    _, tight = run_steps(dataclasses.replace(BASE, clip=1e-3), steps=1)
    assert loose[0].gradient_norm == pytest.approx(tight[0].gradient_norm)
    assert loose[0].gradient_norm > 1e-3
