"""Tests that τ-functions change only what they state, and that generation refuses repeats."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.agora.edit_distance import Band, normalised_distance
from bort.agora.examples import Example, join_words, normalised_key, split_words
from bort.agora.generation import generate
from bort.agora.tau import (
    TAUS,
    Chain,
    Editable,
    NeighbourSwap,
    OneOf,
    PartSwap,
    SpanShuffle,
    Substitution,
    TokenDeletion,
    build_tau,
)
from bort.errors import InputError

WORDS = [" the", " cat", " sat", " on", " a", " mat", 7, 8]
SEGMENTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(tuple)
EXAMPLES = st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple).map(Example)
SEEDS = st.integers(0, 1000)


class Evenly:
    """A proposer that gives the same words everywhere and records the places."""

    def __init__(self, words=(" dog", " ran", " the", " cat")):
        self.words = words
        self.asked = []

    def propose(self, example, places):
        self.asked.append(tuple(places))
        return [[(word, 1.0) for word in self.words] for _ in places]


ANYTHING = Editable()
POOL = (Example(((" one", " two"), (" three",), (" four",))), Example(((" five",),) * 3))


def all_taus(editable=ANYTHING):
    return [
        TokenDeletion(0.3, editable),
        NeighbourSwap(0.3, editable),
        SpanShuffle(3, editable),
        PartSwap(POOL, 0.5, editable),
        Substitution(Evenly(), 0.3, 2, editable),
        Chain((TokenDeletion(0.3, editable), Substitution(Evenly(), 0.3, 2, editable))),
        OneOf((NeighbourSwap(0.3, editable), PartSwap(POOL, 1.0, editable))),
    ]


@given(example=EXAMPLES, seed=SEEDS)
def test_what_is_made_is_new_complete_and_repeatable(example, seed):
    for tau in all_taus():
        made = tau.propose(example, np.random.default_rng(seed))
        assert made == tau.propose(example, np.random.default_rng(seed))
        for new in made:
            assert new != example
            assert len(new.segments) == len(example.segments)
            assert all(new.segments)


@given(example=EXAMPLES, seed=SEEDS)
def test_kept_tokens_and_segments_stay(example, seed):
    editable = Editable(segments=(0,), kept=frozenset({" cat", 7}))
    for tau in all_taus(editable):
        for new in tau.propose(example, np.random.default_rng(seed)):
            assert new.segments[1:] == example.segments[1:]
            kept = [token for token in example.segments[0] if token in editable.kept]
            assert [token for token in new.segments[0] if token in editable.kept] == kept


@given(example=EXAMPLES, seed=SEEDS)
def test_each_function_does_what_its_name_says(example, seed):
    generator = np.random.default_rng(seed)
    tokens = Counter(token for segment in example.segments for token in segment)
    for tau in (NeighbourSwap(0.3), SpanShuffle(3)):
        for new in tau.propose(example, generator):
            assert [Counter(s) for s in new.segments] == [Counter(s) for s in example.segments]
    for new in TokenDeletion(0.3).propose(example, generator):
        left = Counter(token for segment in new.segments for token in segment)
        assert left < tokens
    for new in Substitution(Evenly(), 0.3).propose(example, generator):
        assert [len(s) for s in new.segments] == [len(s) for s in example.segments]


def test_a_span_shuffle_stays_inside_its_span():
    example = Example((tuple(range(20)),))
    for seed in range(30):
        for new in SpanShuffle(4).propose(example, np.random.default_rng(seed)):
            moved = [n for n, token in enumerate(new.segments[0]) if token != n]
            assert moved[-1] - moved[0] < 4


def test_a_whole_part_makes_a_pair_of_one_first_and_another_second():
    pair, other = Example((("p",), ("q",))), Example((("r", "s"), ("t",)))
    made = {
        new
        for seed in range(20)
        for new in PartSwap((other,)).propose(pair, np.random.default_rng(seed))
    }
    assert made == {Example((("r", "s"), ("q",))), Example((("p",), ("t",)))}


def test_substitution_asks_once_and_never_puts_the_old_token_back():
    proposer = Evenly()
    example = Example(((" the", " cat", " sat"),))
    made = Substitution(proposer, 1.0, copies=5).propose(example, np.random.default_rng(1))
    assert proposer.asked == [((0, 0), (0, 1), (0, 2))]
    assert len(made) == 5
    assert all(a != b for new in made for a, b in zip(new.segments[0], example.segments[0]))
    only_old = Substitution(Evenly((" the",)), 1.0)
    assert only_old.propose(Example(((" the",),)), np.random.default_rng(0)) == []


def test_substitution_follows_the_weights_and_refuses_bad_ones():
    class Weighted:
        def __init__(self, weights):
            self.weights = weights

        def propose(self, example, places):
            return [list(zip(("x", "y"), self.weights)) for _ in places]

    def counts(weights):
        generator = np.random.default_rng(0)
        tau = Substitution(Weighted(weights), 1.0, copies=400)
        return Counter(new.segments[0][0] for new in tau.propose(Example((("a",),)), generator))

    assert 0.7 < counts((3.0, 1.0))["x"] / 400 < 0.8
    with pytest.raises(InputError, match="weights are"):
        counts((-1.0, 2.0))

    class Silent:
        def propose(self, example, places):
            return []

    with pytest.raises(InputError, match="answered 0 of 1 places"):
        Substitution(Silent()).propose(Example((("a",),)), np.random.default_rng(0))


@settings(max_examples=25)
@given(example=EXAMPLES, seed=SEEDS, low=st.floats(0.01, 1), high=st.floats(0.01, 1))
def test_what_is_taken_lies_in_the_band_and_is_new(example, seed, low, high):
    band = Band(min(low, high), max(low, high))
    known = {normalised_key(example, str), "cat"}
    for tau in all_taus():
        made = generate(
            [example, example],
            tau,
            known=known,
            generator_of=lambda n: np.random.default_rng([seed, n]),
            band=band,
            per_source=3,
            attempts=4,
            text_of=str,
        )
        keys = [normalised_key(new, str) for new in made.examples]
        assert len(set(keys)) == len(keys) <= 6
        assert not known & set(keys)
        for new, source in zip(made.examples, made.sources):
            assert source in (0, 1)
            assert band.minimum <= normalised_distance(example, new) <= band.maximum


def make(source, tau, **options):
    return generate(
        [Example.from_texts(source)],
        tau,
        generator_of=lambda n: np.random.default_rng(n),
        **{"known": set(), **options},
    )


class Fixed:
    """A τ that cycles through given examples, one per call."""

    def __init__(self, *texts):
        self.texts = texts
        self.calls = 0

    def propose(self, example, generator):
        self.calls += 1
        return [Example.from_texts(self.texts[(self.calls - 1) % len(self.texts)])]


def test_duplicates_differ_in_more_than_case_spaces_and_punctuation():
    tau = Fixed("The dog, sat", "the  DOG sat!", "the dog ran", "a bird flew off")
    made = make("the cat sat", tau, per_source=9, attempts=1, band=Band(0.01, 0.8))
    assert [new.texts()[0] for new in made.examples] == ["The dog, sat", "the dog ran"]
    assert made.refused["duplicate"] == 5
    assert made.refused["too_different"] == 2


def test_both_bounds_are_checked():
    long = " ".join("abcdefghij")
    near, far = long.replace("a", "x"), " ".join("xxxxxxxxij")
    made = make(long, Fixed(near, far), attempts=2, band=Band(0.2, 0.5))
    assert made.examples == []
    assert (made.refused["too_similar"], made.refused["too_different"]) == (1, 1)
    assert make(long, Fixed(near), band=Band(0.1, 0.5)).examples
    assert make(long, Fixed(far), band=Band(0.1, 0.8)).examples


def test_attempts_are_bounded_and_reserved_examples_refused():
    tau = Fixed("a c")
    made = make("a b", tau, per_source=2, attempts=5, is_reserved=lambda new: True)
    assert made.examples == []
    assert tau.calls == made.refused["in_report"] == 10


def test_tau_is_built_from_names():
    options = {"proposer": Evenly(), "pool": POOL}
    assert len(build_tau(TAUS, **options).taus) == 5
    assert isinstance(build_tau(["deletion"]), TokenDeletion)
    assert isinstance(build_tau(["deletion", "span_shuffle"], combination="chain"), Chain)
    for names, message in (
        (["substitution"], "needs a masked language model"),
        (["part_swap"], "needs a pool"),
        (["back_translation"], "taus holds 'back_translation'"),
        ([], "at least one"),
    ):
        with pytest.raises(InputError, match=message):
            build_tau(names)
    with pytest.raises(InputError, match="tau_combination is 'sum'"):
        build_tau(["deletion"], combination="sum")


def test_parts_that_are_swapped_in_are_of_the_share_asked_for():
    """A whole swap of a single sentence gives another training example, which is refused."""
    mine, other = (Example((tuple(f" {name}{n}" for n in range(8)),)) for name in "ab")
    tau = build_tau(["part_swap"], share=0.25, pool=[other])
    for seed in range(20):
        (new,) = tau.propose(mine, np.random.default_rng(seed))
        assert sum(token.startswith(" b") for token in new.segments[0]) == 2
        assert len(new.segments[0]) == 8


@given(text=st.text(max_size=40))
def test_words_join_to_the_same_text_but_for_spaces_at_the_ends(text):
    stripped = text.strip()
    assert join_words(split_words(text)) == stripped
    assert normalised_key(Example.from_texts(text)) == normalised_key(
        Example.from_texts(text + " !")
    )


def test_keys_of_token_ids_are_exact_without_their_text():
    assert normalised_key(Example(((1, 23),))) != normalised_key(Example(((12, 3),)))
    text_of = {(1, 2): "A b.", (3,): "ab"}.__getitem__
    assert normalised_key(Example(((1, 2),)), text_of) == normalised_key(Example(((3,),)), text_of)
    with pytest.raises(TypeError, match="text_of is needed"):
        Example(((1, 2),)).texts()
