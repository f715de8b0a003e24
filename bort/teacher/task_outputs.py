"""A teacher's outputs for the inputs of a task, computed once and kept in `InputParts`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Callable, Mapping, Optional, Tuple

import numpy as np

from bort.errors import WorkError
from bort.ranks import Communicator, on_rank_0, own_share
from bort.settings.config import Config, setting
from bort.storage.shared_work import share_work
from bort.teacher.input_parts import INPUTS_PER_PART, InputParts, PartsKind
from bort.text.asking import TokenisedInputs

_OUTPUTS = PartsKind("part", "bort-task-outputs-1", "outputs")

AskTeacher = Callable[[np.ndarray], np.ndarray]
"""A function from input numbers, int64 (n,), to a teacher's outputs (n, C)."""


@dataclasses.dataclass(frozen=True)
class OutputsKey(Config):
    """The identity of a teacher's outputs for a set of inputs."""

    teacher: str = setting(..., "fingerprint of the teacher")
    inputs: str = setting(..., "fingerprint of the inputs")
    count: int = setting(..., "N, number of inputs", minimum=1)
    classes: int = setting(..., "C, number of outputs", minimum=1)
    rows_per_part: int = setting(..., "inputs of a part", minimum=1)


class OutputParts(InputParts):
    """Parts of a teacher's outputs, float32 (n, C).

    Args:
        folder: folder of the parts.
        key: identity of the outputs.
        lengths: int (N,), number of tokens of each input.
    """

    def __init__(self, folder: Path, key: OutputsKey, lengths: np.ndarray) -> None:
        assert len(lengths) == key.count
        super().__init__(folder, _OUTPUTS, key, lengths, key.rows_per_part)
        self._classes = key.classes

    def shape(self, number: int) -> Tuple[int, int]:
        """See `InputParts`."""
        return len(self.rows[number]), self._classes

    def checked(self, number: int, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs of a part as float32.

        Raises:
            WorkError: an output is not finite.
        """
        found = np.asarray(outputs, dtype=np.float32)
        finite = np.isfinite(found).all(axis=1)
        if not finite.all():
            place = int(self.rows[number][int(np.argmin(finite))])
            raise WorkError(f"the teacher's output for input {place} is not finite")
        return found

    def in_order(self, found: Mapping[int, np.ndarray]) -> np.ndarray:
        """Return the outputs of all parts in the order of the inputs: float32 (N, C)."""
        outputs = np.empty((len(self.lengths), self._classes), dtype=np.float32)
        for number, rows in enumerate(self.rows):
            outputs[rows] = found[number]
        return outputs


def kept_outputs(
    folder: Path,
    teacher: str,
    inputs: TokenisedInputs,
    inputs_fingerprint: str,
    classes: int,
    ask: AskTeacher,
    *,
    communicator: Communicator,
    rows_per_part: int = INPUTS_PER_PART,
    stop_requested: Callable[[], bool] = lambda: False,
    on_begin: Callable[[int], None] = lambda total: None,
) -> Optional[np.ndarray]:
    """Return a teacher's outputs for all inputs, asking only for those that a folder lacks.

    Args:
        folder: folder of the parts, which all ranks see.
        teacher: fingerprint of the teacher.
        inputs: N inputs.
        inputs_fingerprint: hash of their content and order.
        classes: C.
        ask: asks the teacher.
        communicator: the ranks that share the work.
        rows_per_part: inputs of a part.
        stop_requested: called before each part.
        on_begin: called with the number of inputs that this rank will ask for.

    Returns:
        float32 (N, C) on every rank; None if a rank was asked to stop.

    Raises:
        WorkError: an output is not finite, or the disk is full.
    """
    key = OutputsKey(teacher, inputs_fingerprint, len(inputs), classes, rows_per_part)
    parts = OutputParts(folder, key, inputs.lengths)
    on_rank_0(communicator, parts.remove_unusable)

    def work(number: int) -> np.ndarray:
        return parts.checked(number, ask(parts.rows[number]))

    numbers = range(len(parts.rows))
    kept = parts.load()
    mine = own_share(communicator, [number for number in numbers if number not in kept])
    on_begin(sum(len(parts.rows[number]) for number in mine))
    found = share_work(
        numbers, work, parts, communicator=communicator, stop_requested=stop_requested
    )
    return None if found is None else parts.in_order(found)
