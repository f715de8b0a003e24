"""Settings of embeddings: poolings by hand, round trips, and errors in one line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.description import ModelDescription
from bort.network.embedding import POOLINGS, EmbeddingDescription, lower_cased, pool

SIZES = Architecture(1, 1, 8, 8, vocabulary_size=9, maximum_length=40)
texts = st.text(max_size=6)


@st.composite
def embeddings(draw: Any) -> EmbeddingDescription:
    prompts = draw(st.dictionaries(texts, texts, max_size=3))
    return EmbeddingDescription(
        pooling=draw(st.sampled_from(POOLINGS)),
        normalise=draw(st.booleans()),
        max_length=draw(st.none() | st.integers(1, 600)),
        lower_case=draw(st.booleans()),
        prompts=prompts,
        default_prompt_name=draw(st.sampled_from([None, *prompts])),
        pools_prompt=draw(st.booleans()),
        similarity=draw(st.none() | texts),
    )


@given(embeddings())
def test_a_description_comes_back(embedding: EmbeddingDescription) -> None:
    described = ModelDescription(SIZES, embedding=embedding)
    stored = json.loads(json.dumps(described.as_dict()))
    assert ModelDescription.from_dict(stored, "model.json") == described


def test_only_other_values_are_written() -> None:
    assert "embedding" not in ModelDescription(SIZES).as_dict()
    stored = ModelDescription(SIZES, embedding=EmbeddingDescription()).as_dict()
    assert stored["embedding"] == {"pooling": "mean", "normalise": False}


STATES = np.array([[1.0, -4.0], [3.0, 0.0], [-1.0, 1.0], [5.0, 3.0]], np.float32)
BY_HAND = {
    "mean": [2.0, 0.0],
    "cls": [1.0, -4.0],
    "max": [5.0, 3.0],
    "mean_sqrt_len_tokens": [4.0, 0.0],
    "weightedmean": [(1 + 6 - 3 + 20) / 10, (-4 + 0 + 3 + 12) / 10],
    "lasttoken": [5.0, 3.0],
}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_by_hand(pooling: str) -> None:
    np.testing.assert_allclose(pool(STATES, pooling), BY_HAND[pooling], rtol=1e-7)
    np.testing.assert_allclose(pool(STATES[:1], pooling), STATES[0], rtol=1e-7)


def test_the_text_of_the_default_prompt() -> None:
    prompts = {"query": "query: ", "passage": ""}
    assert EmbeddingDescription(prompts=prompts).prompt == ""
    assert EmbeddingDescription(prompts=prompts, default_prompt_name="query").prompt == "query: "


def test_a_length_that_shortens_nothing_is_none() -> None:
    short = EmbeddingDescription(max_length=39)
    assert short.within(40) == short
    for length in (40, 514, None):
        assert EmbeddingDescription(max_length=length).within(40).max_length is None


def test_a_sigma_is_lower_cased_like_any_other_letter() -> None:
    assert lower_cased("ΟΔΟΣ Big İ") == "οδοσ big i̇"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "median"}, "pooling is 'median', allowed are mean, cls"),
        ({"pooling": 3}, "embedding.pooling is 3, allowed is a text"),
        ({"pooling": ...}, "embedding.pooling is missing"),
        ({"normalise": 1}, "embedding.normalise is 1, allowed is true or false"),
        ({"max_length": 0}, "max_length is 0, allowed is at least 1"),
        ({"max_length": "9"}, "embedding.max_length is '9', allowed is an integer"),
        ({"prompts": ["a"]}, "embedding.prompts is"),
        ({"prompts": {"a": 1}}, "embedding.prompts.a is 1, allowed is a text"),
        ({"default_prompt_name": "a"}, "default_prompt_name is 'a', allowed: none"),
        ({"lower_case": None}, "embedding.lower_case is None"),
        ({"colour": 1}, "embedding.colour is not known"),
    ],
)
def test_a_bad_description_is_refused_in_one_line(fields: Any, message: str) -> None:
    stored = ModelDescription(SIZES, embedding=EmbeddingDescription()).as_dict()
    stored["embedding"].update(fields)
    stored["embedding"] = {k: v for k, v in stored["embedding"].items() if v is not ...}
    with pytest.raises(InputError) as caught:
        ModelDescription.from_dict(stored, "x/model.json")
    assert str(caught.value).startswith("x/model.json: ")
    assert message in str(caught.value)
