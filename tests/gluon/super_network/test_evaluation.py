"""Tests of scoring sub-networks: independent scores, each once, resume, ranks, refusals."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy.special import log_softmax

from bort.engines.choosing import open_network
from bort.errors import InputError
from bort.gluon.super_network.evaluation import (
    SUMMARY_FILE,
    MaskedTokenScorer,
    TaskScorer,
    evaluate_parts,
)
from bort.network.head import ONE_LINEAR, HeadDescription
from bort.ranks import ALONE
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.extraction import extracted_network
from bort.super_network.parts import part_name, read_part
from bort.super_network.scores import ScoreStore
from bort.tasks.judging import TaskSet
from bort.tasks.metrics import score_task
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.batches import make_batch
from bort.text.masking import EVALUATION_EPOCH, Masking
from data.tasks.sets import open_task_set
from tests.ranks_samples import on_ranks
from tests.super_network.super_network_samples import SPACE, whole_network, write_sample
from tests.text.tiny_vocabulary import tiny_vocabulary
from tests.text.toy import ToyExamples

CONFIG = PartEvaluationConfig(batch_size=4)
EXAMPLES = ToyExamples(10)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("super") / "s")


def parts_of(source, *texts):
    return [read_part(text, source.whole, SPACE) for text in texts]


def scorer_of(source, config=CONFIG):
    vocabulary = source.read_vocabulary()
    return MaskedTokenScorer(EXAMPLES, vocabulary, config, source.whole.maximum_length)


class Counting:
    """A scorer that counts its calls, and may fail at one of them."""

    longest, identity = 16, {"data": "d"}

    def __init__(self, fails_at=0):
        self.calls, self._fails_at = [], fails_at

    def score(self, engine):
        self.calls.append(part_name(engine.description.architecture))
        if len(self.calls) == self._fails_at:
            raise KeyboardInterrupt
        return {"accuracy": 1 / engine.description.architecture.parameter_count()}


def test_the_loss_is_that_of_the_extracted_network_on_the_same_masks(source, tmp_path):
    """The oracle: one row at a time, without padding, with a softmax of SciPy."""
    parts = parts_of(source, "2-2-16-16", "largest", "1-4-32-48")
    scores = evaluate_parts(source, parts, scorer_of(source), CONFIG, tmp_path / "e", ALONE)
    masking = Masking(source.read_vocabulary(), CONFIG.masks.policy, CONFIG.seed)
    for score in scores:
        network = extracted_network(source, source.read_network(), score.architecture)
        engine = open_network(network, "mxnet")
        losses, correct = [], []
        for number in range(len(EXAMPLES)):
            length = len(EXAMPLES[number])
            batch = make_batch(EXAMPLES, np.array([number]), EVALUATION_EPOCH, length, masking)
            logits = engine.predict_tokens(
                batch.input_ids, batch.valid_lengths, batch.masked_positions
            )
            counted = batch.weights[0] > 0
            found, labels = logits[0][counted], batch.labels[0][counted]
            losses += (-log_softmax(found, axis=1)[np.arange(len(labels)), labels]).tolist()
            correct += (found.argmax(axis=1) == labels).tolist()
        assert score.metrics["mlm_loss"] == pytest.approx(np.mean(losses), abs=1e-5)
        assert score.metrics["mlm_accuracy"] == pytest.approx(np.mean(correct))
    losses = [score.metrics["mlm_loss"] for score in scores]
    assert losses == sorted(losses)
    assert len(set(losses)) == 3


def test_a_task_is_scored_by_its_official_metrics(tmp_path):
    vocabulary = tiny_vocabulary()
    record, options = get_task("CoLA"), TaskOptions()
    head = HeadDescription(ONE_LINEAR, 2, record.labels)
    network = whole_network(vocabulary, num_classes=2).replace(head=head)
    source = write_sample(tmp_path / "s", network, vocabulary)
    task_set = open_task_set(record, "dev", vocabulary, options, 32, sample=True)
    scorer = TaskScorer(task_set, options, vocabulary.pad_id, batch_size=3)
    (score,) = evaluate_parts(
        source, parts_of(source, "2-2-16-16"), scorer, CONFIG, tmp_path / "e", ALONE
    )
    part = extracted_network(source, source.read_network(), score.architecture)
    engine = open_network(part, "mxnet")
    features = task_set.features
    guesses = {}
    for number, item in enumerate(task_set.items):
        ids = np.asarray(features[number])[None]
        outputs = engine.answer(ids, np.array([ids.shape[1]]))
        guesses[item.index] = record.labels[int(outputs[0].argmax())]
    gold = {item.index: item.label for item in task_set.items}
    assert score.metrics == pytest.approx(score_task(record, guesses, gold))
    unlabelled = dataclasses.replace(
        task_set, items=[dataclasses.replace(item, label=None) for item in task_set.items]
    )
    assert isinstance(unlabelled, TaskSet)
    with pytest.raises(InputError, match="has no label, dev cannot be scored"):
        TaskScorer(unlabelled, options, vocabulary.pad_id, batch_size=3)


def test_several_splits_are_scored_as_each_alone(tmp_path):
    vocabulary = tiny_vocabulary()
    record, options = get_task("MNLI"), TaskOptions()
    head = HeadDescription(ONE_LINEAR, 3, record.labels)
    network = whole_network(vocabulary, num_classes=3).replace(head=head)
    source = write_sample(tmp_path / "s", network, vocabulary)
    halves = [
        open_task_set(record, f"dev_{name}", vocabulary, options, 64, sample=True)
        for name in ("matched", "mismatched")
    ]
    part = extracted_network(source, source.read_network(), *parts_of(source, "2-2-16-16"))
    engine = open_network(part, "mxnet")
    pad_id = vocabulary.pad_id
    alone = [TaskScorer(half, options, pad_id, batch_size=3) for half in halves]
    both = TaskScorer(halves[0], options, pad_id, 5, halves[1:])
    assert both.score(engine) == {
        f"accuracy/{half.split}": one.score(engine)["accuracy"] for half, one in zip(halves, alone)
    }
    assert both.items == sum(one.items for one in alone) == sum(len(half.items) for half in halves)
    assert both.longest == max(one.longest for one in alone)
    prints = [one.identity["data"] for one in alone]
    assert list(both.identity["data"].values()) == prints


def test_each_sub_network_is_scored_once(source, tmp_path):
    counting = Counting()
    parts = parts_of(source, "1-2-16-16", "1-2-16-16-16", "largest", "1-2-16-16")
    scores = evaluate_parts(source, parts, counting, CONFIG, tmp_path / "e", ALONE)
    assert sorted(counting.calls) == ["1-2-16-16-16", "3-4-32-48-32"]
    assert [part_name(one.architecture) for one in scores] == ["1-2-16-16-16", "3-4-32-48-32"]
    lines = (tmp_path / "e" / "scores-rank0.jsonl").read_text().splitlines()
    assert len(lines) == 2
    summary = json.loads((tmp_path / "e" / SUMMARY_FILE).read_text())
    assert summary["scores"] == [json.loads(line) for line in lines]


def test_a_killed_evaluation_continues_and_may_have_more_sub_networks(source, tmp_path):
    parts = SPACE.sample(source.whole, 5, np.random.default_rng(0))
    with pytest.raises(KeyboardInterrupt):
        evaluate_parts(source, parts, Counting(fails_at=3), CONFIG, tmp_path / "e", ALONE)
    again = Counting()
    more = [*parts, *parts_of(source, "largest")]
    scores = evaluate_parts(source, more, again, CONFIG, tmp_path / "e", ALONE, resume=True)
    assert len(again.calls) == len(set(more)) - 2
    assert {one.architecture for one in scores} == set(more)
    finished = Counting(fails_at=1)
    assert scores == evaluate_parts(
        source, more, finished, CONFIG, tmp_path / "e", ALONE, resume=True
    )
    assert finished.calls == []


def test_a_stop_ends_after_the_sub_network_of_the_moment(source, tmp_path):
    counting = Counting()
    parts = SPACE.sample(source.whole, 4, np.random.default_rng(0))
    stopped = evaluate_parts(
        source,
        parts,
        counting,
        CONFIG,
        tmp_path / "e",
        ALONE,
        stop_requested=lambda: len(counting.calls) == 2,
    )
    assert stopped is None
    assert len(ScoreStore(tmp_path / "e", 0).load()) == 2


def test_ranks_share_the_sub_networks_and_find_the_scores_of_one_rank(source, tmp_path):
    parts = SPACE.sample(source.whole, 5, np.random.default_rng(1))
    counters = [Counting(), Counting()]

    def work(rank):
        return evaluate_parts(source, parts, counters[rank.rank], CONFIG, tmp_path / "two", rank)

    first, second = on_ranks(2, work)
    one = evaluate_parts(source, parts, Counting(), CONFIG, tmp_path / "one", ALONE)
    assert first == second == one
    assert sorted(map(len, (counter.calls for counter in counters))) == [2, 3]
    assert not set(counters[0].calls) & set(counters[1].calls)


def test_a_folder_of_another_evaluation_is_refused(source, tmp_path):
    parts = parts_of(source, "largest")
    evaluate_parts(source, parts, Counting(), CONFIG, tmp_path / "e", ALONE)
    with pytest.raises(InputError, match="already holds a scoring run"):
        evaluate_parts(source, parts, Counting(), CONFIG, tmp_path / "e", ALONE)
    other = Counting()
    other.identity = {"data": "other"}
    with pytest.raises(InputError, match="data is 'other'|data differs"):
        evaluate_parts(source, parts, other, CONFIG, tmp_path / "e", ALONE, resume=True)
    masked = CONFIG.replace(mask_probability=0.3)
    with pytest.raises(InputError, match=r"mask_probability is 0\.3, the scoring run to resume"):
        evaluate_parts(source, parts, Counting(), masked, tmp_path / "e", ALONE, resume=True)
    changed = write_sample(tmp_path / "s", steps=13)
    with pytest.raises(InputError, match="super_network differs from that of the scoring run"):
        evaluate_parts(changed, parts, Counting(), CONFIG, tmp_path / "e", ALONE, resume=True)
    quick = CONFIG.replace(batch_size=2)
    assert evaluate_parts(source, parts, Counting(), quick, tmp_path / "e", ALONE, resume=True)


def test_what_does_not_fit_leaves_no_folder(source, tmp_path):
    too_deep = source.whole.replace(depth=4)
    with pytest.raises(InputError, match="depth is 4, allowed is at most 3"):
        evaluate_parts(source, [too_deep], Counting(), CONFIG, tmp_path / "e", ALONE)
    long = CONFIG.replace(length=65)
    with pytest.raises(InputError, match="length is 65, allowed is at most 64"):
        evaluate_parts(source, parts_of(source, "largest"), Counting(), long, tmp_path / "e", ALONE)
    assert not (tmp_path / "e").exists()


def test_text_without_a_token_to_predict_is_refused(source):
    special = ToyExamples(3)
    special._rows = [np.array([0, 2], np.int32)] * 3
    special.lengths = np.array([2, 2, 2])
    with pytest.raises(InputError, match="the held-out text has no token to predict"):
        MaskedTokenScorer(special, source.read_vocabulary(), CONFIG, 64)


def test_batches_are_spread_over_the_text(source):
    few = scorer_of(source, CONFIG.replace(batch_size=2, held_out_batches=2))
    taken = [batch.example_ids.tolist() for batch in few._batches]
    assert taken == [[0, 1], [4, 5]]
    every = scorer_of(source, CONFIG.replace(batch_size=2, held_out_batches=50))
    assert len(every._batches) == 5
