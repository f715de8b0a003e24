"""Tests of the error surrogate: its value, and that it depends only on the trial."""

from __future__ import annotations

import dataclasses
import math

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.array_network import arrays_of
from bort.gluon.network.initial_weights import FastNormal
from bort.gluon.network.model import BortModel
from bort.gluon.search.candidate_error import DistillationError
from bort.network.from_teacher import as_whole, student_from
from bort.ranks import SingleProcess
from bort.search.config import SearchConfig
from bort.search.questions import SearchQuestions, SearchText
from bort.search.surrogates import Hyperparameters, Trial
from tests.formats.parity import make_network
from tests.gluon.pretraining.test_trainer import make_teacher
from tests.text.toy import ToyExamples, ToyVocabulary

SIZES = {"vocabulary_size": 60, "maximum_length": 24}
SMALL = Architecture(2, 2, 8, 16, **SIZES)
LARGE = Architecture(2, 2, 16, 32, **SIZES)
CONFIG = SearchConfig(
    train_steps=3, batch_size=4, held_out_batches=2, initializer_range=0.3, latency="multiply_adds"
)
THETA = Hyperparameters()


def toy_text(train=50, held_out=13) -> SearchText:
    return SearchText(ToyExamples(train), ToyExamples(held_out, seed=1), ToyVocabulary())


def make_error(config=CONFIG, teacher=None) -> DistillationError:
    questions = SearchQuestions(config, toy_text())
    teacher = teacher or make_teacher()
    return DistillationError(
        config,
        questions.train_batches(),
        questions.held_out_batches(),
        teacher,
        teacher,
        mx.cpu(),
    )


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype("float64") - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def test_the_error_is_the_mean_over_masked_positions_of_the_held_out_text():
    teacher = make_teacher()
    model = make_error(teacher=teacher)
    trial = Trial(SMALL, THETA, 5)
    trainer = model.train(trial)
    cross_entropy = entropy = count = 0.0
    for batch in SearchQuestions(CONFIG, toy_text()).held_out_batches():
        expected = log_softmax(teacher.answer(batch).asnumpy())
        ours = log_softmax(trainer.predict(batch).asnumpy())
        weights = batch.weights
        cross_entropy -= ((np.exp(expected) * ours).sum(-1) * weights).sum()
        entropy -= ((np.exp(expected) * expected).sum(-1) * weights).sum()
        count += weights.sum()
    cross_entropy, entropy = cross_entropy / count, entropy / count
    assert cross_entropy > entropy > 0.1
    assert model.error(trial) == pytest.approx(cross_entropy, rel=1e-5)
    for kind, value in (
        ("kl", cross_entropy - entropy),
        ("chance", (cross_entropy - entropy) / (math.log(60) - entropy)),
    ):
        other = make_error(dataclasses.replace(CONFIG, error=kind), teacher)
        assert other.error(trial) == pytest.approx(value, rel=1e-3)


def test_a_trial_gives_the_same_bits_whatever_was_tried_before():
    model = make_error()
    first = model.error(Trial(SMALL, THETA, 1))
    other = model.error(Trial(LARGE, Hyperparameters(lr=0.1), 2))
    assert model.error(Trial(SMALL, THETA, 1)) == first
    assert make_error().error(Trial(LARGE, Hyperparameters(lr=0.1), 2)) == other
    assert model.error(Trial(SMALL, THETA, 2)) != first


def test_more_steps_bring_a_candidate_closer_to_the_teacher():
    trial = Trial(LARGE, THETA, 0)
    few, many = (
        make_error(dataclasses.replace(CONFIG, train_steps=steps)).error(trial) for steps in (1, 60)
    )
    assert many < few - 0.05


def test_a_step_is_sgd_with_clipping():
    config = dataclasses.replace(CONFIG, train_steps=1)
    theta = Hyperparameters(lr=0.25, clip=1e-3, warmup_ratio=0.0)
    after = make_error(config).train(Trial(SMALL, theta, 0)).flat.weights.asnumpy()
    still = Hyperparameters(lr=1e-30, clip=1e-3, warmup_ratio=0.0)
    before = make_error(config).train(Trial(SMALL, still, 0)).flat.weights.asnumpy()
    assert np.linalg.norm(after - before) == pytest.approx(0.25 * 1e-3, rel=1e-3)


def test_answers_from_a_cache_give_the_errors_of_the_live_teacher(tmp_path):
    questions, teacher = SearchQuestions(CONFIG, toy_text()), make_teacher()
    assert questions.fill(tmp_path / "c", teacher, SingleProcess(), lambda: False)
    batches = questions.train_batches(), questions.held_out_batches()
    cached = DistillationError(CONFIG, *batches, *questions.open(tmp_path / "c"), mx.cpu())
    live = make_error(teacher=teacher)
    for architecture in (SMALL, LARGE):
        trial = Trial(architecture, THETA, 0)
        assert cached.error(trial) == pytest.approx(live.error(trial), abs=1e-6)


