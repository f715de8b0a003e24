"""Importance of a network's parts, measured on batches with Gluon.

Heads, neurons and columns are scored by the first-order Taylor expansion of a loss (see
`bort.network.importance.taylor_importance`), layers by the change of the last hidden states when a
layer is left out. The loss depends on the batches and on the network:

- batches with masked tokens and a decoder: cross-entropy of the masked tokens;
- labelled batches and a network with a head: cross-entropy of the labels, or half the squared
  error of a regression; of several labels of a row the mean over labels; of a span model the mean
  cross-entropy of start and end, whose labels are (B, 2). Such a network cannot learn from its own
  outputs, since that gradient is zero. Without labels, labels are therefore drawn from its outputs,
  which estimates the Fisher information (arXiv 1801.05787, section 2);
- otherwise: Σ ±h over the last hidden states h with random signs. The expected square of its
  derivative by a gate ξ is ‖∂h/∂ξ‖² (Hutchinson's estimator), so the scores estimate the
  first-order change of the last hidden states when a part is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, Optional, Sequence, Union

import mxnet as mx
import numpy as np
from mxnet import autograd
from scipy.special import expit, softmax

from bort.gluon.network.array_network import as_network
from bort.gluon.network.inputs import InputArrays, input_arrays
from bort.gluon.network.networks import HeadedNetwork, Network, encoder_of
from bort.gluon.network.parameters import named_parameters
from bort.gluon.network.sigmoid_loss import sigmoid_cross_entropy
from bort.gluon.network.span_model import BortSpanModel
from bort.network.array_network import ArrayNetwork
from bort.network.fingerprint import fingerprint_of
from bort.network.head import MULTI_LABEL
from bort.network.importance import Importance, taylor_importance
from bort.network.sub_network import extracted, front_of, with_layers
from bort.text.batch_plan import BatchPlan
from bort.text.batches import make_batch
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.labelled import LabelledBatch, LabelledExamples, make_labelled_batch
from bort.text.masking import Masking
from bort.text.padding import rounded_up
from bort.training.importance_config import IMPORTANCE_TOKENS

ImportanceBatch = Union[MaskedBatch, LabelledBatch]

_SIGN_DRAWS = 4
"""Random signs for each batch; each costs one backward pass."""


@dataclass(frozen=True)
class ImportanceQuestions:
    """The batches that importance is measured on.

    Attributes:
        batches: masked or labelled batches, at least one.
        has_labels: whether the labels of labelled batches count; if not, labels are drawn from the
            network's outputs.
        seed: seed of signs and labels that are drawn.
    """

    batches: Sequence[ImportanceBatch]
    has_labels: bool = True
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of everything that the scores depend on, apart from the network."""
        arrays = {
            f"{number}.{name}": value
            for number, batch in enumerate(self.batches)
            for name, value in vars(batch).items()
            if isinstance(value, np.ndarray)
        }
        return fingerprint_of(arrays, before=f"{self.has_labels} {self.seed} {_SIGN_DRAWS}")


def importance_plan(lengths: Union[Sequence[int], np.ndarray], seed: int) -> BatchPlan:
    """Return the plan of the batches that importance is measured on.

    A batch has about 2,048 tokens. Importance therefore depends neither on the batch size nor on
    the ranks of the training, and the gradients of a large teacher fit into the memory.

    Args:
        lengths: integers (N,), number of tokens of each example.
        seed: seed of the order.

    Raises:
        InputError: there is no example.
    """
    sizes = np.asarray(lengths)
    all_tokens = rounded_up(int(sizes.max(initial=1))) * max(1, len(sizes))
    tokens = min(IMPORTANCE_TOKENS, all_tokens)
    return BatchPlan(sizes, seed=seed, batch_size=tokens, buckets=4, count_tokens=True)


def masked_questions(
    examples: ExampleSource, masking: Masking, seed: int, count: int
) -> ImportanceQuestions:
    """Return masked batches of examples.

    Args:
        examples: training examples.
        masking: draws the masks.
        seed: seed of the order, and of signs that are drawn.
        count: number of batches, at least 1.

    Raises:
        InputError: there is no example.
    """
    steps = map(importance_plan(examples.lengths, seed).step, range(count))
    batches = [
        make_batch(examples, step.part(0, 1), step.epoch, step.length, masking) for step in steps
    ]
    return ImportanceQuestions(batches, seed=seed)


