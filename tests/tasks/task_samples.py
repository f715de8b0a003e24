"""Items and vocabularies that the tests of the tasks share."""

from __future__ import annotations

from typing import List, Sequence

import numpy as np

from bort.tasks.records import TASKS
from bort.text.vocabulary import Vocabulary
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
CLASSIFIED = [task for task in TASKS if not task.has_spans]
"""The tasks whose inputs `make_inputs` makes, and not windows of passages."""


class PlainVocabulary:
    """The tiny vocabulary with only the methods of the `Vocabulary` protocol."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        pair = ("pair_separators", "pair_second_type", "pair_recorded")
        for name in ("bos_id", "pad_id", "eos_id", "unk_id", "mask_id", "fingerprint", *pair):
            setattr(self, name, getattr(vocabulary, name))

    def encode_batch(self, texts: Sequence[str]) -> List[List[int]]:
        return self._vocabulary.encode_batch(texts)


def shown(ids: np.ndarray) -> str:
    """Return ids as text, with special tokens written out."""
    special = {VOCABULARY.bos_id: "<s>", VOCABULARY.eos_id: "</s>", VOCABULARY.mask_id: "<mask>"}
    text, run = "", []
    for token in ids.tolist():
        if token in special:
            text += VOCABULARY.decode(run) + special[token]
            run = []
        else:
            run.append(token)
    return text + VOCABULARY.decode(run)
