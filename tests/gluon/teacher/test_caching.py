"""Tests that training from cached answers equals training from the live teacher."""

from __future__ import annotations

import dataclasses

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.pretraining.pretrain import (
    PretrainingHooks,
    plan_batches,
    planned_batches,
    pretrain,
)
from bort.gluon.teacher.caching import (
    batch_maker,
    every_row,
    open_teacher_cache,
    row_length,
)
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.ranks import SingleProcess
from bort.teacher.cache import CacheKey, TeacherCache, key_fields
from bort.teacher.config import TeacherCacheConfig
from bort.teacher.filling import fill_cache
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from tests.gluon.pretraining.test_trainer import (
    BASE,
    make_data,
    make_model,
    make_teacher,
    run_steps,
)
from tests.text.toy import ToyVocabulary

CYCLE = dataclasses.replace(BASE, num_steps=40, mask_epochs=2)
VOCABULARY = ToyVocabulary()


def fill(folder, config=CYCLE, teacher=None, top_k=0, temperatures=(2.0,), batch_size=4):
    """Cache a teacher's answers to the toy text of `make_data`."""
    teacher = teacher or make_teacher()
    data = make_data(config)
    key = CacheKey.of(
        teacher,
        mask_epochs=config.mask_epochs,
        top_k=top_k,
        temperatures=temperatures if top_k else (),
        **key_fields(data.masking, data.train, VOCABULARY, row_length(data.train)),
    )
    rows = every_row(len(data.train), config.mask_epochs)
    make = batch_maker(data.train, data.masking, key)
    assert fill_cache(folder, key, rows, make, teacher, batch_size=batch_size, rows_per_part=16)
    return open_for(folder, config)[0]


def open_for(folder, config=CYCLE, train=None, vocabulary=VOCABULARY):
    return open_teacher_cache(folder, config, train or make_data(config).train, vocabulary)


def losses(reports):
    return [(report.loss, report.distillation_loss, report.gradient_norm) for report in reports]


def test_full_answers_train_like_the_live_teacher_bit_for_bit(tmp_path):
    """40 steps of 4 of 50 examples: more than three epochs with two epochs of masks."""
    cache = fill(tmp_path)
    live_weights, live = run_steps(CYCLE, 40, 0.1, make_teacher())
    kept_weights, kept = run_steps(CYCLE, 40, 0.1, cache)
    assert losses(live) == losses(kept)
    assert (live_weights == kept_weights).all()
    endless = dataclasses.replace(CYCLE, mask_epochs=None)
    other_weights, other = run_steps(endless, 40, 0.1, make_teacher())
    assert losses(other)[:26] == losses(live)[:26], "two epochs of 13 steps"
    assert losses(other)[26] != losses(live)[26]
    with pytest.raises(InputError, match=r"does not cover example \d+ of epoch 2"):
        run_steps(endless, 40, 0.1, cache)


def test_other_shapes_of_batches_train_alike(tmp_path):
    cache = fill(tmp_path, batch_size=7)
    shapes = dataclasses.replace(CYCLE, num_buckets=3, accumulate=2, batch_size=3)
    live_weights, live = run_steps(shapes, 12, 0.1, make_teacher())
    kept_weights, kept = run_steps(shapes, 12, 0.1, cache)
    np.testing.assert_allclose(losses(live), losses(kept), rtol=1e-4)
    np.testing.assert_allclose(live_weights, kept_weights, atol=1e-4)


def test_the_more_logits_are_kept_the_nearer_is_the_training(tmp_path):
    _, full = run_steps(CYCLE, 20, 0.0, make_teacher())
    distances = []
    for top_k in (59, 30, 3):
        _, kept = run_steps(CYCLE, 20, 0.0, fill(tmp_path / str(top_k), top_k=top_k))
        differences = np.array(losses(kept)) - np.array(losses(full))
        distances.append(float(np.abs(differences[:, :2]).max()))
    assert distances[0] < 1e-5, "59 of 60 logits are kept, so nothing is lost"
    assert 1e-4 < distances[1] < distances[2] < 0.05


