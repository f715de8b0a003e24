"""Tests of the trainer of super-networks: what a step changes, targets in place, accumulation."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Sequence

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import WorkError
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.gluon.super_network.lessons import MaskedTokenLessons
from bort.gluon.super_network.trainer import SuperNetworkReport, SuperNetworkTrainer
from bort.network.parameter_names import places
from bort.network.sub_network import part_of
from bort.ranks import SingleProcess
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.space import SubNetworkSpace
from tests.gluon.network.network_samples import make_batch, make_model, needs_bf16
from tests.gluon.training.gradients import relative_differences

WHOLE = Architecture(3, 4, 32, 48, vocabulary_size=90, maximum_length=24)
SPACE = SubNetworkSpace(depths=(1, 2, 3), hiddens=(8, 20, 32), intermediates=(16, 48), heads=(1, 4))
SMALL = SubNetworkSpace(depths=(1, 2), hiddens=(8, 20), intermediates=(16, 24), heads=(1, 2))


def configured(**settings: Any) -> SuperNetworkConfig:
    values = {"num_steps": 20, "lr": 1e-2, "warmup_ratio": 0.0, "dropout": 0.0, "mlm_weight": 1.0}
    values.update({"teacher_ce_weight": 0.0, **settings})
    return SuperNetworkConfig.from_dict(values, "test")


def make_trainer(
    config: SuperNetworkConfig,
    space: SubNetworkSpace = SPACE,
    layer_order: Optional[Sequence[int]] = None,
    lessons: Any = None,
    seed: int = 0,
    communicator: Any = None,
) -> SuperNetworkTrainer:
    model = make_model(WHOLE, seed=seed, dropout=config.pretraining.dropout)
    return SuperNetworkTrainer(
        model,
        lessons or MaskedTokenLessons(config, mx.cpu()),
        space,
        config,
        communicator or SingleProcess(),
        mx.cpu(),
        layer_order=layer_order,
    )


def state(trainer: Any) -> Dict[str, np.ndarray]:
    return {name: buffer.asnumpy() for name, buffer in trainer.buffers().items()}


def held(trainer: SuperNetworkTrainer, architectures: Sequence[Architecture], order: Any) -> Any:
    """Return a mask of the flat buffers: the elements that any of the architectures holds."""
    inside = np.zeros(trainer.flat.size, bool)
    shapes = {slot.name: slot for slot in trainer.flat.slots}
    shapes["word_embed.0.weight"] = shapes["decoder.3.weight"]  # tied
    for architecture in architectures:
        part = part_of(WHOLE, architecture, order)
        blank = {name: np.zeros(slot.shape, bool) for name, slot in shapes.items()}
        for name, mask in part.masks(blank, places(architecture, decoder=True)).items():
            slot = shapes[name]
            inside[slot.offset : slot.offset + slot.size] |= mask.reshape(-1)
    return inside


def used(trainer: SuperNetworkTrainer) -> np.ndarray:
    """Return a mask of the elements that are no padding between parameters."""
    return held(trainer, [WHOLE], None)


@pytest.mark.parametrize("optimizer", ["bertadam", "sgd"])
@pytest.mark.parametrize("order", [None, (2, 0, 1)])
def test_a_step_changes_no_weight_outside_of_its_sub_networks(optimizer: str, order: Any) -> None:
    """Weights, moments and weight decay; the first step makes all moments differ from 0."""
    config = configured(
        sampling="uniform", random_samples=2, optimizer=optimizer, weight_decay=10.0, seed=4
    )
    trainer = make_trainer(config, SMALL, layer_order=order)
    for buffer in list(trainer.buffers().values())[1:]:
        buffer[:] = mx.nd.array(1e-3 * used(trainer))
    for number in (1, 2, 3):
        before = state(trainer)
        report = trainer.step(number, [make_batch(WHOLE, number)])
        inside = held(trainer, report.architectures, order)
        assert 0 < inside.sum() < used(trainer).sum()
        assert not trainer.flat.gradients.asnumpy()[~inside].any()
        for name, after in state(trainer).items():
            np.testing.assert_array_equal(after[~inside], before[name][~inside], name)
        changed = state(trainer)["weights"] != before["weights"]
        assert changed[inside].mean() > 0.9


def test_decay_of_the_whole_tensor_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: the optimizer updates everything."""
    config = configured(sampling="uniform", random_samples=1, weight_decay=10.0)
    trainer = make_trainer(config, SMALL)
    monkeypatch.setattr(
        "bort.gluon.super_network.trainer.update_touched",
        lambda optimizer, flat, touched, rate, scale: optimizer.update(rate, scale),
    )
    before = state(trainer)["weights"]
    report = trainer.step(1, [make_batch(WHOLE)])
    outside = used(trainer) & ~held(trainer, report.architectures, None)
    assert (state(trainer)["weights"][outside] != before[outside]).any()


