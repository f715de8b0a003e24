"""Running an engine over tokenised inputs, batch by batch, and putting its answers in order."""

from __future__ import annotations

from typing import Callable, Iterator, List, Tuple

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import BortError, InputError, WorkError
from bort.inference.batching import Batch, plan_batches
from bort.tasks.features import TaskFeatures

MEAN, CLS = "mean", "cls"
POOLINGS = (MEAN, CLS)
_LOGITS_AT_ONCE = 1 << 22

OnInputs = Callable[[int], None]
"""Called after every batch with how many inputs were in it."""


def ignore(count: int) -> None:
    """An `OnInputs` that does nothing."""


class Runner:
    """An engine with the way to feed it.

    Args:
        engine: computes.
        pad_id: of `<pad>`.
        batch_tokens: most tokens of a batch, padding included.
    """

    def __init__(self, engine: Engine, pad_id: int, batch_tokens: int) -> None:
        if batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}, allowed is at least 1")
        self._engine = engine
        self._pad_id = pad_id
        self._tokens = batch_tokens
        self._longest = engine.description.architecture.maximum_length

    def outputs(self, features: TaskFeatures, on_inputs: OnInputs = ignore) -> np.ndarray:
        """Outputs float32 (N, C) of a classifier, in the order of the inputs."""
        classes = self._engine.description.num_classes
        outputs = np.empty((len(features), classes), dtype=np.float32)
        for batch in self._plan(features):
            outputs[batch.rows] = self._run(self._engine.answer, *self._padded(features, batch))
            on_inputs(len(batch.rows))
        return outputs

    def pooled(
        self, features: TaskFeatures, pooling: str, on_inputs: OnInputs = ignore
    ) -> np.ndarray:
        """One vector an input: float32 (N, H).

        Args:
            features: the inputs.
            pooling: `mean` of the last hidden states of all tokens of an input, special ones
                included, or `cls` for that of the first token.
            on_inputs: see `OnInputs`.
        """
        hidden = self._engine.description.architecture.hidden
        vectors = np.empty((len(features), hidden), dtype=np.float32)
        for batch in self._plan(features):
            input_ids, lengths = self._padded(features, batch)
            states = self._run(self._engine.encode, input_ids, lengths)
            for row, number in enumerate(batch.rows.tolist()):
                count = 1 if pooling == CLS else int(lengths[row])
                vectors[number] = states[row, :count].mean(axis=0, dtype=np.float64)
            on_inputs(len(batch.rows))
        return vectors

    def token_logits(
        self, features: TaskFeatures, positions: List[np.ndarray], on_inputs: OnInputs = ignore
    ) -> Iterator[Tuple[int, np.ndarray]]:
        """Number of an input and logits float32 (M, V) at its positions, in an order of its own.

        Args:
            features: the inputs.
            positions: of every input, int (M,), at least one.
            on_inputs: see `OnInputs`.
        """
        counts = np.array([len(one) for one in positions], dtype=np.int64)
        vocabulary_size = self._engine.description.architecture.vocabulary_size
        batches = plan_batches(
            features.lengths,
            tokens=self._tokens,
            longest=self._longest,
            predictions=counts,
            most_predictions=max(1, _LOGITS_AT_ONCE // vocabulary_size),
        )
        for batch in batches:
            input_ids, lengths = self._padded(features, batch)
            asked = np.zeros((len(batch.rows), int(counts[batch.rows].max())), dtype=np.int64)
            for row, number in enumerate(batch.rows.tolist()):
                asked[row, : counts[number]] = positions[number]
            logits = self._run(self._engine.predict_tokens, input_ids, lengths, asked)
            for row, number in enumerate(batch.rows.tolist()):
                yield number, logits[row, : counts[number]]
            on_inputs(len(batch.rows))

    def _run(self, compute: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
        """Compute a batch; what goes wrong inside a library is failed work, not a traceback."""
        try:
            return compute(*arrays)
        except (BortError, MemoryError):
            raise
        except Exception as error:  # each library has its own types
            raise WorkError(f"engine {self._engine.name} failed: {error}") from error

    def _plan(self, features: TaskFeatures) -> List[Batch]:
        return plan_batches(features.lengths, tokens=self._tokens, longest=self._longest)

    def _padded(self, features: TaskFeatures, batch: Batch) -> Tuple[np.ndarray, np.ndarray]:
        """Ids int64 (B, L) and lengths int64 (B,) of a batch."""
        input_ids = np.full((len(batch.rows), batch.length), self._pad_id, dtype=np.int64)
        lengths = features.lengths[batch.rows]
        for row, number in enumerate(batch.rows.tolist()):
            input_ids[row, : lengths[row]] = features[number]
        return input_ids, lengths