def test_masks_repeat_and_the_order_does_not():
    plan = plan_batches(make_data(CYCLE).train, CYCLE, 1)
    steps = list(planned_batches(plan, make_data(CYCLE), CYCLE, SingleProcess(), 1))
    assert [step[0].epoch for step in steps] == [n // 13 % 2 for n in range(40)]
    orders = [[list(step[0].example_ids) for step in steps[f : f + 13]] for f in (0, 26)]
    assert orders[0] != orders[1], "the order of examples differs in every epoch"
    again = planned_batches(plan, make_data(CYCLE), CYCLE, SingleProcess(), 30)
    assert (next(again)[0].input_ids == steps[29][0].input_ids).all()


@pytest.mark.parametrize("top_k", [0, 5])
@pytest.mark.parametrize("interrupted_after", [4, 32])
def test_a_resumed_run_from_a_cache_equals_an_uninterrupted_one(tmp_path, top_k, interrupted_after):
    fill(tmp_path / "cache", top_k=top_k)
    asked = dataclasses.replace(CYCLE, mask_epochs=None)
    results = {}
    for name, pieces in (("whole", [40]), ("split", [interrupted_after, 40])):
        lines = {}
        for number, last in enumerate(pieces):
            cache, config = open_for(tmp_path / "cache", asked)
            assert config.mask_epochs == 2
            steps = iter(range(1, 100))
            pretrain(
                make_model(seed=number),
                make_data(config),
                config,
                SingleProcess(),
                mx.cpu(),
                teacher=cache,
                folder=tmp_path / name,
                resume=number > 0,
                hooks=PretrainingHooks(
                    stop_requested=lambda steps=steps, last=last: next(steps) >= last,
                    on_step=lambda step, report, lines=lines: lines.update({step: report.loss}),
                ),
            )
        step = checkpoint_steps(tmp_path / name)[-1]
        tensors = (tmp_path / name / f"step-{step:08d}" / "tensors.safetensors").read_bytes()
        results[name] = (step, tensors, lines)
    assert results["whole"][0] == 40
    assert results["whole"] == results["split"]


def test_a_run_is_not_resumed_with_other_answers(tmp_path):
    fill(tmp_path / "full")
    fill(tmp_path / "top", top_k=5)
    config = dataclasses.replace(CYCLE, num_steps=4)
    how = {"folder": tmp_path / "run"}
    for name, resume in (("full", False), ("top", True)):
        cache, config = open_for(tmp_path / name, config)
        if resume:
            with pytest.raises(InputError, match=r"run: teacher differs .* started with '\w{12}'"):
                train(config, cache, resume=True, **how)
        else:
            train(config, cache, **how)
    with pytest.raises(InputError, match="mask_epochs is None, .* started with 2"):
        train(dataclasses.replace(config, mask_epochs=None), cache, resume=True, **how)


def train(config, teacher, **how):
    data = make_data(config)
    return pretrain(make_model(), data, config, SingleProcess(), mx.cpu(), teacher=teacher, **how)


def test_the_cache_decides_when_masks_repeat(tmp_path):
    fill(tmp_path)
    assert open_for(tmp_path, dataclasses.replace(CYCLE, mask_epochs=None))[1] == CYCLE
    assert open_for(tmp_path, CYCLE)[1] == CYCLE
    with pytest.raises(InputError, match="mask_epochs is 2, expected is 3"):
        open_for(tmp_path, dataclasses.replace(CYCLE, mask_epochs=3))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"data_seed": 5}, "mask_seed"),
        ({"seed": 5}, "mask_seed"),
        ({"mask_probability": 0.3}, "mask_probability"),
        ({"max_predictions": 2}, "max_predictions"),
        ({"whole_word_mask": True}, "whole_word_mask"),
        ({"distillation_temperature": 3.0}, "temperatures"),
    ],
)
def test_a_cache_of_other_masks_is_refused(tmp_path, change, field):
    fill(tmp_path, top_k=3)
    with pytest.raises(InputError, match=f": {field} (is|are) "):
        open_for(tmp_path, CYCLE.replace(**change))


def test_a_cache_of_other_text_is_refused(tmp_path):
    fill(tmp_path)
    with pytest.raises(InputError, match=": train is 'toy-50-0-7', expected is 'toy-49-0-7'"):
        open_for(tmp_path, train=make_data(count=49).train)
    with pytest.raises(InputError, match=": vocabulary_size is 60, expected is 61"):
        open_for(tmp_path, vocabulary=ToyVocabulary(61))


def test_settings_that_draw_no_masks_may_differ(tmp_path):
    fill(tmp_path)
    other = dataclasses.replace(CYCLE, seed=7, data_seed=0, lr=1.0, batch_size=2, num_buckets=2)
    open_for(tmp_path, other)


def test_the_length_is_that_of_the_plan():
    for count in (3, 50):
        train_text = make_data(count=count).train
        config = dataclasses.replace(BASE, batch_size=1)
        assert row_length(train_text) == plan_batches(train_text, config, 1).maximum_length


def test_every_row_is_in_order():
    assert every_row(3, 2).tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_the_command_draws_the_masks_of_pretraining():
    ours, run = TeacherCacheConfig(data="x", output_dir="y"), PretrainingConfig()
    assert (ours.masks.policy, ours.seed) == (run.masks.policy, run.order_seed)
    assert run.objective.distillation_temperature in ours.temperatures


@pytest.mark.parametrize(
    ("name", "value"),
    [("teacher_random_seed", 0), ("teacher_ckpt_dir", "weights"), ("teacher_model", "None")],
)
def test_a_cache_and_a_network_are_not_both_given(name, value):
    paths = PretrainingPaths(data="x").replace(**{name: value})
    with pytest.raises(InputError, match=f"teacher_cache is 'kept' and {name} is"):
        paths.replace(teacher_cache="kept")


def test_opening_does_not_need_the_teacher(tmp_path):
    fill(tmp_path)
    cache = TeacherCache.open(tmp_path)
    assert cache.key.teacher == make_teacher().fingerprint
    assert cache.fingerprint != cache.key.teacher