def labelled_questions(
    examples: LabelledExamples, pad_id: int, seed: int, count: int, *, has_labels: bool
) -> ImportanceQuestions:
    """Return batches of labelled inputs.

    Args:
        examples: training inputs.
        pad_id: id of `<pad>`.
        seed: seed of the order, and of labels or signs that are drawn.
        count: number of batches, at least 1.
        has_labels: see `ImportanceQuestions`.

    Raises:
        InputError: there is no input.
    """
    steps = map(importance_plan(examples.lengths, seed).step, range(count))
    batches = [
        make_labelled_batch(examples, step.part(0, 1), step.length, pad_id) for step in steps
    ]
    return ImportanceQuestions(batches, has_labels, seed)


def measured_importance(
    network: ArrayNetwork, questions: ImportanceQuestions, context: Optional[mx.Context] = None
) -> Importance:
    """Return the scores of a network's parts and layers.

    The same questions give the same scores on the same machine with the same number of threads.

    Args:
        network: any network, with or without decoder and head.
        questions: the batches.
        context: device of the computation; the CPU by default.
    """
    context = context or mx.cpu()
    assert questions.batches
    gluon = as_network(network, context)
    for parameter in _scored(gluon).values():
        parameter.grad_req = "write"
    total: Optional[Importance] = None
    for index, batch in enumerate(questions.batches):
        generator = np.random.default_rng([questions.seed, index])
        for gradients in _gradients(gluon, network, batch, questions.has_labels, generator):
            found = taylor_importance(network.architecture, network.arrays, gradients)
            total = found if total is None else total + found
    assert total is not None
    layers = layer_importance(network, questions.batches, context)
    return Importance(total.hidden, total.intermediate, total.attention, layers)


def layer_importance(
    network: ArrayNetwork,
    batches: Sequence[ImportanceBatch],
    context: Optional[mx.Context] = None,
) -> np.ndarray:
    """Return the relative change of the last hidden states when a layer is left out: float64 (D,).

    It is Σ‖h − h′‖² / Σ‖h‖² over all tokens that are not padding, with h the last hidden states and
    h′ those of the network without the layer.

    Source: arXiv 2004.03844 (contribution-based dropping), with the change of the network's output
    in place of the similarity of a layer's input and output.
    """
    context = context or mx.cpu()
    depth = network.architecture.depth
    if depth == 1:
        return np.ones(1)
    encoder = network.encoder_alone()
    whole = as_network(encoder, context)
    states = [_hidden(whole, encoder, batch, context) for batch in batches]
    sizes = encoder.architecture
    shallower = front_of(sizes, sizes.replace(depth=depth - 1))
    changes = []
    for left_out in range(depth):
        kept = tuple(layer for layer in range(depth) if layer != left_out)
        without = as_network(extracted(encoder, with_layers(shallower, kept)), context)
        changes.append(
            sum(
                _squares(_hidden(without, encoder, batch, context) - before)
                for batch, before in zip(batches, states)
            )
        )
    return np.array(changes) / sum(map(_squares, states))


def _gradients(
    gluon: Network,
    network: ArrayNetwork,
    batch: ImportanceBatch,
    has_labels: bool,
    generator: np.random.Generator,
) -> Iterator[Dict[str, np.ndarray]]:
    """Yield gradients of the layers' parameters, by their names in `network`."""
    context = gluon.collect_params().list_ctx()[0]
    inputs = _inputs(network, batch, context)
    with autograd.record(train_mode=False):
        loss: Any = None
        if isinstance(batch, LabelledBatch) and isinstance(gluon, HeadedNetwork):
            outputs, labels, weights = gluon(*inputs), batch.labels, batch.weights
            if isinstance(gluon, BortSpanModel):
                # Start and end are two labels among L classes: (B, L, 2) -> (2B, L)
                outputs = outputs.transpose((0, 2, 1)).reshape((-3, 0))
                labels, weights = labels.reshape(-1), np.repeat(weights, 2)
            kind = gluon.problem_type
            labels = labels if has_labels else _drawn_labels(kind, outputs.asnumpy(), generator)
            loss = _label_loss(kind, outputs, labels, weights)
        elif _is_predicted(batch) and network.description.has_decoder:
            loss = _masked_token_loss(encoder_of(gluon), inputs, batch)
        else:
            encoded = _encoded(encoder_of(gluon), inputs)
    if loss is not None:
        loss.backward()
        yield _layer_gradients(gluon)
        return
    for _ in range(_SIGN_DRAWS):
        signs = generator.choice(np.array([-1, 1], np.float32), encoded.shape)
        signs[batch.example_ids < 0] = 0
        encoded.backward(mx.nd.array(signs, ctx=context), retain_graph=True, train_mode=False)
        yield _layer_gradients(gluon)


