"""Tests of vocabularies padded to a multiple: further outputs change nothing and leave no trace."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

import mxnet as mx
import numpy as np
import pytest

from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.pretraining.learner import MaskedTokenLearner
from bort.gluon.pretraining.pretrain import PretrainingHooks, pretrain
from bort.gluon.pretraining.student import StudentPass, padded_outputs
from bort.gluon.pretraining.trainer import DistillationTrainer
from bort.gluon.super_network.trainer import SuperNetworkTrainer
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.flat import FlatParameters
from bort.ranks import SingleProcess
from bort.teacher.answers import Answers
from bort.text.batches import make_batch as masked_batch
from bort.text.masking import Masking, MaskingPolicy
from bort.training.objective import Objective
from tests.gluon.network.network_samples import SMALL, make_batch
from tests.gluon.network.network_samples import make_model as make_large_weights
from tests.gluon.pretraining.test_pretraining_run import run
from tests.gluon.pretraining.test_trainer import BASE, make_data, make_model, make_teacher
from tests.gluon.super_network.test_trainer import WHOLE, configured, make_trainer
from tests.text.toy import ToyExamples, ToyVocabulary

TOKENS = SMALL.vocabulary_size
MULTIPLE = 64
PLANTED = 1e3
UNCLIPPED = dataclasses.replace(BASE, clip=0.0)


def plant(flat: FlatParameters) -> None:
    """Set the further rows of the decoder to a number that beats all logits."""
    for name in ("decoder.3.weight", "decoder.3.bias"):
        weights, _ = flat.with_further_rows(name)
        tokens = next(slot for slot in flat.slots if slot.name == name).shape[0]
        weights[tokens:] = PLANTED if name.endswith("weight") else PLANTED**2


def make_pass(multiple: int, tied: bool = True) -> Any:
    model = make_large_weights(SMALL, dropout=0.1, tied_decoder=tied)
    flat = FlatParameters(model, mx.cpu(), row_multiples=padded_outputs(multiple))
    return model, flat


def parameters(flat: FlatParameters, buffer: mx.nd.NDArray) -> Dict[str, np.ndarray]:
    return {slot.name: flat.view(buffer, slot).asnumpy() for slot in flat.slots}


def assert_same(ours: Dict[str, np.ndarray], theirs: Dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def test_the_buffers_have_a_multiple_of_rows() -> None:
    assert TOKENS == 90
    _, flat = make_pass(MULTIPLE)
    matrix, gradient = flat.with_further_rows("decoder.3.weight")
    assert matrix.shape == gradient.shape == (128, SMALL.hidden)
    assert flat.with_further_rows("decoder.3.bias")[0].shape == (128,)
    assert flat.with_further_rows("decoder.0.weight") is None
    _, fitting = make_pass(9)
    assert fitting.with_further_rows("decoder.3.weight") is None


@pytest.mark.parametrize("tied", [True, False])
def test_logits_losses_and_gradients_keep_their_bits(tied: bool) -> None:
    found = []
    for multiple in (1, MULTIPLE):
        model, flat = make_pass(multiple, tied)
        if multiple > 1:
            plant(flat)
        learner = MaskedTokenLearner(model, flat, Objective(), mx.cpu(), keeps_outputs=True)
        teacher = np.random.default_rng(1).normal(size=(4, 3, TOKENS)).astype(np.float32)
        sums = [
            learner.learn(make_batch(seed=number), Answers(teacher), seed=5, first=number == 0)
            for number in (0, 1)
        ]
        logits = learner.predict(make_batch()).asnumpy()
        assert logits.shape == (4, 3, TOKENS)
        assert learner.outputs.shape == (4, 3, TOKENS)
        found.append((np.array(sums), logits, parameters(flat, flat.gradients)))
        if multiple > 1:
            for name in ("decoder.3.weight", "decoder.3.bias"):
                assert not flat.with_further_rows(name)[1][TOKENS:].asnumpy().any()
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert_same(found[0][2], found[1][2])


def test_outputs_that_are_not_cut_off_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: losses and predictions over all rows."""
    results = []
    for is_whole in (True, False):
        model, flat = make_pass(MULTIPLE)
        plant(flat)
        if not is_whole:
            monkeypatch.setattr(mx.nd, "slice_axis", lambda x, **where: x)
        student = StudentPass(model, flat, mx.cpu())
        results.append(student.predict(make_batch()).asnumpy().argmax(axis=-1))
    assert results[0].max() < TOKENS
    assert results[1].min() >= TOKENS


