"""Tests of frozen embeddings: they keep their bits, and all else learns as without freezing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Tuple

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.finetuning.finetune import FinetuningHooks
from bort.gluon.finetuning.trial_data import random_answers, random_classifier, random_inputs
from bort.gluon.network.networks import token_embeddings
from bort.gluon.super_network.lessons import TaskLessons
from bort.gluon.super_network.trainer import SuperNetworkTrainer
from bort.gluon.training.checkpoint import load_checkpoint, save_checkpoint
from bort.gluon.training.flat import FlatParameters
from bort.gluon.training.optimizer import FlatBertAdam
from bort.ranks import SingleProcess
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.space import SubNetworkSpace
from bort.text.labelled import LabelledBatch, make_labelled_batch
from tests.gluon.finetuning.test_finetuning import CONFIG, make_network, run, weights
from tests.gluon.network.network_samples import make_model

WHOLE = Architecture(3, 4, 32, 48, vocabulary_size=90, maximum_length=24)
SPACE = SubNetworkSpace(depths=(1, 2), hiddens=(8, 20), intermediates=(16, 24), heads=(1, 2))
FROZEN = dataclasses.replace(CONFIG, freeze_embeddings=True)
TABLE = "bort.word_embed.0.weight"


def test_frozen_parameters_are_behind_the_others_and_have_no_gradient() -> None:
    network = make_network()
    names = token_embeddings(network)
    assert names == {TABLE}
    before = weights(network)
    flat = FlatParameters(network, mx.cpu(), frozen=names)
    *trained, last = flat.slots
    assert (last.name, last.is_frozen, last.offset) == (TABLE, True, flat.size)
    assert not any(slot.is_frozen for slot in trained)
    assert flat.gradients.size == flat.size == flat.weights.size - last.reserved
    assert flat.held_by(flat.gradients) == trained
    assert flat.held_by(flat.weights) == flat.slots
    assert all(np.array_equal(value, before[name]) for name, value in weights(network).items())
    parameters = network._collect_params_with_prefix()
    assert [n for n, p in parameters.items() if p.grad_req == "null"] == [TABLE]
    optimizer = FlatBertAdam(flat, weight_decay=0.5)
    flat.gradients[:] = 1.0
    optimizer.update(0.1, 1.0)
    changed = {name for name, value in weights(network).items() if (value != before[name]).any()}
    assert changed == set(before) - {TABLE}


def test_a_tied_table_has_both_names() -> None:
    assert token_embeddings(make_model(WHOLE)) == {"word_embed.0.weight", "decoder.3.weight"}


@pytest.mark.parametrize("optimizer", ["bertadam", "adamw", "sgd"])
def test_the_first_step_of_all_other_parameters_has_the_bits_of_one_without_freezing(
    optimizer: str,
) -> None:
    settings: Dict[str, Any] = {"epochs": 1, "clip": 0.0, "optimizer": optimizer}
    hooks = FinetuningHooks(stop_requested=lambda: True, show_progress=False)
    found = []
    for config in (CONFIG, FROZEN):
        network, result = run(config=dataclasses.replace(config, **settings), hooks=hooks)
        assert result.steps == 1
        found.append(weights(network))
    assert np.array_equal(found[1][TABLE], weights(make_network())[TABLE])
    assert not np.array_equal(found[0][TABLE], found[1][TABLE])
    assert all(np.array_equal(found[0][n], v) for n, v in found[1].items() if n != TABLE)


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """The network of the resumed run has other weights, the embeddings' too."""
    whole, expected = run(tmp_path / "whole", FROZEN)
    seen = []
    hooks = FinetuningHooks(
        stop_requested=lambda: len(seen) >= 4,
        on_step=lambda step, report: seen.append(step),
        show_progress=False,
    )
    _, first = run(tmp_path / "halves", FROZEN, hooks=hooks)
    assert first.stopped
    resumed, result = run(tmp_path / "halves", FROZEN, resume=True, network=make_network(seed=5))
    assert result.history == expected.history
    for name, value in weights(whole).items():
        assert np.array_equal(weights(resumed)[name], value), name
    with pytest.raises(InputError, match="freeze_embeddings is False, the run to resume started"):
        run(tmp_path / "halves", CONFIG, resume=True)


