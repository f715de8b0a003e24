"""Tests of Socrates: each example is labelled once, and a weak Socrates is refused."""

from __future__ import annotations

import math

import pytest

from bort.agora.examples import Example, Point
from bort.agora.socrates import CachedSocrates, SocratesAnswer, check_socrates, points_from
from bort.agora.store import AnswerStore
from bort.errors import InputError, WorkError
from tests.ranks_samples import on_ranks


def points(*labels):
    return [Point(Example(((n,),)), label) for n, label in enumerate(labels)]


def test_the_majority_class_and_two_thirds_are_too_weak():
    dev = points(1, 1, 1, 0)
    with pytest.raises(InputError, match=r"dev accuracy is 0.7500 and its Matthews .* 0.0000"):
        check_socrates([SocratesAnswer(1)] * 4, dev)
    weak = check_socrates([SocratesAnswer(1)] * 4, dev, allow_weak=True)
    assert (weak.accuracy, weak.is_strong) == (0.75, False)
    with pytest.raises(InputError, match="accuracy is 0.6667"):
        check_socrates([SocratesAnswer(1), SocratesAnswer(0), SocratesAnswer(0)], points(1, 0, 1))
    assert check_socrates([SocratesAnswer(label) for label in (1, 1, 0, 0)], dev).is_strong


def test_a_regression_is_judged_on_rounded_values():
    dev = points(0.4, 1.6, 2.5, 4.9)
    assert check_socrates([SocratesAnswer(v) for v in (0.0, 2.4, 3.4, 5.0)], dev).accuracy == 1.0


class Counting:
    fingerprint = "counting"

    def __init__(self, break_after=99):
        self.asked = []
        self.break_after = break_after

    def label(self, examples):
        if len(self.asked) == self.break_after:
            raise KeyboardInterrupt
        self.asked.append([example.segments[0][0] for example in examples])
        return [SocratesAnswer.from_probabilities([0.1 + 0.2, 1 / 3]) for _ in examples]


EXAMPLES = [Example(((n % 7,),)) for n in range(9)]


def test_answers_are_computed_once_and_come_back_exactly(tmp_path):
    labeller = Counting()
    first = CachedSocrates(labeller, AnswerStore(tmp_path, 0), chunk=3).label(EXAMPLES)
    assert labeller.asked == [[0, 1, 2], [3, 4, 5], [6]]
    again = CachedSocrates(labeller, AnswerStore(tmp_path, 0), chunk=3).label(EXAMPLES[::-1])
    assert again == first[::-1]
    assert len(labeller.asked) == 3
    other = Counting()
    other.fingerprint = "another"
    CachedSocrates(other, AnswerStore(tmp_path, 0)).label(EXAMPLES[:2])
    assert other.asked == [[0, 1]]
    in_memory = CachedSocrates(other)
    assert in_memory.label(EXAMPLES) == in_memory.label(EXAMPLES)
    assert len(other.asked) == 2


@pytest.mark.parametrize("chunks", [0, 1, 2])
def test_a_killed_run_asks_the_rest_in_the_same_chunks(tmp_path, chunks):
    with pytest.raises(KeyboardInterrupt):
        CachedSocrates(Counting(chunks), AnswerStore(tmp_path, 0), chunk=3).label(EXAMPLES)
    labeller = Counting()
    CachedSocrates(labeller, AnswerStore(tmp_path, 0), chunk=3).label(EXAMPLES)
    assert labeller.asked == [[0, 1, 2], [3, 4, 5], [6]][chunks:]


def test_rank_0_asks_and_the_others_read_what_it_wrote(tmp_path):
    expected = CachedSocrates(Counting()).label(EXAMPLES)
    labellers = [Counting() for _ in range(3)]

    def work(ranks):
        store = AnswerStore(tmp_path, ranks.rank)
        return CachedSocrates(labellers[ranks.rank], store, communicator=ranks).label(EXAMPLES)

    assert on_ranks(3, work) == [expected] * 3
    assert [len(labeller.asked) for labeller in labellers] == [1, 0, 0]


def test_an_answer_that_rank_0_refuses_ends_every_rank(tmp_path):
    class Bad(Counting):
        def label(self, examples):
            return []

    def work(ranks):
        socrates = CachedSocrates(Bad(), AnswerStore(tmp_path, ranks.rank), communicator=ranks)
        with pytest.raises(WorkError, match="Socrates answered 0 of 7 examples"):
            socrates.label(EXAMPLES)

    on_ranks(2, work)


def test_a_bad_answer_and_a_damaged_file_are_refused(tmp_path):
    class Bad(Counting):
        def __init__(self, answers):
            self.answers = answers

        def label(self, examples):
            return self.answers

    with pytest.raises(WorkError, match="answered 1 of 2"):
        CachedSocrates(Bad([SocratesAnswer(1)])).label(EXAMPLES[:2])
    with pytest.raises(WorkError, match="allowed are finite"):
        CachedSocrates(Bad([SocratesAnswer(1, (math.nan, 1.0))])).label(EXAMPLES[:1])
    (tmp_path / "answers-rank0.jsonl").write_text('{"answers": [["a", true, null]]}\n')
    message = r"answers-rank0\.jsonl, line 1: answers\[0\].label is True, allowed is a finite"
    with pytest.raises(InputError, match=message):
        AnswerStore(tmp_path, 0).load()


def test_soft_labels_need_probabilities():
    example = EXAMPLES[0]
    answer = SocratesAnswer.from_probabilities([0.2, 0.8])
    assert points_from([example], [answer], "soft") == [Point(example, 1, (0.2, 0.8), True)]
    assert points_from([example], [answer], "hard") == [Point(example, 1, None, True)]
    with pytest.raises(InputError, match="gives no probabilities"):
        points_from([example], [SocratesAnswer(1)], "soft")
