"""`EmbeddingDescription`: how a text's embedding is computed from a model's last hidden states.

Poolings have the names of sentence-transformers.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional

import numpy as np

from bort.errors import InputError
from bort.storage.json_fields import JsonFields

CLS, MEAN, MAX = "cls", "mean", "max"
MEAN_SQRT_LENGTH, WEIGHTED_MEAN, LAST = "mean_sqrt_len_tokens", "weightedmean", "lasttoken"
POOLINGS = (MEAN, CLS, MAX, MEAN_SQRT_LENGTH, WEIGHTED_MEAN, LAST)


@dataclass(frozen=True)
class EmbeddingDescription:
    """The steps from a text to its embedding.

    Attributes:
        pooling: one of `POOLINGS`; see `pool`.
        normalise: whether the vector is divided by its Euclidean length.
        max_length: maximum input length in tokens, special ones included; None for the model's.
        lower_case: whether texts are lower-cased before the tokenizer gets them.
        prompts: texts to put before a text, by name.
        default_prompt_name: name of the prompt that is used if none is given; None for no prompt.
        pools_prompt: whether the tokens of a prompt take part in the pooling.
        similarity: name of the function that compares embeddings, which no code uses; None if
            unknown.

    Raises:
        InputError: a value is not allowed; the message names the field and what is allowed.
    """

    pooling: str = MEAN
    normalise: bool = False
    max_length: Optional[int] = None
    lower_case: bool = False
    prompts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    default_prompt_name: Optional[str] = None
    pools_prompt: bool = True
    similarity: Optional[str] = None

    def __post_init__(self) -> None:
        check_pooling(self.pooling)
        if self.max_length is not None and self.max_length < 1:
            raise InputError(f"max_length is {self.max_length}, allowed is at least 1")
        if self.default_prompt_name is not None and self.default_prompt_name not in self.prompts:
            allowed = ", ".join(map(repr, self.prompts)) or "none, since there are no prompts"
            raise InputError(
                f"default_prompt_name is {self.default_prompt_name!r}, allowed: {allowed}"
            )

    @property
    def prompt(self) -> str:
        """Text of the default prompt; "" for none."""
        return "" if self.default_prompt_name is None else self.prompts[self.default_prompt_name]

    def within(self, longest: int) -> EmbeddingDescription:
        """Return a copy whose maximum length is None if it does not shorten a model's own."""
        shortens = self.max_length is not None and self.max_length < longest
        return self if shortens else dataclasses.replace(self, max_length=None)

    def as_dict(self) -> Dict[str, Any]:
        """Return the object `embedding` of a model's description; `from_fields` reads it."""
        values = dataclasses.asdict(self)
        default = dataclasses.asdict(EmbeddingDescription())
        always = ("pooling", "normalise")
        return {k: v for k, v in values.items() if k in always or v != default[k]}

    @classmethod
    def from_fields(cls, fields: JsonFields) -> EmbeddingDescription:
        """Return the description in an object `embedding`.

        Raises:
            InputError: a field is missing, unknown, or has a wrong type or value.
        """
        values: Dict[str, Any] = {
            "pooling": fields.text("pooling"),
            "normalise": fields.boolean("normalise"),
        }
        known = {field.name for field in dataclasses.fields(cls)}
        for name in fields.values:
            if name not in known:
                raise InputError(f"{fields.source}: {fields.within}.{name} is not known")
            if name == "max_length":
                values[name] = fields.integer(name)
            elif name in ("lower_case", "pools_prompt"):
                values[name] = fields.boolean(name)
            elif name in ("default_prompt_name", "similarity"):
                values[name] = fields.text(name)
            elif name == "prompts":
                prompts = fields.fields(name)
                values[name] = {prompt: prompts.text(prompt) for prompt in prompts.values}
        return cls(**values)


def check_pooling(pooling: str) -> None:
    """Raise `InputError` unless a pooling is known."""
    if pooling not in POOLINGS:
        raise InputError(f"pooling is {pooling!r}, allowed are {', '.join(POOLINGS)}")


def pool(states: np.ndarray, pooling: str) -> np.ndarray:
    """Return one vector for the hidden states of a text.

    Args:
        states: (L, H), the last hidden states of a text's L tokens, special ones included, without
            padding.
        pooling: `mean`; `cls`, the first state; `lasttoken`, the last state; `max` of every
            component; `mean_sqrt_len_tokens`, the sum divided by √L; `weightedmean`, the mean with
            weight n for token n = 1 … L.

    Returns:
        float64 or float32 (H,).
    """
    if pooling == CLS:
        return np.asarray(states[0])
    if pooling == LAST:
        return np.asarray(states[-1])
    if pooling == MAX:
        return np.asarray(states.max(axis=0))
    if pooling == WEIGHTED_MEAN:
        weights = np.arange(1.0, len(states) + 1)
        return np.asarray(weights @ states / weights.sum())
    mean = states.mean(axis=0, dtype=np.float64)
    return np.asarray(mean * np.sqrt(len(states)) if pooling == MEAN_SQRT_LENGTH else mean)


def lower_cased(text: str) -> str:
    """Return a text in lower case, each character by itself.

    `str.lower` makes an exception for a capital sigma at the end of a word, which tokenizers do
    not make.
    """
    return text.replace("Σ", "σ").lower()
