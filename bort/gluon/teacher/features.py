"""`GluonFeatureTeacher`: a teacher on MXNet that gives hidden states and attention."""

from __future__ import annotations

from typing import Any, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.errors import InputError
from bort.gluon.network.inputs import input_arrays
from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import Network, encoder_of
from bort.gluon.network.partial_graph import PartialGraph
from bort.gluon.teacher.live import GluonTeacher
from bort.teacher.answers import Answers
from bort.teacher.features import Features
from bort.text.examples import MaskedBatch


class GluonFeatureTeacher(GluonTeacher):
    """A teacher of features, and of logits if it has a masked-token decoder.

    Implements `FeatureTeacher` and, with a decoder, `LiveTeacher`.

    Args:
        network: a model or a classifier; its gradient buffers are freed.
        context: device of the weights; the CPU by default.
        vocabulary_size: V, number of logits to keep; None keeps all.
    """

    def __init__(
        self,
        network: Network,
        context: Optional[mx.Context] = None,
        *,
        vocabulary_size: Optional[int] = None,
    ) -> None:
        model = encoder_of(network)
        super().__init__(model, model.architecture, context)
        if vocabulary_size is not None:
            self.vocabulary_size = vocabulary_size
        self._graph = _FeatureGraph(model)
        self._graph.hybridize(static_alloc=True, static_shape=True)

    def features(
        self, input_ids: Any, lengths: Any, token_types: Optional[np.ndarray] = None
    ) -> Features:
        """Return the features of a batch, float32, on the teacher's device; see `FeatureTeacher`.

        Raises:
            InputError: L is above the teacher's maximum length.
        """
        longest = self.architecture.maximum_length
        if input_ids.shape[1] > longest:
            raise InputError(
                f"input is {input_ids.shape[1]} tokens long, the teacher allows {longest}"
            )
        inputs = input_arrays(self.architecture, self.context, input_ids, lengths, token_types)
        with autograd.pause(train_mode=False):
            given = [one for one in inputs if one is not None]
            return Features(*(one.astype("float32", copy=False) for one in self._graph(*given)))

    def answer(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the logits float32 (B, P, V) at the masked positions, on the teacher's device."""
        return self.answers(batch).logits

    def answers(self, batch: MaskedBatch) -> Answers:
        """Return logits and features of a batch from one pass of the encoder.

        Raises:
            InputError: the teacher has no masked-token decoder.
        """
        if self.network.decoder is None:
            raise InputError("the teacher has no masked-token decoder, so it gives no logits")
        features = self.features(batch.input_ids, batch.valid_lengths, batch.token_types)
        positions = mx.nd.array(batch.masked_positions, ctx=self.context, dtype="int32")
        ids = mx.nd.array(batch.input_ids, ctx=self.context, dtype="int32")
        with autograd.pause(train_mode=False):
            hidden = features.hidden.astype(self.precision, copy=False)
            logits = self.network.decode(mx.nd, hidden, ids, positions)
            logits = logits.astype("float32", copy=False)
        return Answers(logits[:, :, : self.vocabulary_size], features)


class _FeatureGraph(PartialGraph):
    """The features of a model as a function of a batch."""

    def __init__(self, model: BortModel) -> None:
        super().__init__()
        self.model = model

    def hybrid_forward(
        self, F: Any, input_ids: Any, lengths: Any, token_types: Optional[Any] = None
    ) -> Any:
        """Return encoding, query, key and value."""
        embedded = self.model.word_embed(input_ids)
        return self.model.encode_with_attention(F, embedded, input_ids, lengths, token_types)
