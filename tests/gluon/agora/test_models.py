"""Tests of Timaeus, Socrates and the proposer on MXNet."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bort.agora.examples import Point
from bort.agora.hyperparameters import HyperparameterSet
from bort.agora.tau import build_tau
from bort.agora.trainings import Training
from bort.errors import InputError, WorkError
from bort.gluon.agora.models import GluonSocrates, MaskedWords, options_of
from bort.gluon.agora.trainer import GluonTimaeus, predicted_labels
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.parameters import collect_arrays
from bort.gluon.teacher.live import load_teacher
from bort.tasks.judging import make_judge
from bort.text.vocabulary import MASK
from tests.gluon.agora.agora_samples import ALONE, CPU, MAX_LEN, SETS, TIMAEUS, Samples


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return Samples("WSC", tmp_path_factory.mktemp("wsc"))


@pytest.fixture(scope="module")
def regression(tmp_path_factory):
    return Samples("STS-B", tmp_path_factory.mktemp("sts"))


def trainer(samples, folder, task, **options):
    return GluonTimaeus(task, samples.start, TIMAEUS, folder, CPU, **options)


def weights(folder):
    return collect_arrays(load_model_folder(folder)[0])


def test_a_training_keeps_its_best_epoch_as_a_fine_tuned_folder(tmp_path, samples):
    task = samples.task()
    timaeus = trainer(samples, tmp_path, task)
    [training] = Training.plan(SETS[:1], task.training)
    trained = timaeus.train(training)
    assert trained.handle == training.key
    folder = timaeus.folder_of(trained.handle)
    task.data.vocabulary.save(folder / "vocabulary")
    (dev,) = task.data.dev
    model = TaskClassifier.load(folder)
    outputs = model.outputs(dev.features, ALONE, 5)
    metrics = make_judge(model.options, dev)(outputs)
    assert np.mean(list(metrics.values())) == trained.dev_score
    assert trained.dev_predictions == predicted_labels(outputs, None)
    assert len(trained.dev_predictions) == len(task.dev)
    again = trainer(samples, tmp_path / "again", samples.task())
    assert again.train(training) == trained
    first, second = weights(folder), weights(again.folder_of(training.key))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_every_hyperparameter_counts(tmp_path, samples):
    task = samples.task()
    timaeus = trainer(samples, tmp_path, task, keep_all=True)
    theta = HyperparameterSet(0, 2e-3, 0.0, 0.1)
    changes = ({}, {"seed": 1}, {"lr": 1e-3}, {"weight_decay": 10.0}, {"warmup_ratio": 0.9})
    sets = [dataclasses.replace(theta, **change) for change in changes]
    plans = Training.plan(sets, task.training)
    plans += Training.plan([theta], task.training[:-2])
    plans += Training.plan([theta], task.training, budget=0.5)
    for training in plans:
        timaeus.train(training)
    found = {weights(timaeus.folder_of(t.key))["classifier.1.weight"].tobytes() for t in plans}
    assert len(found) == len(plans)


def test_only_the_best_models_on_the_same_points_stay(tmp_path, samples):
    task = samples.task()
    timaeus = trainer(samples, tmp_path, task)
    plans = Training.plan(SETS, task.training)
    scores = {training.key: timaeus.train(training).dev_score for training in plans}
    best = {key for key, score in scores.items() if score == max(scores.values())}
    assert {path.name for path in (tmp_path / "models").iterdir()} == best
    timaeus.keep_only([])
    assert list((tmp_path / "models").iterdir()) == []


def test_a_warm_start_begins_with_the_whole_of_another_model(tmp_path, samples):
    task = samples.task()
    timaeus = trainer(samples, tmp_path, task, keep_all=True)
    [first] = Training.plan(SETS[:1], task.training)
    timaeus.train(first)
    still = HyperparameterSet(5, 1e-12, 0.0, 0.0)  # weights hardly change
    [second] = Training.plan([still], task.training, start=(first.key, first.key))
    timaeus._config = dataclasses.replace(TIMAEUS, epochs=1)
    timaeus.train(second)
    one, two = (weights(timaeus.folder_of(t.key)) for t in (first, second))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], atol=1e-4, err_msg=name)
    [lost] = Training.plan([still], task.training, start=("x", "gone"))
    with pytest.raises(WorkError, match=r"gone: the model that a training starts from is missing"):
        timaeus.train(lost)


def test_soft_labels_and_their_temperature_change_the_training(tmp_path, samples):
    task = samples.task()
    points = list(task.training)
    soft = [Point(p.example, p.label, (0.5, 0.5), True) for p in points[:5]] + points[5:]
    [hard_training] = Training.plan(SETS[:1], points)
    [soft_training] = Training.plan(SETS[:1], soft)
    assert hard_training.key != soft_training.key
    found = []
    for temperature, training in ((1.0, hard_training), (1.0, soft_training), (4.0, soft_training)):
        timaeus = trainer(samples, tmp_path / str(len(found)), task)
        timaeus._config = dataclasses.replace(TIMAEUS, temperature=temperature)
        timaeus.train(training)
        found.append(weights(timaeus.folder_of(training.key))["classifier.1.weight"].tobytes())
    assert len(set(found)) == 3


def test_a_regression_is_told_in_values_within_its_range(tmp_path, regression):
    task = regression.task()
    timaeus = trainer(regression, tmp_path, task)
    [training] = Training.plan(SETS[:1], task.training)
    trained = timaeus.train(training)
    assert all(isinstance(value, float) for value in trained.dev_predictions)
    assert predicted_labels(np.array([[-1.0], [9.0], [2.5]]), (0.0, 5.0)) == (0.0, 5.0, 2.5)
    socrates = GluonSocrates(regression.socrates, task.data.record, task.form)
    for answer in socrates.label([point.example for point in task.dev]):
        assert 0 <= answer.label <= 5
        assert answer.probabilities is None


def test_socrates_answers_as_his_model_does(samples):
    task = samples.task()
    socrates = GluonSocrates(samples.socrates, task.data.record, task.form)
    answers = socrates.label([point.example for point in task.dev])
    (dev,) = task.data.dev
    outputs = TaskClassifier.load(samples.socrates).outputs(dev.features, ALONE, 5)
    assert [a.label for a in answers] == outputs.argmax(axis=1).tolist()
    for answer, row in zip(answers, outputs):
        powers = np.exp(row - row.max())
        np.testing.assert_allclose(answer.probabilities, powers / powers.sum(), atol=1e-5)
    again = GluonSocrates(samples.socrates, task.data.record, task.form)
    assert again.fingerprint == socrates.fingerprint
    assert options_of(samples.socrates) == task.data.options
    with pytest.raises(InputError, match="does not say what it was fine-tuned on"):
        options_of(samples.timaeus)


def test_socrates_of_another_task_is_refused(samples, regression):
    task = regression.task()
    with pytest.raises(InputError, match="was fine-tuned on WSC, STS-B needs a model of STS-B"):
        GluonSocrates(samples.socrates, task.data.record, task.form)


def proposer(samples, task, **options):
    model = load_teacher(str(samples.timaeus))
    return MaskedWords(model, task.data.vocabulary, task.form, MAX_LEN, **options)


def test_proposals_are_the_models_own_most_probable_words(samples):
    task = samples.task()
    example = task.training[0].example
    places = task.form.editable.places(example)
    asked = [places[3], places[-1]]  # a word and the full stop
    words = proposer(samples, task, count=7)
    told = words.propose(example, asked)
    assert words.propose(example, asked) == told
    (word, mark) = told
    assert len(word) == 7
    assert all(token.startswith(" ") and token.strip().isalnum() for token, _ in word)
    assert all(not token[0].isspace() and not token.isalnum() for token, _ in mark)
    for proposals in told:
        chances = [chance for _, chance in proposals]
        assert chances == sorted(chances, reverse=True)
        assert sum(chances) == pytest.approx(1.0)
    # The same proposals directly from the model: masks set by hand, one row, no padding.
    import mxnet as mx

    from bort.tasks.features import tokenise

    one, numbers = task.form.masked(example, asked)
    assert [p.text for s in one.segments for p in s.pieces].count(MASK) == 4 + 2
    ids = tokenise([one], task.data.vocabulary, MAX_LEN)[0]
    at = np.flatnonzero(ids == task.data.vocabulary.mask_id)[numbers]
    network, _ = load_model_folder(samples.timaeus)
    _, logits = network(mx.nd.array(ids[None], dtype="int32"), None, mx.nd.array([at]))
    row = logits.asnumpy()[0, 0]
    best = [number for number in np.argsort(-row) if words._words.get(number, "").isalnum()]
    best = [number for number in best if task.data.vocabulary.starts_word[number]]
    assert word[0][0].strip() == task.data.vocabulary.decode([int(best[0])]).strip()


def test_substitution_with_a_model_is_seeded_and_keeps_the_marks(samples):
    task = samples.task()
    tau = build_tau(["substitution"], proposer=proposer(samples, task), editable=task.form.editable)
    example = task.training[0].example
    first, second = (tau.propose(example, np.random.default_rng(4)) for _ in range(2))
    assert first == second
    others = [tau.propose(example, np.random.default_rng(seed)) for seed in range(5)]
    assert len({str(made) for made in others}) > 1
    before, after = (task.form.inputs([e])[0].segments[0].pieces for e in (example, first[0]))
    assert [p for p in before if p.keep] == [p for p in after if p.keep]


def test_more_masks_than_there_is_room_for_are_thinned_out(samples):
    task = samples.task()
    words = proposer(samples, task, count=3)
    text = " ".join(f"word{number}" for number in range(150))
    example = type(task.training[0].example).from_texts(text)
    places = task.form.editable.places(example)
    assert len(places) > 2 * MAX_LEN
    told = words.propose(example, places)
    assert len(told) == len(places)
    with_words = [number for number, proposals in enumerate(told) if proposals]
    assert 8 <= len(with_words) < MAX_LEN
    assert with_words[0] < 10
    assert with_words[-1] > len(places) - 10, "spread over the text"


def test_a_proposer_of_another_vocabulary_is_refused(samples):
    class Longer:
        def __len__(self):
            return 1001

    with pytest.raises(InputError, match="the proposer has 1000 tokens, its vocabulary has 1001"):
        MaskedWords(load_teacher(str(samples.timaeus)), Longer(), samples.task().form, MAX_LEN)
