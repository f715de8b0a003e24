"""One pass of the student over a micro-batch: forward, loss, backward into the flat gradients."""

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
    """A `MaskedBatch` on the device: the fields of the same names."""

    input_ids: mx.nd.NDArray
    valid_lengths: mx.nd.NDArray
    masked_positions: mx.nd.NDArray
    labels: mx.nd.NDArray
    weights: mx.nd.NDArray


def to_device(batch: MaskedBatch, context: mx.Context) -> BatchArrays:
    """Copy a batch to the device: ids int32, lengths and weights float32."""
    return BatchArrays(
        mx.nd.array(batch.input_ids, ctx=context, dtype="int32"),
        mx.nd.array(batch.valid_lengths, ctx=context, dtype="float32"),
        mx.nd.array(batch.masked_positions, ctx=context, dtype="int32"),
        mx.nd.array(batch.labels, ctx=context, dtype="int32"),
        mx.nd.array(batch.weights, ctx=context, dtype="float32"),
    )


class StudentPass:
    """Runs a student forward and backward, leaving its gradients in flat buffers.

    Two things are done otherwise than by plain `autograd`, with the same result. The token
    embedding is two variables that share one array and one gradient, the embedding and the
    decoder's matrix: the first adds to the few rows of the batch's tokens, where a single variable
    would make a dense array of V rows for it. And the decoder's matrix product is differentiated
    by hand, because on a CPU the gradient to its input takes half the time as a plain `dot`.

    Repeated calls give the same bits when `mx.random.seed` and the number of threads are the same.

    Args:
        model: the student, with a decoder; its parameters already live in `flat`.
        flat: the buffers.
        context: the device.
    """

    def __init__(self, model: BortModel, flat: FlatParameters, context: mx.Context) -> None:
        self.model = model
        self.flat = flat
        self.context = context
        self._graph = _Graph(model)
        self._graph.hybridize(static_alloc=True, static_shape=True)
        distinct = {id(p): p for p in named_parameters(model).values()}
        parameters = [p for p in distinct.values() if p.grad_req != "null"]
        # Second handles on the same memory: each handle has a gradient request of its own.
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
        """Forward, loss, backward.

        Args:
            batch: the micro-batch.
            loss: from logits (B, P, V) and the batch's arrays to one array or a sequence of
                arrays; the first is summed and differentiated, the rest comes along.
            first: the gradients overwrite those in the buffer, whatever they are, instead of
                being added to them; faster than clearing it.

        Returns:
            what `loss` returned, not waited for.
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
        matrix = self.model.embedding_weight.data(self.context).detach()
        inner.backward(mx.nd.dot(leaf.grad, matrix))
        return outputs

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Logits (B, P, V) in predict mode, without gradients."""
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
        # The decoder's part of the embedding's gradient is computed before the embedding's own,
        # which is therefore always added.
        requests = [request] * (len(self._variables) - 1) + ["add"]
        autograd.mark_variables(self._variables, self._gradients, requests)
        if request == "write":
            for gradient in self._unused:
                gradient[:] = 0


class _Graph(HybridBlock):
    """The student as a function of the batch and of the embedding's table."""

    def __init__(self, model: BortModel) -> None:
        super().__init__()
        self.model = model

    def hybrid_forward(
        self, F: Any, input_ids: Any, valid_lengths: Any, masked_positions: Any, table: Any
    ) -> Any:
        """Input (B, P, H) of the decoder's last layer."""
        size, hidden = self.model.architecture.vocabulary_size, self.model.architecture.hidden
        embedded = F.Embedding(input_ids, table, input_dim=size, output_dim=hidden)
        encoded = self.model.encode(F, embedded, input_ids, valid_lengths)
        return self.model.prepare(F, encoded, input_ids, masked_positions)

    def _build_cache(self, *args: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is not used by any computation.*")
            super()._build_cache(*args)


def _unused_parameters(model: BortModel) -> List[gluon.Parameter]:
    """Parameters that a pass over masked tokens gives no gradient."""
    return [] if model.pooler is None else list(model.pooler.collect_params().values())
