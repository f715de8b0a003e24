"""Tests of the form of one text and of two texts that a post-processor makes."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.text.tokenizer_content import template
from bort.text.tokenizer_pairs import ids_around, joined_pair

TYPED = ["input_ids", "token_type_ids", "attention_mask"]
IDS = {"<s>": 7, "</s>": 3}


def content(post_processor: Any) -> Dict[str, Any]:
    model = {"type": "WordPiece", "vocab": {"<s>": 7, "</s>": 3}}
    return {"model": model, "added_tokens": [], "post_processor": post_processor}


@pytest.mark.parametrize(("separators", "second"), [(1, 0), (1, 1), (2, 0)])
def test_templates_are_recognised(separators: int, second: int) -> None:
    made = content(template("<s>", "</s>", separators, second, IDS))
    assert joined_pair(made, TYPED, "here") == (separators, second)
    assert joined_pair(made, ["input_ids"], "here") == (separators, 0)
    assert ids_around(made, "here") == (7, 3)


def test_other_post_processors_are_recognised() -> None:
    roberta = {"type": "RobertaProcessing", "sep": ["</s>", 3], "cls": ["<s>", 7]}
    roberta.update(trim_offsets=True, add_prefix_space=False)
    bert = {"type": "BertProcessing", "sep": ["</s>", 3], "cls": ["<s>", 7]}
    sequence = {"type": "Sequence", "processors": [template("<s>", "</s>", 1, 1, IDS)]}
    for post_processor, expected in ((roberta, (2, 0)), (bert, (1, 1)), (sequence, (1, 1))):
        assert joined_pair(content(post_processor), TYPED, "here") == expected


@pytest.mark.parametrize(("separators", "second"), [(3, 0), (2, 1), (1, 2)])
def test_other_forms_of_two_texts_are_refused(separators: int, second: int) -> None:
    made = content(template("<s>", "</s>", separators, second, IDS))
    with pytest.raises(InputError, match="here: post_processor joins two texts in another form"):
        joined_pair(made, TYPED, "here")


def test_a_text_needs_one_token_before_it_and_one_after_it() -> None:
    made = template("<s>", "</s>", 1, 0, IDS)
    made["single"] = made["single"][:2]
    for post_processor, count in ((None, 0), (made, 1)):
        with pytest.raises(InputError, match=f"puts {count} special tokens around a text"):
            ids_around(content(post_processor), "here")
