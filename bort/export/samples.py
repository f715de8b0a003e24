"""The texts, and the padded batch of them, on which an export is compared with the original."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bort.network.array_network import ArrayNetwork
from bort.text.padding import pad_rows
from bort.text.pair_form import token_types_of
from bort.text.vocabulary import Vocabulary

SENTENCES = (
    "The ferry left the harbour before sunrise, and nobody on the quay waved.",
    "It wasn't cheap: 1,250 crowns for a lamp that didn't even work!",
    "Yes.",
    "When the committee met again in March, its members agreed on two of the five proposals, "
    "postponed a third, and argued about the remaining two until the caretaker turned off the "
    "lights; the minutes, which ran to forty pages, were never published.",
    "Ein Stück Käse, s'il vous plaît — “danke”, сказал он. 東京は雨です。",
    "  two  spaces,\ta tab and a line\nbreak ",
)
"""Default texts of a comparison, in several lengths and scripts."""


class Sample(NamedTuple):
    """A padded batch of single texts, then pairs of texts.

    Attributes:
        texts: the single texts that the batch was made from; () for random ids.
        input_ids: int64 (B, L).
        lengths: int64 (B,), number of tokens in every row that are not padding.
        token_types: int64 (B, L); None for a network without token types.
        pairs: the pairs of texts that the batch was made from.
    """

    texts: Sequence[str]
    input_ids: np.ndarray
    lengths: np.ndarray
    token_types: Optional[np.ndarray] = None
    pairs: Sequence[Tuple[str, str]] = ()

    @property
    def counts(self) -> Dict[str, Any]:
        """The numbers of texts and pairs, for the result of a comparison."""
        if not self.texts:
            return {"texts": "none (random tokens)"}
        return {"texts": len(self.texts), "pairs": len(self.pairs)}


def sample_of(
    network: ArrayNetwork, vocabulary: Optional[Vocabulary], texts: Sequence[str] = SENTENCES
) -> Sample:
    """Return a batch of texts and of pairs of them, truncated to the model.

    Args:
        network: the model; its form of pairs is that of `ModelDescription.pair_form`.
        vocabulary: vocabulary of the model; None gives random ids and token types.
        texts: each is in the batch alone; every second one is also paired with the next, the
            last one of an odd number with itself.
    """
    longest, types = network.architecture.maximum_length, network.architecture.token_types
    if vocabulary is None:
        generator = np.random.default_rng(0)
        lengths = np.array([min(longest, n) for n in (23, 64, 1, 40)])
        size = network.architecture.vocabulary_size
        ids = generator.integers(0, size, (4, int(lengths.max())))
        return Sample((), ids, lengths, generator.integers(0, types, ids.shape) if types else None)
    pairs = tuple(zip(texts[::2], [*texts[1::2], texts[-1]]))
    form = network.description.pair_form(vocabulary)
    rows = []
    for row in (*((text,) for text in texts), *pairs):
        room = max(0, longest - 2 - form.separators * (len(row) - 1)) // len(row)
        joined = form.join(vocabulary, *(vocabulary.encode(text)[:room] for text in row))
        rows.append(np.array(joined[:longest]))
    input_ids, lengths = pad_rows(rows, max(map(len, rows)), vocabulary.pad_id)
    separator, found = form.type_separator(vocabulary), None
    if types:
        found = np.zeros_like(input_ids)
    if separator is not None:
        found = token_types_of(input_ids, lengths, separator)
    return Sample(
        tuple(texts),
        input_ids.astype(np.int64),
        lengths.astype(np.int64),
        None if found is None else found.astype(np.int64),
        pairs,
    )