def test_a_space_of_the_whole_alone_trains_as_an_ordinary_model() -> None:
    """The same bits in weights and moments, with dropout."""
    config = configured(sampling="uniform", random_samples=1, dropout=0.1, accumulate=2)
    alone = SubNetworkSpace((3,), (32,), (48,), heads=(4,))
    trainer = make_trainer(config, alone)
    model = make_model(WHOLE, dropout=0.1)
    ordinary = DistillationTrainer(model, config.pretraining, SingleProcess(), mx.cpu())
    for number in (1, 2, 3):
        batches = [make_batch(WHOLE, 2 * number), make_batch(WHOLE, 2 * number + 1)]
        ours, theirs = trainer.step(number, batches), ordinary.step(number, batches)
        assert ours.loss == theirs.loss
        assert ours.accuracy == theirs.accuracy
        assert ours.terms["mlm"] == theirs.mlm_loss
    for name, values in state(trainer).items():
        np.testing.assert_array_equal(values, state(ordinary)[name])


class Recorder:
    """Learners that keep what they were given, and lessons that make them."""

    def __init__(self, config: SuperNetworkConfig) -> None:
        self._lessons = MaskedTokenLessons(config, mx.cpu())
        self.calls: List[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lessons, name)

    def make_learner(self, network: Any, flat: Any, hidden_map: Any) -> Any:
        learner = self._lessons.make_learner(network, flat, hidden_map)
        learn = learner.learn

        def recorded(batch: Any, answers: Any, **settings: Any) -> Any:
            sums = learn(batch, answers, **settings)
            outputs = None if learner.outputs is None else learner.outputs.asnumpy()
            target = None if answers.in_place is None else answers.in_place.asnumpy()
            self.calls.append((network.architecture, batch, target, outputs))
            return sums

        learner.learn = recorded
        return learner


def test_every_step_holds_the_largest_the_smallest_and_random_ones() -> None:
    config = configured(random_samples=3)
    recorder = Recorder(config)
    trainer = make_trainer(config, lessons=recorder)
    seen = set()
    for number in range(1, 6):
        recorder.calls.clear()
        report = trainer.step(number, [make_batch(WHOLE, number)])
        architectures = [call[0] for call in recorder.calls]
        assert architectures == list(report.architectures)
        assert architectures[:2] == [SPACE.maximum(WHOLE), SPACE.minimum(WHOLE)]
        assert len(architectures) == 5
        seen.update(architectures[2:])
        assert set(report.losses) == {"largest", "smallest", "random"}
    assert len(seen) > 5


@pytest.mark.parametrize("space", [SPACE, SMALL])
def test_targets_in_place_are_the_largest_ones_outputs_of_the_same_step(space: Any) -> None:
    config = configured(dropout=0.1)
    recorder = Recorder(config)
    trainer = make_trainer(config, space, lessons=recorder)
    for number in (1, 2):
        batches = [make_batch(WHOLE, 2 * number), make_batch(WHOLE, 2 * number + 1)]
        recorder.calls.clear()
        trainer.step(number, batches)
        assert len(recorder.calls) == 2 * 4
        for batch in batches:
            own = [call for call in recorder.calls if call[1] is batch]
            largest = own[0][3]
            assert own[0][2] is None
            for _, _, target, _ in own[1:]:
                np.testing.assert_array_equal(target, largest)


def gradients(config: SuperNetworkConfig, space: SubNetworkSpace = SPACE) -> np.ndarray:
    trainer = make_trainer(config, space)
    trainer.step(1, [make_batch(WHOLE)])
    return trainer.flat.gradients.asnumpy()