def _is_predicted(batch: ImportanceBatch) -> bool:
    return isinstance(batch, MaskedBatch) and batch.prediction_count > 0


def _masked_token_loss(model: Any, inputs: InputArrays, batch: Any) -> Any:
    """Return the mean cross-entropy of the masked tokens."""
    context = inputs.lengths.context
    positions = mx.nd.array(batch.masked_positions, ctx=context, dtype="int32")
    logits = model(inputs.input_ids, inputs.lengths, positions, inputs.token_types)[-1]
    labels = mx.nd.array(batch.labels, ctx=context, dtype="int32")
    weights = mx.nd.array(batch.weights, ctx=context)
    picked = mx.nd.pick(mx.nd.log_softmax(logits, axis=-1), labels, axis=-1)
    return -(picked * weights).sum() / max(1, batch.prediction_count)


def _label_loss(kind: str, outputs: Any, labels: np.ndarray, weights: np.ndarray) -> Any:
    """Return the mean cross-entropy of the labels, or half the mean squared error.

    Args:
        kind: the problem type of the outputs.
        outputs: (B, C).
        labels: (B,), or (B, C) for several labels of a row.
        weights: (B,).
    """
    context = outputs.context
    target, weight = mx.nd.array(labels, ctx=context), mx.nd.array(weights, ctx=context)
    count = max(1.0, float(weights.sum()))
    if kind == MULTI_LABEL:
        each = mx.nd.mean(sigmoid_cross_entropy(mx.nd, outputs, target), axis=-1)
        return (each * weight).sum() / count
    if outputs.shape[1] == 1:
        difference = outputs.reshape((-1,)) - target
        return (difference * difference * weight).sum() / (2 * count)
    picked = mx.nd.pick(mx.nd.log_softmax(outputs, axis=-1), target, axis=-1)
    return -(picked * weight).sum() / count


def _drawn_labels(kind: str, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the labels of each row, drawn from the distribution that the outputs stand for."""
    if kind == MULTI_LABEL:
        return (generator.random(outputs.shape) < expit(outputs)).astype(np.float32)
    if outputs.shape[1] == 1:
        drawn: np.ndarray = outputs[:, 0] + generator.standard_normal(len(outputs))
        return drawn
    sums = np.cumsum(softmax(outputs.astype(np.float64), axis=1), axis=1)
    points = generator.random((len(outputs), 1)) * sums[:, -1:]
    labels: np.ndarray = (sums < points).sum(axis=1)
    return labels


def _scored(gluon: Network) -> Dict[str, mx.gluon.Parameter]:
    """Return the matrices of the layers, by their names in an `ArrayNetwork`."""
    return {
        name[name.index("encoder.") :]: parameter
        for name, parameter in named_parameters(gluon).items()
        if "transformer_cells." in name and name.endswith(".weight")
    }


def _layer_gradients(gluon: Network) -> Dict[str, np.ndarray]:
    return {name: parameter.grad().asnumpy() for name, parameter in _scored(gluon).items()}


def _inputs(network: ArrayNetwork, batch: ImportanceBatch, context: mx.Context) -> InputArrays:
    sizes = network.architecture
    longest = sizes.maximum_length  # batches are padded to a multiple of 8, which may be more
    types = None if batch.token_types is None else batch.token_types[:, :longest]
    return input_arrays(sizes, context, batch.input_ids[:, :longest], batch.valid_lengths, types)


def _encoded(model: Any, inputs: InputArrays) -> Any:
    """Return the last hidden states (B, L, H), zero at padding."""
    outputs = model(inputs.input_ids, inputs.lengths, None, inputs.token_types)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def _hidden(
    model: Any, network: ArrayNetwork, batch: ImportanceBatch, context: mx.Context
) -> np.ndarray:
    """Return the last hidden states of the examples of a batch, (n, L, H), zero at padding."""
    with autograd.predict_mode():
        states: np.ndarray = _encoded(model, _inputs(network, batch, context)).asnumpy()
    return states[batch.example_ids >= 0]


def _squares(states: np.ndarray) -> float:
    flat = states.reshape(-1).astype(np.float64)
    return float(flat @ flat)