def test_top_k_answers_keep_the_order_of_clearly_different_candidates(tmp_path):
    config = dataclasses.replace(CONFIG, top_k=20, train_steps=40)
    questions, teacher = SearchQuestions(config, toy_text()), make_teacher()
    assert questions.fill(tmp_path / "c", teacher, SingleProcess(), lambda: False)
    batches = questions.train_batches(), questions.held_out_batches()
    answers, answers_at_1 = questions.open(tmp_path / "c")
    assert [entry["temperature"] for entry in answers.deviation] == [1.0, 2.0]
    cached = DistillationError(config, *batches, answers, answers_at_1, mx.cpu())
    live = make_error(config, teacher)
    trials = [
        Trial(architecture, Hyperparameters(lr=lr), 0)
        for architecture, lr in ((SMALL, 1e-3), (SMALL, 0.5), (LARGE, 0.5))
    ]
    exact, approximate = ([model.error(t) for t in trials] for model in (live, cached))
    assert np.argsort(exact).tolist() == np.argsort(approximate).tolist()
    np.testing.assert_allclose(exact, approximate, rtol=0.1)


def test_a_cache_for_more_steps_serves_and_one_for_fewer_is_refused(tmp_path):
    longer = SearchQuestions(dataclasses.replace(CONFIG, train_steps=9), toy_text())
    assert longer.fill(tmp_path / "c", make_teacher(), SingleProcess(), lambda: False)
    assert SearchQuestions(CONFIG, toy_text()).is_complete(tmp_path / "c")
    much_longer = SearchQuestions(dataclasses.replace(CONFIG, train_steps=10), toy_text())
    with pytest.raises(InputError, match="holds answers for other examples"):
        much_longer.is_complete(tmp_path / "c")
    reseeded = SearchQuestions(dataclasses.replace(CONFIG, seed=1), toy_text())
    with pytest.raises(InputError, match="mask_seed"):
        reseeded.is_complete(tmp_path / "c")


def test_held_out_examples_are_spread_over_the_text():
    config = dataclasses.replace(CONFIG, held_out_batches=2, batch_size=2)
    ids = [b.example_ids for b in SearchQuestions(config, toy_text()).held_out_batches()]
    assert np.concatenate(ids).tolist() == [0, 4, 8, 12]
    few = SearchQuestions(CONFIG, toy_text(held_out=5)).held_out_batches()
    assert np.concatenate([b.example_ids for b in few]).tolist() == [0, 1, 2, 3, 4, -1, -1, -1]


def test_initial_weights_are_normal_and_repeat_with_the_seed():
    def weights(seed):
        mx.random.seed(np.random.randint(1000))  # must have no effect
        model = BortModel(LARGE, dropout=0.0)
        model.initialize(FastNormal(0.3, seed))
        return {n: p.data().asnumpy() for n, p in model._collect_params_with_prefix().items()}

    one, again, other = weights(1), weights(1), weights(2)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    drawn = np.concatenate([v.ravel() for n, v in one.items() if n.endswith("weight")])
    assert drawn.std() == pytest.approx(0.3, rel=0.05)
    assert abs(drawn.mean()) < 0.02
    assert not np.array_equal(one["word_embed.0.weight"], other["word_embed.0.weight"])
    gammas = [value for name, value in one.items() if name.endswith("gamma")]
    assert gammas
    assert all((value == 1).all() for value in gammas)
    assert all((value == 0).all() for name, value in one.items() if name.endswith("beta"))


def test_a_candidate_starts_as_a_slice_of_the_given_network():
    sizes = Architecture(3, 4, 20, 40, 64, 30, 2)
    start = as_whole(make_network(sizes, decoder=True))
    questions = SearchQuestions(CONFIG, toy_text())
    batches = questions.train_batches(), questions.held_out_batches()
    teacher = make_teacher()
    config = dataclasses.replace(CONFIG, train_steps=1)
    still = Hyperparameters(lr=1e-30)
    model = DistillationError(config, *batches, teacher, teacher, mx.cpu(), start)
    candidate = SMALL.replace(hidden=10)
    trained = arrays_of(model.train(Trial(candidate, still, 5)).model)
    expected = student_from(start, candidate, decoder=True)
    assert trained.keys() == expected.arrays.keys()
    for name, array in trained.items():
        np.testing.assert_array_equal(array, expected.arrays[name], err_msg=name)
    assert model.error(Trial(candidate, THETA, 5)) == model.error(Trial(candidate, THETA, 6))
