"""A teacher's outputs for the inputs of a task, kept on disk in sealed parts.

A part is a file `part-….npy`, float32 (n, C), and a record `part-….json`, written last, with the
`OutputsKey` and the SHA-256 of the file. Parts are fixed by the inputs alone, so the outputs do not
depend on the number of ranks, or on how often a run was stopped. A part that is damaged, or that
belongs to another teacher or other inputs, is computed again.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Callable, Dict, List, Optional

import numpy as np

from bort.errors import InputError, WorkError
from bort.ranks import Communicator, on_rank_0, own_share
from bort.settings.config import Config, setting
from bort.storage.array_files import read_npy
from bort.storage.json_fields import JsonFields
from bort.storage.run_claim import differences
from bort.storage.sealed_folder import SealedFile, SealedFormat
from bort.storage.shared_work import share_work
from bort.text.asking import TokenisedInputs

log = logging.getLogger(__name__)

FORMAT = "bort-task-outputs-1"
INPUTS_PER_PART = 256

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


class OutputParts:
    """The parts in a folder; implements `bort.storage.shared_work.KeptResults`.

    Args:
        folder: folder of the parts.
        key: identity of the outputs.
        lengths: int (N,), number of tokens of each input. Part 0 holds the longest inputs, so that
            a lack of memory shows at the start.

    Attributes:
        rows: for each part, the numbers of its inputs, int64 (n,).
    """

    def __init__(self, folder: Path, key: OutputsKey, lengths: np.ndarray) -> None:
        assert len(lengths) == key.count
        order = np.argsort(-np.asarray(lengths), kind="stable")
        size = key.rows_per_part
        self.rows: List[np.ndarray] = [
            order[first : first + size] for first in range(0, key.count, size)
        ]
        self._folder, self._key = folder, key
        self._known: Dict[int, np.ndarray] = {}

    def append(self, key: int, value: np.ndarray) -> None:
        """Write a part.

        Raises:
            WorkError: the system refuses a write.
        """
        kind = self._format(key)
        writer = kind.writer(self._folder)
        with writer.open(self._file(key)) as stream:
            np.save(stream, value.astype("<f4"), allow_pickle=False)
        sha256 = writer.hashes[self._file(key)]
        writer.seal({"file": self._file(key), "sha256": sha256, "key": self._key.as_dict()})

    def load(self) -> Dict[int, np.ndarray]:
        """Return the outputs of all valid parts by number: float32 (n, C)."""
        for number in range(len(self.rows)):
            if number not in self._known and self._format(number).is_in(self._folder):
                self._known[number] = self._read(number)
        return dict(self._known)

    def remove_unusable(self) -> None:
        """Remove the parts that are damaged or that belong to other outputs; log a line.

        Raises:
            InputError: a folder has the name of a part.
        """
        reasons: List[str] = []
        unusable: List[Path] = []
        for record in sorted(self._folder.glob("part-*.json")):
            try:
                self._read(self._number(record))
            except InputError as error:
                reasons.append(str(error))
                unusable += [record, record.with_suffix(".npy")]
        for path in unusable:
            if path.is_dir() and not path.is_symlink():
                raise InputError(f"{path}: is a folder, expected is a file")
        for path in unusable:
            path.unlink(missing_ok=True)
        if reasons:
            log.warning(
                "%s (parts of the teacher's outputs that are computed again: %d)",
                reasons[0],
                len(reasons),
            )

    def _read(self, number: int) -> np.ndarray:
        sealed = self._format(number).open(self._folder)
        fields = JsonFields.of(sealed.record, str(sealed.source))
        for name, then, now in differences(fields.fields("key").values, self._key.as_dict(), {}):
            raise InputError(f"{sealed.source}: {name} is {then!r}, expected is {now!r}")
        if number >= len(self.rows) or list(sealed.files) != [self._file(number)]:
            raise InputError(f"{sealed.source}: is not the record of a part of these outputs")
        path = sealed.verified(self._file(number))
        outputs = read_npy(path)
        expected = (len(self.rows[number]), self._key.classes)
        if outputs.shape != expected or outputs.dtype != np.dtype("<f4"):
            raise InputError(
                f"{path}: is {outputs.dtype.str} {outputs.shape}, expected is <f4 {expected}"
            )
        if not np.isfinite(outputs).all():
            raise InputError(f"{path}: holds a number that is not finite")
        return outputs

    def _number(self, record: Path) -> int:
        digits = record.stem.partition("-")[2]
        is_number = digits.isascii() and digits.isdigit() and len(digits) == 6
        return int(digits) if is_number else len(self.rows)

    @staticmethod
    def _file(number: int) -> str:
        return f"part-{number:06d}.npy"

    @staticmethod
    def _format(number: int) -> SealedFormat:
        return SealedFormat(
            f"part-{number:06d}.json",
            "the record of a part of a teacher's outputs",
            lambda record: [SealedFile(record["file"], record["sha256"])],
            version=FORMAT,
        )


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
        rows = parts.rows[number]
        outputs = np.asarray(ask(rows), dtype=np.float32)
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            raise WorkError(
                f"the teacher's output for input {int(rows[int(np.argmin(finite))])} is not finite"
            )
        return outputs

    numbers = range(len(parts.rows))
    kept = parts.load()
    mine = own_share(communicator, [number for number in numbers if number not in kept])
    on_begin(sum(len(parts.rows[number]) for number in mine))
    found = share_work(
        numbers, work, parts, communicator=communicator, stop_requested=stop_requested
    )
    if found is None:
        return None
    outputs = np.empty((key.count, classes), dtype=np.float32)
    for number, rows in enumerate(parts.rows):
        outputs[rows] = found[number]
    return outputs
