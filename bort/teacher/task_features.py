"""A teacher's features for the inputs of a task, computed once and kept in memory-mapped files.

The features of the real tokens of all inputs are kept, one token after another, in `InputParts`. A
part is float32 (T, W): the T tokens of its inputs, shortest input first, and the features side by
side. They are float32, so that a student learns from the same numbers as without the files; half
the bytes would cost a conversion in every step and overflow above 65,504.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

import numpy as np

from bort.architecture import Architecture
from bort.errors import WorkError
from bort.ranks import Communicator, on_rank_0, own_share
from bort.settings.config import Config, setting
from bort.storage.shared_work import share_work
from bort.teacher.input_parts import INPUTS_PER_PART, InputParts, PartsKind
from bort.teacher.task_outputs import OutputParts

_FEATURES = PartsKind("features", "bort-task-features-1", "features", is_mapped=True)
_BYTES = 4


class AnsweredInputs(NamedTuple):
    """The answers to n inputs with T tokens.

    Attributes:
        outputs: (n, C); None if they are not asked for.
        features: float32 (T, W), the real tokens of one input after another.
    """

    outputs: Optional[np.ndarray]
    features: np.ndarray


AskForFeatures = Callable[[np.ndarray], Iterator[AnsweredInputs]]
"""A function from input numbers, int64 (n,), to the answers to some of them at a time, in order."""


@dataclasses.dataclass(frozen=True)
class FeaturesKey(Config):
    """The identity of a teacher's features for a set of inputs."""

    teacher: str = setting(..., "fingerprint of the teacher")
    inputs: str = setting(..., "fingerprint of the inputs")
    count: int = setting(..., "N, number of inputs", minimum=1)
    features: Tuple[str, ...] = setting(..., "names of the features, as in `Features`")
    widths: Tuple[int, ...] = setting(..., "their widths")
    rows_per_part: int = setting(INPUTS_PER_PART, "inputs of a part", minimum=1)

    @classmethod
    def of(
        cls,
        teacher: str,
        architecture: Architecture,
        features: Tuple[str, ...],
        inputs: str,
        count: int,
        rows_per_part: int = INPUTS_PER_PART,
    ) -> FeaturesKey:
        """Return the key of some features of a teacher with its architecture."""
        widths = [architecture.hidden if n == "hidden" else architecture.qkv for n in features]
        return cls(teacher, inputs, count, features, tuple(widths), rows_per_part)

    def bytes(self, tokens: int) -> int:
        """Return the size of the features of some tokens in bytes."""
        return _BYTES * tokens * sum(self.widths)


class FeatureParts(InputParts):
    """Parts of a teacher's features, float32 (T, W).

    Args:
        folder: folder of the parts.
        key: identity of the features.
        lengths: int (N,), number of tokens of each input.

    Attributes:
        key: the given key.
        orders: for each part, the places in its `rows` of the inputs in the order of their tokens:
            by length, as a batch that is padded to its longest input has them.
    """

    def __init__(self, folder: Path, key: FeaturesKey, lengths: np.ndarray) -> None:
        assert len(lengths) == key.count
        super().__init__(folder, _FEATURES, key, lengths, key.rows_per_part)
        self.key = key
        self.orders: List[np.ndarray] = [
            np.argsort(self.lengths[rows], kind="stable") for rows in self.rows
        ]

    def shape(self, number: int) -> Tuple[int, int]:
        """See `InputParts`."""
        return int(self.lengths[self.rows[number]].sum()), sum(self.key.widths)

    def inputs(self, number: int) -> np.ndarray:
        """Return the inputs of a part in the order of their tokens, int64 (n,)."""
        ordered: np.ndarray = self.rows[number][self.orders[number]]
        return ordered

    def missing_bytes(self) -> int:
        """Return the size of the parts that are not in the folder."""
        kept = self.load()
        absent = [self.shape(number)[0] for number in range(len(self.rows)) if number not in kept]
        return self.key.bytes(sum(absent))


