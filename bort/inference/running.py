"""`Runner`: computes an engine's outputs for tokenised inputs, batch by batch."""

from __future__ import annotations

from typing import Iterator, List, Tuple

import numpy as np

from bort.engines.answers import engine_answers, run_engine
from bort.engines.protocol import Engine
from bort.errors import InputError
from bort.network.description import QUESTION_ANSWERING
from bort.network.embedding import pool
from bort.tasks.features import TaskFeatures
from bort.text.asking import (
    InputBatch,
    OnInputs,
    PaddedInputs,
    TokenisedInputs,
    batches_by_tokens,
    ignore,
    outputs_in_order,
    padded_inputs,
)
from bort.text.padding import pad_rows

_LOGITS_AT_ONCE = 1 << 22


class Runner:
    """Feeds tokenised inputs to an engine in padded batches.

    Args:
        engine: runs the model.
        pad_id: id of `<pad>`.
        batch_tokens: maximum number of tokens per batch, padding included.
    """

    def __init__(self, engine: Engine, pad_id: int, batch_tokens: int) -> None:
        if batch_tokens < 1:
            raise InputError(f"batch_tokens is {batch_tokens}, allowed is at least 1")
        self._engine = engine
        self._pad_id = pad_id
        self._tokens = batch_tokens
        self._longest = engine.description.architecture.maximum_length

    def outputs(self, features: TokenisedInputs, on_inputs: OnInputs = ignore) -> np.ndarray:
        """Return the outputs of the model's head, float32, in the order of the inputs.

        They are (N, C), or for a span model (T, 2), for the T tokens of all inputs.
        """
        described = self._engine.description

        return outputs_in_order(
            engine_answers(self._engine),
            features,
            self._plan(features),
            pad_id=self._pad_id,
            width=described.num_classes,
            on_inputs=on_inputs,
            per_token=described.purpose == QUESTION_ANSWERING,
        )

    def pooled(
        self, features: TaskFeatures, pooling: str, on_inputs: OnInputs = ignore
    ) -> np.ndarray:
        """Return one vector per input, float32 (N, H).

        Args:
            features: the N inputs.
            pooling: one of `bort.network.embedding.POOLINGS`; see `pool` there.
            on_inputs: see `OnInputs`.
        """

        def encode(batch: PaddedInputs) -> np.ndarray:
            states = run_engine(self._engine, self._engine.encode, batch)
            counts = batch.lengths
            return np.stack([pool(row[:count], pooling) for row, count in zip(states, counts)])

        return outputs_in_order(
            encode,
            features,
            self._plan(features),
            pad_id=self._pad_id,
            width=self._engine.description.architecture.hidden,
            on_inputs=on_inputs,
        )

    def token_logits(
        self, features: TaskFeatures, positions: List[np.ndarray], on_inputs: OnInputs = ignore
    ) -> Iterator[Tuple[int, np.ndarray]]:
        """Yield the index of each input and its logits, float32 (M, V), in the order of batches.

        Args:
            features: the inputs.
            positions: positions of every input, int (M,), with M at least 1.
            on_inputs: see `OnInputs`.
        """
        counts = np.array([len(one) for one in positions], dtype=np.int64)
        vocabulary_size = self._engine.description.architecture.vocabulary_size
        plan = batches_by_tokens(
            features.lengths,
            tokens=self._tokens,
            longest=self._longest,
            predictions=counts,
            most_predictions=max(1, _LOGITS_AT_ONCE // vocabulary_size),
        )
        for batch in padded_inputs(features, plan, self._pad_id):
            numbers = batch.numbers
            asked, _ = pad_rows([positions[n] for n in numbers], int(counts[numbers].max()), 0)
            logits = run_engine(self._engine, self._engine.predict_tokens, batch, asked)
            for row, number in enumerate(numbers.tolist()):
                yield number, logits[row, : counts[number]]
            on_inputs(len(numbers))

    def _plan(self, features: TokenisedInputs) -> List[InputBatch]:
        return batches_by_tokens(features.lengths, tokens=self._tokens, longest=self._longest)