def test_replacements_are_tokens_of_the_vocabulary() -> None:
    """Masks are drawn from the vocabulary, which the padding is no part of."""
    tokens = 60
    policy = MaskingPolicy(probability=1.0, mask_share=0.0, random_share=1.0)
    masking = Masking(ToyVocabulary(tokens), policy, 0)
    batch = masked_batch(ToyExamples(400, tokens), np.arange(400), 0, 24, masking)
    assert set(range(5, tokens)) == set(np.unique(batch.input_ids)) - set(range(5))


def trained(folder: Any, multiples: Any) -> Dict[str, bytes]:
    """Return the last checkpoint of a run, whose pieces pad to several multiples."""
    for number, multiple in enumerate(multiples):
        config = dataclasses.replace(UNCLIPPED, pad_vocabulary_to_multiple_of=multiple)
        is_last = number == len(multiples) - 1
        done: list = []
        pretrain(
            make_model(seed=number),
            make_data(config),
            config,
            SingleProcess(),
            mx.cpu(),
            teacher=make_teacher(),
            folder=folder,
            resume=number > 0,
            hooks=PretrainingHooks(
                on_step=lambda step, report, done=done: done.append(step),
                stop_requested=lambda last=is_last, done=done: not last and len(done) == 4,
            ),
        )
    last = folder / f"step-{checkpoint_steps(folder)[-1]:08d}"
    return {path.name: path.read_bytes() for path in last.glob("*.safetensors")}


def test_checkpoints_hold_the_vocabulary_alone_and_resume_with_any_multiple(tmp_path: Any) -> None:
    plain = trained(tmp_path / "plain", [1])
    assert trained(tmp_path / "padded", [16]) == plain
    assert trained(tmp_path / "resumed", [16, 16]) == plain
    assert trained(tmp_path / "other", [16, 1]) == plain


def test_models_have_the_rows_of_the_vocabulary(tmp_path: Any) -> None:
    for name, multiple in (("plain", 1), ("padded", 16)):
        run(tmp_path / name, clip=0.0, pad_vocabulary_to_multiple_of=multiple)
    network, description = load_model_folder(tmp_path / "padded" / "model")
    assert description.architecture.vocabulary_size == 60
    assert network.embedding_weight.shape[0] == 60
    paths = [tmp_path / name / "model" / "model.safetensors" for name in ("plain", "padded")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_further_rows_stay_zero_while_weights_decay() -> None:
    config = dataclasses.replace(BASE, pad_vocabulary_to_multiple_of=16, weight_decay=0.1)
    trainer = DistillationTrainer(make_model(), config, SingleProcess(), mx.cpu(), make_teacher())
    data = make_data(config)
    masking = data.masking
    for number in (1, 2, 3):
        batch = masked_batch(data.train, np.arange(4 * number, 4 * number + 4), 0, 24, masking)
        trainer.step(number, [batch])
    for name in ("decoder.3.weight", "decoder.3.bias"):
        weights, _ = trainer.flat.with_further_rows(name)
        assert weights.shape[0] == 64
        assert not weights[60:].asnumpy().any()
        assert weights[:60].asnumpy().any()


def super_network(multiple: int) -> SuperNetworkTrainer:
    """Return a trainer after three steps in which all kinds of sub-networks learn."""
    trainer = make_trainer(
        configured(clip=0.0, dropout=0.1, pad_vocabulary_to_multiple_of=multiple, random_samples=2)
    )
    for number in (1, 2, 3):
        trainer.step(number, [make_batch(WHOLE, number)])
    return trainer


def test_super_networks_keep_their_bits() -> None:
    plain, padded = super_network(1), super_network(32)
    assert padded.flat.with_further_rows("decoder.3.weight")[0].shape[0] == 96
    for name, buffer in plain.buffers().items():
        assert_same(parameters(plain.flat, buffer), parameters(padded.flat, padded.buffers()[name]))
    for name in ("decoder.3.weight", "decoder.3.bias"):
        assert not padded.flat.with_further_rows(name)[0][90:].asnumpy().any()