def test_a_checkpoint_holds_frozen_parameters_and_no_moments_of_them(tmp_path: Path) -> None:
    network = make_network()
    flat = FlatParameters(network, mx.cpu(), frozen=token_embeddings(network))
    optimizer = FlatBertAdam(flat, weight_decay=0.0)
    optimizer.mean[:] = 0.25
    buffers = {"weights": flat.weights, **optimizer.state()}
    save_checkpoint(tmp_path, 3, flat, buffers, {}, keep=1)
    other = make_network(seed=4)
    copy = FlatParameters(other, mx.cpu(), frozen=token_embeddings(other))
    again = FlatBertAdam(copy, weight_decay=0.0)
    load_checkpoint(tmp_path, copy, {"weights": copy.weights, **again.state()}, None)
    assert all(np.array_equal(weights(other)[n], v) for n, v in weights(network).items())
    unfrozen = FlatParameters(make_network(), mx.cpu())
    moments = FlatBertAdam(unfrozen, weight_decay=0.0).state()
    with pytest.raises(InputError, match=rf"mean/{TABLE} is nothing"):
        load_checkpoint(tmp_path, unfrozen, {"weights": unfrozen.weights, **moments}, None)


def make_trainer(**settings: Any) -> Tuple[SuperNetworkTrainer, LabelledBatch]:
    values = {"num_steps": 20, "lr": 1e-2, "warmup_ratio": 0.0, "dropout": 0.0, "clip": 0.0}
    values.update({"sampling": "uniform", "random_samples": 2, "weight_decay": 0.5, **settings})
    values.update({"relation_weight": 1.0, "relation_heads": 4})
    config = SuperNetworkConfig.from_dict(values, "test")
    inputs = random_inputs(WHOLE, np.full(8, 12), 2, 8)
    answers = random_answers(WHOLE, inputs, 2, mx.cpu())
    mx.random.seed(3)
    network = random_classifier(WHOLE, 2, mx.cpu())
    lessons = TaskLessons(config, mx.cpu(), answers, is_regression=False)
    trainer = SuperNetworkTrainer(network, lessons, SPACE, config, SingleProcess(), mx.cpu())
    return trainer, make_labelled_batch(inputs, np.arange(8), 12, 0)


def by_name(trainer: SuperNetworkTrainer) -> Dict[str, np.ndarray]:
    flat = trainer.flat
    return {slot.name: flat.view(flat.weights, slot).asnumpy() for slot in flat.slots}


def test_sub_networks_share_frozen_embeddings_and_learn_the_rest_as_before() -> None:
    """In the first step; afterwards the other embeddings change the gradients."""
    (plain, batch), (frozen, _) = make_trainer(), make_trainer(freeze_embeddings=True)
    before = by_name(frozen)
    for trainer in (plain, frozen):
        trainer.step(1, [batch])
    found, expected = by_name(frozen), by_name(plain)
    assert np.array_equal(found[TABLE], before[TABLE])
    assert not np.array_equal(expected[TABLE], before[TABLE])
    assert all(np.array_equal(found[name], expected[name]) for name in found if name != TABLE)
    frozen.step(2, [batch])
    assert np.array_equal(by_name(frozen)[TABLE], before[TABLE])
    changed = {name for name, value in by_name(frozen).items() if (value != found[name]).any()}
    assert changed
    assert TABLE not in changed
    for part in frozen._parts.kept:
        parameters = frozen._parts(part).network._collect_params_with_prefix()
        assert [n for n, one in parameters.items() if one.grad_req == "null"] == [TABLE]
