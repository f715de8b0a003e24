"""Inference on a set of inputs: batching by length, with outputs in the order of the inputs.

A plan is a list of batches. `batches_by_rows` makes batches of a fixed number of rows, which suits
networks that are compiled for their shapes, and shares them among ranks. `batches_by_tokens` limits
the tokens of a batch, which suits engines that take any shape. Both sort inputs by length to reduce
padding; `outputs_in_order` restores the order.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Protocol, TypeVar

import numpy as np

from bort.errors import InputError
from bort.ranks import Communicator, own_share
from bort.text.batch_plan import in_batches
from bort.text.padding import ROW_OF_PADDING, longest_row, pad_rows, padded_length
from bort.text.pair_form import token_types_of

_T = TypeVar("_T")

OnInputs = Callable[[int], None]
"""Called after each batch with its number of inputs."""


class TokenisedInputs(Protocol):
    """Inputs as token ids, accessed by index.

    Attributes:
        lengths: integer array (N,), number of tokens of each input.
        type_separator: id behind whose first occurrence the tokens of an input have token type 1;
            None if all tokens have type 0.
    """

    @property
    def lengths(self) -> np.ndarray: ...

    @property
    def type_separator(self) -> Optional[int]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> np.ndarray:
        """Return the token ids of one input: integer array (lengths[number],)."""


class ChosenInputs:
    """Some of the inputs, in a given order; implements `TokenisedInputs`.

    Args:
        inputs: the inputs.
        rows: int64 (n,), numbers of those that are chosen.
    """

    def __init__(self, inputs: TokenisedInputs, rows: np.ndarray) -> None:
        self._inputs, self._rows = inputs, rows
        self.lengths = np.asarray(inputs.lengths)[rows]
        self.type_separator = inputs.type_separator

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> np.ndarray:
        return self._inputs[int(self._rows[number])]


class InputBatch(NamedTuple):
    """Inputs that form a batch.

    Attributes:
        rows: int64 (B,), indices of the inputs, and -1 for padding rows, which come last.
        length: tokens per row after padding.
    """

    rows: np.ndarray
    length: int


class PaddedInputs(NamedTuple):
    """A padded batch of B rows, of which the first n are inputs.

    Attributes:
        numbers: int64 (n,), indices of the inputs.
        input_ids: int32 (B, L), padded with `<pad>`.
        lengths: int32 (B,), number of valid tokens of each row, at least 1.
        token_types: int32 (B, L), 0 and 1; None if all are 0.
    """

    numbers: np.ndarray
    input_ids: np.ndarray
    lengths: np.ndarray
    token_types: Optional[np.ndarray] = None


Compute = Callable[[PaddedInputs], np.ndarray]
"""A function from a batch to its outputs, one for each row: (B, …)."""


def ignore(count: int) -> None:
    """Do nothing; the default `OnInputs`."""


def batches_by_rows(
    lengths: np.ndarray,
    *,
    rows: int,
    ranks: Communicator,
    length: Optional[int] = None,
    longest_allowed: Optional[int] = None,
) -> List[InputBatch]:
    """Return this rank's batches of `rows` rows; over all ranks each input is in one batch.

    Args:
        lengths: int (N,), number of tokens of each input.
        rows: B, the rows of each batch; padding rows fill up the last batch.
        ranks: the processes that share the inputs.
        length: tokens to pad each row to; the inputs then keep their order. By default inputs are
            sorted by length, shortest first, and each batch is padded to its longest input, rounded
            up to a multiple of 8.
        longest_allowed: most tokens to round up to; None: any number.

    Raises:
        InputError: an input is longer than `length`.

    >>> from bort.ranks import SingleProcess
    >>> plan = batches_by_rows(np.array([9, 3, 12, 2, 7]), rows=2, ranks=SingleProcess())
    >>> [(batch.rows.tolist(), batch.length) for batch in plan]
    [([3, 1], 8), ([4, 0], 16), ([2, -1], 16)]
    """
    lengths = np.asarray(lengths)
    longest = int(lengths.max(initial=0))
    if length is not None and longest > length:
        raise InputError(f"an example has {longest} tokens, allowed are at most {length}")
    order = np.arange(len(lengths)) if length is not None else np.argsort(lengths, kind="stable")
    allowed = sys.maxsize if longest_allowed is None else longest_allowed
    return [
        InputBatch(ids, length or longest_row(lengths[ids[ids >= 0]], allowed))
        for ids in in_batches(own_share(ranks, order), rows)
    ]


def batches_by_tokens(
    lengths: np.ndarray,
    *,
    tokens: int,
    longest: int,
    predictions: Optional[np.ndarray] = None,
    most_predictions: int = 0,
) -> List[InputBatch]:
    """Return batches of a limited number of tokens, longest inputs first.

    With the longest inputs first, a lack of memory shows at the start. The padded length of an
    input depends only on its own length (see `padded_length`), and a batch has inputs of one padded
    length only. The other inputs of a batch therefore change only its number of rows. In our
    measurements ONNX Runtime then gave the same bits in batches of 1 to 16, OpenVINO gave two
    results (below and above about 90 tokens per batch), and MXNet several.

    Args:
        lengths: int (N,), number of tokens of each input.
        tokens: maximum tokens per batch, padding included; a single input may have more.
        longest: maximum tokens that the model takes.
        predictions: int (N,), number of positions to predict of each input; None for none.
        most_predictions: maximum positions per batch, padding included.

    >>> lengths = np.array([9, 3, 12, 2])
    >>> [batch.rows.tolist() for batch in batches_by_tokens(lengths, tokens=32, longest=64)]
    [[0, 2], [1, 3]]
    """
    padded = np.array([padded_length(n, longest) for n in lengths.tolist()], dtype=np.int64)
    needed = np.zeros_like(padded) if predictions is None else np.asarray(predictions)
    order = np.lexsort((-needed, -padded))
    batches: List[InputBatch] = []
    start = 0
    while start < len(order):
        length, widest = int(padded[order[start]]), int(needed[order[start]])
        rows = max(1, tokens // length)
        if widest:
            rows = min(rows, max(1, most_predictions // widest))
        end = start + 1
        while end < min(len(order), start + rows) and padded[order[end]] == length:
            end += 1
        batches.append(InputBatch(order[start:end], length))
        start = end
    return batches


def padded_inputs(
    inputs: TokenisedInputs, plan: Iterable[InputBatch], pad_id: int
) -> Iterator[PaddedInputs]:
    """Yield the padded batches of a plan, made one at a time."""
    for batch in plan:
        numbers = batch.rows[batch.rows >= 0]
        rows = [inputs[number] for number in numbers.tolist()]
        rows += [ROW_OF_PADDING] * (len(batch.rows) - len(rows))
        ids, lengths = pad_rows(rows, batch.length, pad_id)
        yield PaddedInputs(numbers, ids, lengths, types_of_rows(inputs, ids, lengths))


def types_of_rows(
    inputs: TokenisedInputs, input_ids: np.ndarray, lengths: np.ndarray
) -> Optional[np.ndarray]:
    """Return the token types int32 (B, L) of padded inputs; None if all are 0."""
    separator = inputs.type_separator
    return None if separator is None else token_types_of(input_ids, lengths, separator)


def outputs_in_order(
    compute: Compute,
    inputs: TokenisedInputs,
    plan: Iterable[InputBatch],
    *,
    pad_id: int,
    width: int,
    dtype: type = np.float32,
    on_inputs: OnInputs = ignore,
    per_token: bool = False,
) -> np.ndarray:
    """Return outputs (N, width) in the order of the inputs; 0 for inputs that are not in the plan.

    A model with outputs for every token gives (T, width): a row for each of the T tokens of all
    inputs, in order, without padding.

    Args:
        compute: the model, which returns outputs (B, width), or (B, L, width) for every token.
        inputs: N inputs.
        plan: the batches; see `batches_by_rows` and `batches_by_tokens`.
        pad_id: id of `<pad>`.
        width: size of one output.
        dtype: data type of the outputs.
        on_inputs: see `OnInputs`.
        per_token: whether the model has outputs for every token.
    """
    ends = np.cumsum(inputs.lengths if per_token else np.ones(len(inputs), dtype=np.int64))
    outputs: np.ndarray = np.zeros((int(ends[-1]) if len(ends) else 0, width), dtype=dtype)
    for batch in padded_inputs(inputs, plan, pad_id):
        found = compute(batch)[: len(batch.numbers)]
        if per_token:
            for row, end, length in zip(
                found, ends[batch.numbers].tolist(), batch.lengths.tolist()
            ):
                outputs[end - length : end] = row[:length]
        else:
            outputs[batch.numbers] = found
        on_inputs(len(batch.numbers))
    return outputs


def shared_outputs(
    compute: Compute,
    inputs: TokenisedInputs,
    *,
    rows: int,
    pad_id: int,
    width: int,
    ranks: Communicator,
    on_inputs: OnInputs = ignore,
    longest_allowed: Optional[int] = None,
    per_token: bool = False,
) -> np.ndarray:
    """Return the float64 outputs of `outputs_in_order`, the same on every rank.

    Args:
        compute: the model, which returns outputs (B, width), or (B, L, width) for every token.
        inputs: N inputs, the same on every rank.
        rows: inputs per batch.
        pad_id: id of `<pad>`.
        width: size of one output.
        ranks: the processes that share the inputs.
        on_inputs: see `OnInputs`; receives the counts of this rank only.
        longest_allowed: most tokens that the model takes, padding included; None: any number.
        per_token: whether the model has outputs for every token.
    """
    plan = batches_by_rows(inputs.lengths, rows=rows, ranks=ranks, longest_allowed=longest_allowed)
    outputs = outputs_in_order(
        compute,
        inputs,
        plan,
        pad_id=pad_id,
        width=width,
        dtype=np.float64,
        on_inputs=on_inputs,
        per_token=per_token,
    )
    ranks.sum_in_place(outputs)
    return outputs


def in_windows(items: Iterable[_T], size: int) -> Iterator[List[_T]]:
    """Yield lists of `size` items, the last one possibly shorter.

    Only one window is in memory, so `items` may be infinite. Inputs are sorted by length within a
    window.

    >>> list(in_windows("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window