def test_no_gradient_flows_into_the_largest_one_from_targets_in_place() -> None:
    """The gradient of largest and smallest is the sum of theirs, each computed alone."""
    together = gradients(configured(random_samples=0, in_place_weight=3.0))
    trainer = make_trainer(configured(random_samples=0, in_place_weight=3.0))
    lessons = MaskedTokenLessons(trainer.config, mx.cpu())
    batch = make_batch(WHOLE)
    parts = trainer._parts
    largest, smallest = (parts(one) for one in trainer.architectures(1))
    largest.learner.learn(batch, lessons.answers(batch), seed=0, first=True)
    alone = trainer.flat.gradients.asnumpy()
    answers = lessons.answers(batch)._replace(in_place=largest.learner.outputs)
    trainer.flat.clear()
    smallest.load()
    smallest.learner.learn(batch, answers, seed=0, first=True)
    smallest.add_gradients()
    small = trainer.flat.gradients.asnumpy()
    np.testing.assert_allclose(together, alone + small, atol=1e-6 * np.abs(together).max())
    without = gradients(configured(random_samples=0, in_place=False))
    assert np.abs(without - together).max() > 0.1 * np.abs(together).max()
    outside = ~held(trainer, [SPACE.minimum(WHOLE)], None)
    np.testing.assert_array_equal(together[outside], alone[outside])


def merged(batches: Sequence[Any]) -> Any:
    values = {}
    for field in dataclasses.fields(batches[0]):
        columns = [getattr(batch, field.name) for batch in batches]
        is_array = isinstance(columns[0], np.ndarray)
        values[field.name] = np.concatenate(columns) if is_array else columns[0]
    return type(batches[0])(**values)


@pytest.mark.parametrize("settings", [{}, {"sampling": "uniform"}])
def test_accumulated_micro_batches_are_one_large_batch(settings: Dict[str, Any]) -> None:
    batches = [make_batch(WHOLE, seed) for seed in (1, 2, 3)]
    config = configured(**settings)
    several, one = make_trainer(config), make_trainer(config)
    several.step(1, batches)
    one.step(1, [merged(batches)])
    ours, theirs = several.flat.gradients.asnumpy(), one.flat.gradients.asnumpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.abs(theirs).max())


@needs_bf16
@pytest.mark.parametrize("settings", [{}, {"sampling": "uniform"}])
def test_fast_rounds_the_gradient_of_every_parameter(settings: Dict[str, Any]) -> None:
    batches = [make_batch(WHOLE, seed) for seed in (1, 2, 3)]
    exact, fast = (make_trainer(configured(math=math, **settings)) for math in ("exact", "fast"))
    for trainer in (exact, fast):
        trainer.step(1, batches)
    gradients = (trainer.flat.gradients.asnumpy() for trainer in (fast, exact))
    differences = relative_differences(exact.flat, *gradients)
    assert 1e-4 < max(differences.values()) < 0.05, differences


def test_micro_batches_draw_anew_if_asked() -> None:
    batches = [make_batch(WHOLE, seed) for seed in (1, 2)]
    config = configured(sampling="uniform", random_samples=3, new_samples_per_micro_batch=True)
    trainer = make_trainer(config)
    report = trainer.step(1, batches)
    assert len(report.architectures) == 6
    assert report.architectures[:3] != report.architectures[3:]
    assert report.architectures[3:] == trainer.architectures(1, micro=1)
    plain = make_trainer(configured(sampling="uniform", random_samples=3)).step(1, batches)
    assert plain.architectures == report.architectures[:3]


def losses(reports: Sequence[SuperNetworkReport]) -> List[float]:
    return [report.losses["smallest"] for report in reports]


def test_sub_networks_learn() -> None:
    trainer = make_trainer(configured(num_steps=60, lr=3e-3))
    batch = make_batch(WHOLE)
    reports = [trainer.step(number, [batch]) for number in range(1, 61)]
    assert losses(reports)[-1] < 0.7 * losses(reports)[0]
    assert reports[-1].losses["largest"] < 0.5 * reports[0].losses["largest"]


def test_the_number_of_kept_sub_networks_changes_no_bit() -> None:
    found = []
    for keep in (1, 64):
        trainer = make_trainer(configured(cached_parts=keep, dropout=0.1))
        for number in (1, 2, 3):
            trainer.step(number, [make_batch(WHOLE, number)])
        found.append(state(trainer))
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_a_step_that_is_not_finite_names_the_examples() -> None:
    trainer = make_trainer(configured())
    trainer.flat.weights[5] = np.nan
    with pytest.raises(WorkError, match="step 1.*the loss is not finite.*examples"):
        trainer.step(1, [make_batch(WHOLE)])
