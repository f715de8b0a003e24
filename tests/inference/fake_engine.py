"""An engine in a few lines of NumPy that computes every row independently."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.engines.protocol import check_inputs, check_positions, check_token_types
from bort.inference.predictor import Predictor
from bort.network.description import ModelDescription, TaskDescription
from bort.network.head import PADDED_LOGIT, HeadDescription
from bort.tasks.formulations import input_labels, output_count
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.vocabulary import Vocabulary
from tests.text.tiny_vocabulary import tiny_vocabulary

VOCABULARY = tiny_vocabulary()
HIDDEN, LONGEST = 8, 64


class FakeEngine:
    """Implements `bort.engines.protocol.Engine`, one row at a time.

    Attributes:
        batches: shapes of the batches so far.
        types: token types of the last batch.
    """

    name = "fake"
    precision = "fp32"

    def __init__(self, description: ModelDescription) -> None:
        self.description = description
        self.batches: List[Tuple[int, int]] = []
        generator = np.random.default_rng(0)
        size = description.architecture.vocabulary_size
        self._table = generator.normal(size=(size, HIDDEN)).astype(np.float32)
        self._places = generator.normal(size=(LONGEST, HIDDEN)).astype(np.float32)
        self._head = generator.normal(size=(HIDDEN, description.num_classes)).astype(np.float32)

    def encode(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """See `Engine`."""
        ids, counts = check_inputs(self.description, input_ids, lengths)
        self.types = check_token_types(self.description, ids, token_types)
        self.batches.append(ids.shape)
        states = np.zeros((*ids.shape, HIDDEN), np.float32)
        for row, count in enumerate(counts.tolist()):
            own = self._table[ids[row, :count]] + self._places[:count]
            own += self.types[row, :count, np.newaxis] / 3
            states[row, :count] = own + own.mean(axis=0)
        return states

    def answer(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """See `Engine`."""
        states = self.encode(input_ids, lengths, token_types)
        if not self.description.num_classes:
            return states
        if self.description.head is not None and self.description.head.is_span:
            logits = np.full((*states.shape[:2], 2), PADDED_LOGIT, np.float32)
            for row, count in enumerate(lengths):
                logits[row, :count] = states[row, :count] @ self._head
            return logits
        return np.stack([state[0] @ self._head for state in states])

    def predict_tokens(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        positions: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        states = self.encode(input_ids, lengths, token_types)
        places = check_positions(self.description, np.asarray(input_ids), positions)
        return np.stack(
            [[self._table @ state[place] for place in own] for state, own in zip(states, places)]
        )


def describe(
    vocabulary: Vocabulary = VOCABULARY,
    *,
    head: str = "",
    num_classes: int = 0,
    labels: Sequence[str] = (),
    problem_type: str = "",
    **fields: Any,
) -> ModelDescription:
    """Return the description of an encoder or classifier, with some fields changed."""
    architecture = Architecture(
        1, 1, HIDDEN, 8, vocabulary_size=len(vocabulary), maximum_length=LONGEST
    )
    values = {"vocabulary_fingerprint": vocabulary.fingerprint, **fields}
    described = None
    if head:
        described = HeadDescription(head, num_classes, tuple(labels), problem_type=problem_type)
    return ModelDescription(architecture, described, **values)


def describe_task(name: str, options: Optional[TaskOptions] = None) -> ModelDescription:
    """Return the description of a model that was fine-tuned on a task."""
    options = options or TaskOptions()
    record = get_task(name)
    return describe(
        head="span" if record.has_spans else "linear",
        num_classes=output_count(record, options),
        labels=input_labels(record, options),
        task=TaskDescription(record.name, options.as_dict()),
        input_length=48,
    )


def task_predictor(name: str, options: Optional[TaskOptions] = None, **fields: Any) -> Predictor:
    """Return a predictor of a task."""
    return Predictor(FakeEngine(describe_task(name, options)), VOCABULARY, **fields)


def text_predictor(classes: int = 3, **fields: Any) -> Predictor:
    """Return a predictor of a classifier that belongs to no task."""
    labels = tuple("abcdef"[:classes]) if classes > 1 else ()
    described = describe(head="linear", num_classes=classes, labels=labels)
    return Predictor(FakeEngine(described), VOCABULARY, **fields)


def masked_predictor(**fields: Any) -> Predictor:
    """Return a predictor that fills masks."""
    return Predictor(FakeEngine(describe(has_decoder=True)), VOCABULARY, **fields)


def encoder_predictor(**fields: Any) -> Predictor:
    """Return a predictor that returns embeddings."""
    return Predictor(FakeEngine(describe()), VOCABULARY, **fields)
