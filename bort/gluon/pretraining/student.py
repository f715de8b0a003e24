"""The forward and backward pass of a student over a micro-batch, into flat gradients."""

from __future__ import annotations

import warnings
from typing import Any, Callable, List, NamedTuple

import mxnet as mx
from mxnet import autograd, gluon
from mxnet.gluon import HybridBlock

from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import named_parameters
from bort.gluon.training.flat import FlatParameters
from bort.text.examples import MaskedBatch


class BatchArrays(NamedTuple):
    """The fields of a `MaskedBatch` as arrays on a device."""

    input_ids: mx.nd.NDArray
    valid_lengths: mx.nd.NDArray
    masked_positions: mx.nd.NDArray
    labels: mx.nd.NDArray
    weights: mx.nd.NDArray


def to_device(batch: MaskedBatch, context: mx.Context) -> BatchArrays:
    """Copy a batch to a device: ids as int32, lengths and weights as float32."""
    return BatchArrays(
        mx.nd.array(batch.input_ids, ctx=context, dtype="int32"),
        mx.nd.array(batch.valid_lengths, ctx=context, dtype="float32"),
        mx.nd.array(batch.masked_positions, ctx=context, dtype="int32"),
        mx.nd.array(batch.labels, ctx=context, dtype="int32"),
        mx.nd.array(batch.weights, ctx=context, dtype="float32"),
    )


class StudentPass:
    """The forward and backward pass of a student, with gradients in flat buffers.

    The result is that of plain `autograd`, but two parts are computed in another way for speed:

    - The token embedding is represented by two variables with one array and one gradient: the
      embedding and the decoder's matrix. The first adds its gradient to the rows of the batch's
      tokens; with a single variable, it would be a dense array of V rows.
    - The gradient of the decoder's matrix product is computed explicitly. On a CPU, its gradient
      with respect to the input takes half the time as a plain `dot`.

    Repeated calls give the same bits for the same `mx.random.seed` and number of threads.

    Args:
        model: a student with a decoder, whose parameters are views of `flat`.
        flat: the flat buffers of the student.
        context: the device of the buffers.
    """

    def __init__(self, model: BortModel, flat: FlatParameters, context: mx.Context) -> None:
        self.model = model
        self.flat = flat
        self.context = context
        self._graph = _Graph(model)
        self._graph.hybridize(static_alloc=True, static_shape=True)
        distinct = {id(p): p for p in named_parameters(model).values()}
        parameters = [p for p in distinct.values() if p.grad_req != "null"]
        # Second handles on the same memory, because gradient requests belong to handles.
        table = model.embedding_weight
        self._table = table.data(context).reshape(table.shape)
        table_gradient = table.grad(context).reshape(table.shape)
        self._variables = [p.data(context) for p in parameters] + [self._table]
        self._gradients = [p.grad(context) for p in parameters] + [table_gradient]
        self._unused = [p.grad(context) for p in _unused_parameters(model)]

    def __call__(
        self,
        batch: MaskedBatch,
        loss: Callable[[mx.nd.NDArray, BatchArrays], Any],
        *,
        first: bool = False,
    ) -> Any:
        """Compute the loss of a micro-batch and its gradients.

        Args:
            batch: the micro-batch.
            loss: returns one array or a sequence of arrays for logits (B, P, V) and the batch's
                arrays; the sum of the first array is differentiated.
            first: whether to overwrite the gradients in the buffer instead of adding to them, which
                is faster than clearing the buffer.

        Returns:
            The result of `loss`, which may still be computing.
        """
        arrays = to_device(batch, self.context)
        self._mark("write" if first else "add")
        with autograd.record():
            inner = self._run(arrays)
            logits = self._project(inner.detach())
            leaf = logits.detach()
            leaf.attach_grad()
            outputs = loss(leaf, arrays)
            head = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        head.backward()
        logits.backward(leaf.grad)
        # (B, P, V) x (V, H) -> (B, P, H)
        matrix = self.model.decoder_weight.data(self.context).detach()
        inner.backward(mx.nd.dot(leaf.grad, matrix))
        return outputs

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the logits (B, P, V) without dropout and gradients."""
        with autograd.predict_mode():
            return self._project(self._run(to_device(batch, self.context)))

    def _run(self, arrays: BatchArrays) -> mx.nd.NDArray:
        return self._graph(
            arrays.input_ids, arrays.valid_lengths, arrays.masked_positions, self._table
        )

    def _project(self, inner: mx.nd.NDArray) -> mx.nd.NDArray:
        """(B, P, H) -> (B, P, V): the decoder's last layer."""
        return self.model.decoder[3](inner)

    def _mark(self, request: str) -> None:
        # The gradient of a tied decoder's matrix is computed before that of the embedding, so the
        # latter is always added.
        last = "add" if self.model.tied_decoder else request
        requests = [request] * (len(self._variables) - 1) + [last]
        autograd.mark_variables(self._variables, self._gradients, requests)
        if request == "write":
            for gradient in self._unused:
                gradient[:] = 0


class _Graph(HybridBlock):
    """The student as a function of a batch and the embedding matrix."""

    def __init__(self, model: BortModel) -> None:
        super().__init__()
        self.model = model

    def hybrid_forward(
        self, F: Any, input_ids: Any, valid_lengths: Any, masked_positions: Any, table: Any
    ) -> Any:
        """Return the input (B, P, H) of the decoder's last layer."""
        size, hidden = self.model.architecture.vocabulary_size, self.model.architecture.hidden
        embedded = F.Embedding(input_ids, table, input_dim=size, output_dim=hidden)
        encoded = self.model.encode(F, embedded, input_ids, valid_lengths)
        return self.model.prepare(F, encoded, input_ids, masked_positions)

    def _build_cache(self, *args: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is not used by any computation.*")
            super()._build_cache(*args)


def _unused_parameters(model: BortModel) -> List[gluon.Parameter]:
    """Return the parameters that have no effect on masked-token logits."""
    return [] if model.pooler is None else list(model.pooler.collect_params().values())
