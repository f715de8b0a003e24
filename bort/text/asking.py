"""Asking a model about a set of inputs: batches by length, outputs in the order of the inputs.

A plan says which inputs are computed together. `batches_by_rows` fills batches of a fixed number of
rows, which a network that is compiled for its shapes likes best, and shares them over ranks.
`batches_by_tokens` bounds the tokens of a batch, which suits engines that take any shape. Both sort
by length, so that little of a batch is padding; `outputs_in_order` puts the outputs back.
"""

from __future__ import annotations

from itertools import islice
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Protocol, TypeVar

import numpy as np

from bort.errors import InputError
from bort.ranks import Communicator, own_share
from bort.text.batch_plan import in_batches
from bort.text.padding import ROW_OF_PADDING, pad_rows, padded_length, rounded_up

_T = TypeVar("_T")

OnInputs = Callable[[int], None]
"""Called after every batch with the number of inputs in it."""


class TokenisedInputs(Protocol):
    """Inputs as token ids, addressed by number.

    Attributes:
        lengths: integer array (N,), tokens of every input.
    """

    @property
    def lengths(self) -> np.ndarray: ...

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> np.ndarray:
        """Token ids of one input: integer array (lengths[number],)."""


class InputBatch(NamedTuple):
    """Inputs that are computed together.

    Attributes:
        rows: int64 (B,), numbers of the inputs, and -1 for rows of padding, which come last.
        length: tokens of a row after padding.
    """

    rows: np.ndarray
    length: int


class PaddedInputs(NamedTuple):
    """A batch as a model takes it. With B rows, of which the first n are inputs:

    Attributes:
        numbers: int64 (n,), numbers of the inputs.
        input_ids: int32 (B, L), padded with `<pad>`.
        lengths: int32 (B,), tokens that count in every row; at least 1.
    """

    numbers: np.ndarray
    input_ids: np.ndarray
    lengths: np.ndarray


Compute = Callable[[PaddedInputs], np.ndarray]
"""From a batch to its outputs, one for each row: (B, …)."""


def ignore(count: int) -> None:
    """An `OnInputs` that does nothing."""


def batches_by_rows(
    lengths: np.ndarray,
    *,
    rows: int,
    ranks: Communicator,
    length: Optional[int] = None,
) -> List[InputBatch]:
    """This rank's batches of equally many rows; over all ranks every input is in one of them.

    Args:
        lengths: int (N,), tokens of every input.
        rows: B of every batch; the last one is filled up with rows of padding.
        ranks: the processes that share the inputs.
        length: tokens to which every row is padded, in the order of the inputs. By default inputs
            are sorted, the shortest first, and a batch is padded to its longest input, rounded up
            to a multiple of 8.

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
    return [
        InputBatch(ids, length or rounded_up(int(lengths[ids[ids >= 0]].max())))
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
    """Batches of bounded size; the longest inputs first, so that memory runs out early if ever.

    An input is padded to a length that depends on its own length alone (`padded_length`), and
    shares a batch with inputs of the same padded length only. Its company changes nothing but the
    number of rows of the matrices: measured, ONNX Runtime then gave the same bits in batches of 1
    to 16, OpenVINO gave two results (below and above about 90 tokens a batch), MXNet several.

    Args:
        lengths: int (N,), tokens of every input.
        tokens: most tokens of a batch, padding included; one input alone may have more.
        longest: most tokens that the model takes.
        predictions: int (N,), positions to predict of every input; None where none are.
        most_predictions: most positions of a batch, padding included.

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
    """Yield the batches of a plan, looked up and padded one at a time."""
    for batch in plan:
        numbers = batch.rows[batch.rows >= 0]
        rows = [inputs[number] for number in numbers.tolist()]
        rows += [ROW_OF_PADDING] * (len(batch.rows) - len(rows))
        yield PaddedInputs(numbers, *pad_rows(rows, batch.length, pad_id))


def outputs_in_order(
    compute: Compute,
    inputs: TokenisedInputs,
    plan: Iterable[InputBatch],
    *,
    pad_id: int,
    width: int,
    dtype: type = np.float32,
    on_inputs: OnInputs = ignore,
) -> np.ndarray:
    """Outputs (N, width) in the order of the inputs; 0 for inputs that the plan leaves out.

    Args:
        compute: the model; gives outputs (B, width).
        inputs: N of them.
        plan: the batches; see `batches_by_rows` and `batches_by_tokens`.
        pad_id: of `<pad>`.
        width: numbers of one output.
        dtype: of the outputs.
        on_inputs: see `OnInputs`.
    """
    outputs: np.ndarray = np.zeros((len(inputs), width), dtype=dtype)
    for batch in padded_inputs(inputs, plan, pad_id):
        outputs[batch.numbers] = compute(batch)[: len(batch.numbers)]
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
) -> np.ndarray:
    """Outputs float64 (N, width) in the order of the inputs, the same on every rank.

    Args:
        compute: the model; gives outputs (B, width).
        inputs: N of them, the same on every rank.
        rows: inputs of a batch.
        pad_id: of `<pad>`.
        width: numbers of one output.
        ranks: the processes that share the inputs.
        on_inputs: see `OnInputs`; counts the inputs of this rank.
    """
    plan = batches_by_rows(inputs.lengths, rows=rows, ranks=ranks)
    outputs = outputs_in_order(
        compute,
        inputs,
        plan,
        pad_id=pad_id,
        width=width,
        dtype=np.float64,
        on_inputs=on_inputs,
    )
    ranks.sum_in_place(outputs)
    return outputs


def in_windows(items: Iterable[_T], size: int) -> Iterator[List[_T]]:
    """Lists of `size` items, the last one shorter: what is sorted by length together.

    Memory is bounded by one window, so `items` may be endless.

    >>> list(in_windows("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    remaining = iter(items)
    while window := list(islice(remaining, size)):
        yield window
