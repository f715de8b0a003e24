"""The forward and backward pass of a student over a micro-batch, into flat gradients."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

import mxnet as mx
from mxnet import autograd, gluon

from bort.gluon.network.model import BortModel
from bort.gluon.network.parameters import named_parameters
from bort.gluon.network.partial_graph import PartialGraph, release_graphs
from bort.gluon.training.flat import FlatParameters
from bort.process.machine import processor_flags
from bort.teacher.features import Features
from bort.text.examples import MaskedBatch


class BatchArrays(NamedTuple):
    """The fields of a `MaskedBatch` as arrays on a device.

    The real lengths are 0 for padding rows, which have one valid token.
    """

    input_ids: mx.nd.NDArray
    valid_lengths: mx.nd.NDArray
    masked_positions: mx.nd.NDArray
    labels: mx.nd.NDArray
    weights: mx.nd.NDArray
    real_lengths: mx.nd.NDArray


def to_device(batch: MaskedBatch, context: mx.Context) -> BatchArrays:
    """Copy a batch to a device: ids as int32, lengths and weights as float32."""
    return BatchArrays(
        mx.nd.array(batch.input_ids, ctx=context, dtype="int32"),
        mx.nd.array(batch.valid_lengths, ctx=context, dtype="float32"),
        mx.nd.array(batch.masked_positions, ctx=context, dtype="int32"),
        mx.nd.array(batch.labels, ctx=context, dtype="int32"),
        mx.nd.array(batch.weights, ctx=context, dtype="float32"),
        mx.nd.array(batch.real_lengths, ctx=context, dtype="float32"),
    )


_MATRIX, _BIAS = "decoder.3.weight", "decoder.3.bias"


def padded_outputs(multiple: int) -> Dict[str, int]:
    """Return the `row_multiples` of flat buffers whose decoder has a multiple of output rows.

    Args:
        multiple: number of which the rows are a multiple; 1 adds none.
    """
    return {_MATRIX: multiple, _BIAS: multiple}


class StudentPass:
    """The forward and backward pass of a student, with gradients in flat buffers.

    The result is that of plain `autograd`, but two parts are computed in another way for speed:

    - The token embedding is represented by two variables with one array and one gradient: the
      embedding and the decoder's matrix. The first adds its gradient to the rows of the batch's
      tokens; with a single variable, it would be a dense array of V rows.
    - The gradient of the decoder's matrix product with respect to its input is a plain `dot` on a
      CPU without AVX-512, where it takes half the time of the layer's own backward pass. With
      AVX-512 the layer's pass takes half the time of a `dot`, whose library has no such products.

    If the buffers have further rows behind the decoder's matrix and bias, the matrix product
    computes them too, and the logits of the V tokens are cut out of its result. The further rows
    therefore have no part in losses and predictions, and their gradients are 0.

    Repeated calls give the same bits for the same `mx.random.seed` and number of threads.

    Args:
        model: a student, whose parameters are views of `flat`.
        flat: the flat buffers of the student.
        context: the device of the buffers.
        with_logits: whether the pass gives logits, for a loss on them; needs a decoder. Without
            them, the decoder has no gradient.
        with_features: whether the pass gives features, for a loss on them.
        further: blocks of that loss that are trained with the student, in the same buffers.
    """

    def __init__(
        self,
        model: BortModel,
        flat: FlatParameters,
        context: mx.Context,
        *,
        with_logits: bool = True,
        with_features: bool = False,
        further: Iterable[gluon.Block] = (),
    ) -> None:
        self.model = model
        self.flat = flat
        self.context = context
        self._with_logits = with_logits
        self._joint = _has_wide_registers(context)
        self._logit_gradient: Optional[mx.nd.NDArray] = None
        self._graph = _Graph(model, with_logits, with_features)
        self._graph.hybridize(static_alloc=True, static_shape=True)
        unused = _unused_parameters(model, with_logits)
        distinct = {
            id(p): p for block in (model, *further) for p in named_parameters(block).values()
        }
        parameters = [
            p
            for p in distinct.values()
            if p.grad_req != "null" and (with_logits or p not in unused)
        ]
        # Second handles on the same memory, because gradient requests belong to handles.
        table = model.embedding_weight
        self._table = table.data(context).reshape(table.shape)
        table_gradient = table.grad(context).reshape(table.shape)
        handles = {id(p): (p.data(context), p.grad(context)) for p in parameters}
        self._output: Optional[Tuple[mx.nd.NDArray, mx.nd.NDArray]] = None
        matrix, bias = (flat.with_further_rows(name) for name in (_MATRIX, _BIAS))
        if with_logits and matrix is not None and bias is not None:
            self._output = matrix[0], bias[0]
            handles[id(model.decoder_weight)] = matrix
            handles[id(model.decoder[3].bias)] = bias
        self._variables = [*(weights for weights, _ in handles.values()), self._table]
        self._gradients = [*(gradient for _, gradient in handles.values()), table_gradient]
        self._unused = [p.grad(context) for p in unused if p is not table]

    def __call__(
        self,
        batch: MaskedBatch,
        loss: Optional[Callable[[mx.nd.NDArray, BatchArrays], Any]] = None,
        feature_loss: Optional[Callable[[Features, BatchArrays], mx.nd.NDArray]] = None,
        *,
        first: bool = False,
    ) -> Any:
        """Compute the losses of a micro-batch and their gradients.

        Args:
            batch: the micro-batch.
            loss: returns one array or a sequence of arrays for logits (B, P, V) and the batch's
                arrays; the sum of the first array is differentiated. A pass with logits needs it.
            feature_loss: returns an array for the student's features and the batch's arrays, whose
                sum is differentiated too. A pass with features needs it.
            first: whether to overwrite the gradients in the buffer instead of adding to them, which
                is faster than clearing the buffer.

        Returns:
            The result of `loss`, which may still be computing; None without logits.
        """
        arrays = to_device(batch, self.context)
        self._mark("write" if first else "add")
        outputs = None
        heads: List[mx.nd.NDArray] = []
        gradients: List[mx.nd.NDArray] = []
        with autograd.record():
            inner, features = self._run(arrays)
            if loss is not None:
                logits = self._project(inner if self._joint else inner.detach())
                leaf = self._leaf(logits)
                outputs = loss(leaf, arrays)
                head = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
            if feature_loss is not None:
                further = feature_loss(features, arrays)
        if loss is not None:
            head.backward()
            heads, gradients = self._below(inner, logits, leaf.grad)
        if feature_loss is not None:
            heads, gradients = [*heads, further], [*gradients, mx.nd.ones_like(further)]
        autograd.backward(heads, gradients)
        return outputs

    def _leaf(self, logits: mx.nd.NDArray) -> mx.nd.NDArray:
        """Return the logits (B, P, V) as a variable, whose gradient has memory of its own."""
        leaf = logits.detach()
        if self._logit_gradient is None or self._logit_gradient.shape != logits.shape:
            self._logit_gradient = mx.nd.zeros_like(leaf)
        autograd.mark_variables([leaf], [self._logit_gradient], "write")
        return leaf

    def _below(
        self, inner: mx.nd.NDArray, logits: mx.nd.NDArray, gradient: mx.nd.NDArray
    ) -> Tuple[List[mx.nd.NDArray], List[mx.nd.NDArray]]:
        """Return the arrays at which the backward pass goes on below the loss, and their gradients.

        With the `dot`, the gradient of the decoder's matrix is computed here.
        """
        if self._joint:
            return [logits], [gradient]
        logits.backward(gradient)
        # (B, P, V) x (V, H) -> (B, P, H)
        matrix = self.model.decoder_weight.data(self.context).detach()
        return [inner], [mx.nd.dot(gradient, matrix)]

    def predict(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the logits (B, P, V) without dropout and gradients."""
        if not self._with_logits:
            arrays = to_device(batch, self.context)
            with autograd.predict_mode():
                return self.model(arrays.input_ids, arrays.valid_lengths, arrays.masked_positions)[
                    -1
                ]
        with autograd.predict_mode():
            return self._project(self._run(to_device(batch, self.context))[0])

    def release(self) -> None:
        """Free the memory of the compiled graphs; the next pass compiles them again."""
        release_graphs(self._graph)
        self._logit_gradient = None

    def features(self, batch: MaskedBatch) -> Features:
        """Return the features without dropout and gradients; needs a pass with features."""
        with autograd.predict_mode():
            return self._run(to_device(batch, self.context))[1]

    def _run(self, arrays: BatchArrays) -> Tuple[Any, Any]:
        """Return the input of the decoder's last layer and the features, None if left out."""
        positions = [arrays.masked_positions] if self._with_logits else []
        found = self._graph(arrays.input_ids, arrays.valid_lengths, self._table, *positions)
        found = list(found) if isinstance(found, (list, tuple)) else [found]
        inner = found.pop(0) if self._with_logits else None
        return inner, Features(*found) if found else None

    def _project(self, inner: mx.nd.NDArray) -> mx.nd.NDArray:
        """(B, P, H) -> (B, P, V): the decoder's last layer."""
        if self._output is None:
            return self.model.decoder[3](inner)
        matrix, bias = self._output
        logits = mx.nd.FullyConnected(inner, matrix, bias, num_hidden=len(bias), flatten=False)
        tokens = self.model.architecture.vocabulary_size
        return mx.nd.slice_axis(logits, axis=-1, begin=0, end=tokens)

    def _mark(self, request: str) -> None:
        # The gradient of a tied decoder's matrix is computed before that of the embedding, so the
        # latter is always added.
        last = "add" if self._with_logits and self.model.tied_decoder else request
        requests = [request] * (len(self._variables) - 1) + [last]
        autograd.mark_variables(self._variables, self._gradients, requests)
        if request == "write":
            for gradient in self._unused:
                gradient[:] = 0