class KeptFeatures:
    """The features of all inputs of a task, in memory-mapped files.

    Args:
        parts: the parts.
        found: their arrays by number.
    """

    def __init__(self, parts: FeatureParts, found: Mapping[int, np.ndarray]) -> None:
        count = parts.key.count
        ends = np.cumsum(parts.key.widths)
        self._columns = {
            name: slice(int(end) - width, int(end))
            for name, end, width in zip(parts.key.features, ends, parts.key.widths)
        }
        self._lengths, self._arrays = parts.lengths, dict(found)
        self._parts = np.empty(count, dtype=np.int64)
        self._begins = np.empty(count, dtype=np.int64)
        for number in range(len(parts.rows)):
            inputs = parts.inputs(number)
            lengths = parts.lengths[inputs]
            self._parts[inputs] = number
            self._begins[inputs] = np.cumsum(lengths) - lengths

    def of_batch(self, inputs: np.ndarray, length: int) -> Dict[str, np.ndarray]:
        """Return the features of a batch by name, float32 (B, L, width), 0 at padding.

        Args:
            inputs: int64 (B,), numbers of the inputs, -1 for a padding row.
            length: L, tokens of a row.
        """
        found = {
            name: np.zeros((len(inputs), length, columns.stop - columns.start), dtype=np.float32)
            for name, columns in self._columns.items()
        }
        for row, number in enumerate(inputs.tolist()):
            if number < 0:
                continue
            begin, count = int(self._begins[number]), int(self._lengths[number])
            tokens = self._arrays[int(self._parts[number])][begin : begin + count]
            for name, columns in self._columns.items():
                found[name][row, :count] = tokens[:, columns]
        return found


class KeptAnswers(NamedTuple):
    """A teacher's answers to all inputs of a task.

    Attributes:
        outputs: float32 (N, C), in the order of the inputs; None if they were not asked for.
        features: the features.
    """

    outputs: Optional[np.ndarray]
    features: KeptFeatures


def kept_features(
    parts: FeatureParts,
    ask: AskForFeatures,
    *,
    communicator: Communicator,
    outputs: Optional[OutputParts] = None,
    stop_requested: Callable[[], bool] = lambda: False,
    on_begin: Callable[[int], None] = lambda total: None,
) -> Optional[KeptAnswers]:
    """Return a teacher's features for all inputs, asking only for those that a folder lacks.

    Args:
        parts: parts of the features.
        ask: asks the teacher; with `outputs`, for outputs too.
        communicator: the ranks that share the work.
        outputs: parts of the outputs of the same inputs, which the same pass fills; None: the
            features alone.
        stop_requested: called before each part.
        on_begin: called with the number of inputs that this rank will ask for.

    Returns:
        The answers on every rank; None if a rank was asked to stop.

    Raises:
        WorkError: a number is not finite, or the disk is full.
    """
    if outputs is not None:
        on_rank_0(communicator, outputs.remove_unusable)
    both = _Both(parts, outputs)
    numbers = range(len(parts.rows))
    kept = both.load()
    mine = own_share(communicator, [number for number in numbers if number not in kept])
    on_begin(sum(len(parts.rows[number]) for number in mine))
    found = share_work(
        numbers,
        lambda number: ask(parts.inputs(number)),
        both,
        communicator=communicator,
        stop_requested=stop_requested,
    )
    if found is None:
        return None
    return KeptAnswers(
        None if outputs is None else outputs.in_order(outputs.load()),
        KeptFeatures(parts, parts.load()),
    )


class _Both:
    """Parts of features and of outputs that one pass fills; implements `KeptResults`."""

    def __init__(self, features: FeatureParts, outputs: Optional[OutputParts]) -> None:
        assert outputs is None or len(outputs.rows) == len(features.rows)
        self._features, self._outputs = features, outputs

    def append(self, key: int, value: Iterator[AnsweredInputs]) -> None:
        """Ask for a part, and write it; outputs that are there already stay."""
        found: List[np.ndarray] = []
        self._features.append(key, self._features_of(key, value, found))
        if self._outputs is not None and key not in self._outputs.load():
            in_order = np.concatenate(found)
            outputs = np.empty_like(in_order)
            outputs[self._features.orders[key]] = in_order
            self._outputs.append(key, self._outputs.checked(key, outputs))

    def load(self) -> Dict[int, Iterator[AnsweredInputs]]:
        """Return the numbers of the parts that are complete, with nothing to ask for."""
        kept = set(self._features.load())
        if self._outputs is not None:
            kept &= set(self._outputs.load())
        return {number: iter(()) for number in kept}

    def _features_of(
        self, number: int, answers: Iterable[AnsweredInputs], outputs: List[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """Yield the features of a part, and add its outputs to a list."""
        inputs = self._features.inputs(number)
        ends = np.cumsum(self._features.lengths[inputs])
        begin = 0
        for block in answers:
            finite = np.isfinite(block.features).all(axis=1)
            if not finite.all():
                token = begin + int(np.argmin(finite))
                place = int(inputs[np.searchsorted(ends, token, side="right")])
                raise WorkError(f"the teacher's features of input {place} are not finite")
            begin += len(block.features)
            if block.outputs is not None:
                outputs.append(block.outputs)
            yield block.features
