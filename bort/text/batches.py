"""Padded and masked batches, and a thread that makes them ahead of time."""

from __future__ import annotations

import queue
import threading
import time
from typing import Generic, Iterable, Iterator, Optional, Tuple, TypeVar

import numpy as np

from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.text.padding import ROW_OF_PADDING, pad_rows

_T = TypeVar("_T")


def make_batch(
    examples: ExampleSource, example_ids: np.ndarray, epoch: int, length: int, masking: Masking
) -> MaskedBatch:
    """Return a batch of masked and padded examples.

    Args:
        examples: source of the token ids.
        example_ids: int64 (B,), -1 for a padding row.
        epoch: epoch of the masks.
        length: L, tokens per row.
        masking: draws the masks.
    """
    # Without a masked token, a position of weight 0 remains, since MXNet has no empty arrays.
    shape = len(example_ids), max(1, masking.policy.prediction_count(max(1, length - 2)))
    positions = np.zeros(shape, dtype=np.int32)
    labels = np.zeros(shape, dtype=np.int32)
    weights = np.zeros(shape, dtype=np.float32)
    rows = [ROW_OF_PADDING] * len(example_ids)
    for row, number in enumerate(example_ids.tolist()):
        if number < 0:
            continue
        rows[row], where, original = masking.apply(examples[number], epoch, number)
        positions[row, : len(where)] = where
        labels[row, : len(where)] = original
        weights[row, : len(where)] = 1.0
    input_ids, valid_lengths = pad_rows(rows, length, masking.pad_id)
    return MaskedBatch(input_ids, valid_lengths, positions, labels, weights, example_ids, epoch)


class Prefetcher(Generic[_T]):
    """An iterator that computes the items of an iterable in a thread, a few items ahead.

    It uses a thread and not processes, because forking after a framework has started costs seconds
    of copy-on-write. An exception in the iterable is raised again in the reader.

    Args:
        items: the iterable.
        ahead: maximum number of items that are ready.

    Attributes:
        waited_seconds: time that the reader has waited for items so far, in seconds.
    """

    def __init__(self, items: Iterable[_T], ahead: int = 4) -> None:
        self.waited_seconds = 0.0
        self._queue: queue.Queue[Tuple[Optional[_T], Optional[BaseException], bool]] = queue.Queue(
            maxsize=ahead
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(items,), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_T]:
        while True:
            began = time.perf_counter()
            item, error, finished = self._queue.get()
            self.waited_seconds += time.perf_counter() - began
            if error is not None:
                raise error
            if finished:
                return
            yield item  # type: ignore[misc]

    def close(self) -> None:
        """Stop the thread and drop the items that are ready."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.05)
            except queue.Empty:
                continue

    def _run(self, items: Iterable[_T]) -> None:
        try:
            for item in items:
                if not self._put((item, None, False)):
                    return
        except BaseException as error:  # raised again in the reader
            self._put((None, error, False))
            return
        self._put((None, None, True))

    def _put(self, entry: Tuple[Optional[_T], Optional[BaseException], bool]) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False
