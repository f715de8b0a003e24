"""Tests of masking: shares, determinism, and tokens that are never masked or drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.errors import InputError
from bort.text.masking import EVALUATION_EPOCH, Masking, MaskingPolicy
from tests.text.toy import ToyExamples, ToyVocabulary

VOCABULARY = ToyVocabulary()


def masking(seed: int = 0, **policy: object) -> Masking:
    return Masking(VOCABULARY, MaskingPolicy(**policy), seed)  # type: ignore[arg-type]


@given(
    body=st.lists(st.integers(0, 59), min_size=0, max_size=90),
    seed=st.integers(0, 2**40),
    epoch=st.integers(-1, 50),
    example=st.integers(0, 2**40),
    whole=st.booleans(),
)
def test_properties_of_every_mask(body, seed, epoch, example, whole):
    ids = np.array([0, *body, 2])
    before = ids.copy()
    masker = masking(seed, whole_words=whole)
    masked, positions, labels = masker.apply(ids, epoch, example)
    assert (ids == before).all()
    assert (np.diff(positions) > 0).all()
    assert (labels == ids[positions]).all()
    maskable = [token for token in body if token not in (0, 1, 2, 4)]
    expected = masker.policy.prediction_count(len(maskable))
    if whole:
        assert len(positions) <= expected
        assert (len(positions) > 0) == (expected > 0)
    else:
        assert len(positions) == expected
    untouched = np.setdiff1d(np.arange(len(ids)), positions)
    assert (masked[untouched] == ids[untouched]).all()
    assert not np.isin(labels, [0, 1, 2, 4]).any(), "special tokens are never predicted"
    changed = masked[positions][masked[positions] != labels]
    assert not np.isin(changed, [0, 1, 2, 3]).any(), "no special token is drawn as a replacement"


def test_the_same_question_gets_the_same_mask_in_any_order():
    examples = ToyExamples(30)
    masker = masking(7)
    forward = [masker.apply(examples[n], 3, n) for n in range(30)]
    fresh = masking(7)
    for n in reversed(range(30)):
        for one, other in zip(forward[n], fresh.apply(examples[n], 3, n)):
            assert (one == other).all()


@pytest.mark.parametrize("change", [{"seed": 8}, {"epoch": 4}, {"example": 31}])
def test_seed_epoch_and_example_each_change_the_mask(change):
    ids = np.arange(5, 59)
    question = {"seed": 7, "epoch": 3, "example": 30}
    other = {**question, **change}
    one = masking(question["seed"]).apply(ids, question["epoch"], question["example"])
    two = masking(other["seed"]).apply(ids, other["epoch"], other["example"])
    assert one[1].tolist() != two[1].tolist()


def kinds_of_replacement(masker, count):
    """Return how many of at least `count` masked tokens become each id and keep their own."""
    ids = np.concatenate([[0], np.arange(5, 60), np.arange(5, 60), [2]])
    drawn, kept, labels_of = np.zeros(60), 0, np.zeros(60)
    example = 0
    while drawn.sum() + kept < count:
        masked, positions, labels = masker.apply(ids, example % 7, example)
        new = masked[positions]
        kept += int((new == labels).sum())
        drawn += np.bincount(new[new != labels], minlength=60)
        labels_of += np.bincount(labels, minlength=60)
        example += 1
    return drawn, kept, labels_of


def deviations(drawn, kept):
    """Return the deviation from 80/10/10 of each share and of each random token, in sigmas."""
    total = drawn.sum() + kept
    ordinary = 55
    # A random replacement draws the original in 1 of 55 cases.
    expected = {
        "mask": (drawn[4], 0.8),
        "random": (drawn.sum() - drawn[4], 0.1 * (ordinary - 1) / ordinary),
        "kept": (kept, 0.1 * (ordinary + 1) / ordinary),
    }
    return {
        name: (count / total - share) / np.sqrt(share * (1 - share) / total)
        for name, (count, share) in expected.items()
    }


def test_shares_are_80_10_10_and_no_special_token_is_drawn():
    """Over 100,000 positions, within 4 sigma; a fair draw fails in 1 of 5,000 seeds."""
    drawn, kept, labels = kinds_of_replacement(masking(1), 100_000)
    assert all(abs(sigmas) < 4 for sigmas in deviations(drawn, kept).values())
    assert not drawn[:4].any()
    assert not labels[:5].any()
    others = drawn[5:]
    sigmas = (others - others.mean()) / np.sqrt(others.mean())
    assert np.abs(sigmas).max() < 5, "all ordinary tokens are drawn alike"


@pytest.mark.parametrize("policy", [{"mask_share": 0.81}, {"random_share": 0.11}])
def test_other_shares_are_noticed(policy):
    drawn, kept, _ = kinds_of_replacement(masking(1, **policy), 100_000)
    assert any(abs(sigmas) > 4 for sigmas in deviations(drawn, kept).values())


def test_replacements_from_the_whole_vocabulary_are_noticed():
    masker = masking(1)
    masker._replacements = np.arange(60, dtype=np.int32)  # as AutoTinyBERT draws them
    drawn, _, _ = kinds_of_replacement(masker, 20_000)
    assert drawn[:4].any()


@given(st.floats(0, 1), st.integers(0, 600), st.integers(1, 600))
def test_the_count_is_the_rounded_share_but_at_least_one(probability, maskable, maximum):
    policy = MaskingPolicy(probability=probability, maximum_predictions=maximum)
    count = policy.prediction_count(maskable)
    if maskable == 0 or probability == 0:
        assert count == 0
    else:
        assert count == min(maximum, max(1, round(probability * maskable)))


@pytest.mark.parametrize("whole_words", [False, True])
def test_probability_0_masks_nothing_but_held_out_text(whole_words):
    masker = masking(3, probability=0.0, whole_words=whole_words)
    ids = np.concatenate([[0], np.arange(5, 59), [2]])
    for example in range(50):
        masked, positions, labels = masker.apply(ids, 0, example)
        assert (masked == ids).all()
        assert len(positions) == len(labels) == 0
    held_out = masker.for_evaluation()
    expected = masking(3, whole_words=whole_words)
    assert expected.for_evaluation() is expected
    for ours, theirs in zip(
        held_out.apply(ids, EVALUATION_EPOCH, 4), expected.apply(ids, EVALUATION_EPOCH, 4)
    ):
        assert ours.tolist() == theirs.tolist()


def test_at_most_eighty_and_at_least_one():
    policy = MaskingPolicy()
    assert policy.prediction_count(510) == 76
    assert policy.prediction_count(2000) == 80
    assert policy.prediction_count(1) == 1
    assert policy.prediction_count(0) == 0


def test_whole_words_are_hidden_whole():
    ids = np.array([0, *([5, 6, 7, 9] * 15), 2])  # 6 and 9 continue the word before them
    masker = masking(2, whole_words=True, mask_share=1.0, random_share=0.0)
    hidden = 0
    for example in range(50):
        masked, positions, _ = masker.apply(ids, 0, example)
        chosen = set(positions.tolist())
        for first in range(1, 61, 2):
            assert (first in chosen) == (first + 1 in chosen)
        hidden += len(chosen)
    assert hidden > 50


def test_evaluation_masks_do_not_equal_those_of_training():
    ids = np.arange(5, 59)
    masker = masking(0)
    evaluation = masker.apply(ids, EVALUATION_EPOCH, 1)[1].tolist()
    assert evaluation != masker.apply(ids, 0, 1)[1].tolist()
    assert evaluation == masking(0).apply(ids, EVALUATION_EPOCH, 1)[1].tolist()


@pytest.mark.parametrize("policy", [{"probability": -0.1}, {"maximum_predictions": 0}])
def test_impossible_policies_are_refused(policy):
    with pytest.raises(InputError):
        MaskingPolicy(**policy)