class _Graph(PartialGraph):
    """The student as a function of a batch and the embedding matrix."""

    def __init__(self, model: BortModel, with_logits: bool, with_features: bool) -> None:
        super().__init__()
        self.model = model
        self._with_logits = with_logits
        self._with_features = with_features

    def hybrid_forward(
        self, F: Any, input_ids: Any, valid_lengths: Any, table: Any, masked_positions: Any = None
    ) -> Any:
        """Return the input (B, P, H) of the decoder's last layer and the features, as asked for."""
        size, hidden = self.model.architecture.vocabulary_size, self.model.architecture.hidden
        embedded = F.Embedding(input_ids, table, input_dim=size, output_dim=hidden)
        features = self.model.encode_with_attention(F, embedded, input_ids, valid_lengths)
        if not self._with_logits:
            return features
        inner = self.model.prepare(F, features[0], input_ids, masked_positions)
        return (inner, *features) if self._with_features else inner


def _has_wide_registers(context: mx.Context) -> bool:
    """Return whether the device is a CPU with AVX-512."""
    return context.device_type == "cpu" and "avx512f" in (processor_flags() or ())


def _unused_parameters(model: BortModel, with_logits: bool) -> List[gluon.Parameter]:
    """Return the parameters that have no effect on masked-token logits, or on features."""
    unused = [model.pooler] if with_logits else [model.pooler, model.decoder]
    return [p for block in unused if block is not None for p in named_parameters(block).values()]
