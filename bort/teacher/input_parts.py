"""`InputParts`: a teacher's answers to the inputs of a task, kept on disk in sealed parts.

A part is a file `….npy`, float32, and a record `….json`, written last, with the key of the answers
and the SHA-256 of the file. Parts are fixed by the inputs alone, so the answers do not depend on
the number of ranks, or on how often a run was stopped. A part that is damaged, or that belongs to
another teacher or other inputs, is computed again.
"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

import numpy as np

from bort.errors import InputError
from bort.settings.config import Config
from bort.storage.array_files import read_npy
from bort.storage.json_fields import JsonFields
from bort.storage.run_claim import differences
from bort.storage.sealed_folder import SealedFile, SealedFormat

log = logging.getLogger(__name__)

INPUTS_PER_PART = 256


@dataclasses.dataclass(frozen=True)
class PartsKind:
    """The kind of the answers in parts.

    Attributes:
        prefix: start of the names of the files.
        version: version of the records.
        what: the answers in messages, such as "outputs".
        is_mapped: whether parts are mapped into memory instead of read.
    """

    prefix: str
    version: str
    what: str
    is_mapped: bool = False


class InputParts:
    """The parts in a folder; implements `bort.storage.shared_work.KeptResults`.

    Args:
        folder: folder of the parts.
        kind: kind of the answers.
        key: identity of the answers.
        lengths: int (N,), number of tokens of each input. Part 0 holds the longest inputs, so that
            a lack of memory shows at the start.
        rows_per_part: inputs of a part.

    Attributes:
        lengths: the given lengths.
        rows: for each part, the numbers of its inputs, int64 (n,).
    """

    def __init__(
        self, folder: Path, kind: PartsKind, key: Config, lengths: np.ndarray, rows_per_part: int
    ) -> None:
        self.lengths = np.asarray(lengths)
        order = np.argsort(-self.lengths, kind="stable")
        self.rows: List[np.ndarray] = [
            order[first : first + rows_per_part] for first in range(0, len(order), rows_per_part)
        ]
        self.folder = folder
        self._kind, self._key = kind, key
        self._known: Dict[int, np.ndarray] = {}

    def shape(self, number: int) -> Tuple[int, int]:
        """Return the extents of the array of a part."""
        raise NotImplementedError

    def append(self, key: int, value: Any) -> None:
        """Write a part.

        Args:
            key: number of the part.
            value: its array, or blocks of its rows in order.

        Raises:
            WorkError: the system refuses a write.
        """
        blocks = [value] if isinstance(value, np.ndarray) else value
        sealed, file = self._format(key), self._file(key)
        writer = sealed.writer(self.folder)
        with writer.open(file) as stream:
            _write_npy(stream, self.shape(key), blocks)
        sha256 = writer.hashes[file]
        writer.seal({"file": file, "sha256": sha256, "key": self._key.as_dict()})

    def load(self) -> Dict[int, np.ndarray]:
        """Return the arrays of all valid parts by number."""
        for number in range(len(self.rows)):
            if number not in self._known and self._format(number).is_in(self.folder):
                self._known[number] = self._read(number)
        return dict(self._known)

    def remove_unusable(self) -> None:
        """Remove the parts that are damaged or that belong to other answers; log a line.

        Raises:
            InputError: a folder has the name of a part.
        """
        reasons: List[str] = []
        unusable: List[Path] = []
        for record in sorted(self.folder.glob(f"{self._kind.prefix}-*.json")):
            number = self._number(record)
            try:
                self._known[number] = self._read(number)
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
                "%s (parts of the teacher's %s that are computed again: %d)",
                reasons[0],
                self._kind.what,
                len(reasons),
            )

    def _read(self, number: int) -> np.ndarray:
        sealed = self._format(number).open(self.folder)
        fields = JsonFields.of(sealed.record, str(sealed.source))
        for name, then, now in differences(fields.fields("key").values, self._key.as_dict(), {}):
            raise InputError(f"{sealed.source}: {name} is {then!r}, expected is {now!r}")
        if number >= len(self.rows) or list(sealed.files) != [self._file(number)]:
            raise InputError(
                f"{sealed.source}: is not the record of a part of these {self._kind.what}"
            )
        path = sealed.verified(self._file(number))
        found = read_npy(path, mapped=self._kind.is_mapped)
        expected = self.shape(number)
        if found.shape != expected or found.dtype != np.dtype("<f4"):
            raise InputError(
                f"{path}: is {found.dtype.str} {found.shape}, expected is <f4 {expected}"
            )
        if not np.isfinite(found).all():
            raise InputError(f"{path}: holds a number that is not finite")
        return found

    def _number(self, record: Path) -> int:
        digits = record.stem.partition("-")[2]
        is_number = digits.isascii() and digits.isdigit() and len(digits) == 6
        return int(digits) if is_number else len(self.rows)

    def _file(self, number: int) -> str:
        return f"{self._kind.prefix}-{number:06d}.npy"

    def _format(self, number: int) -> SealedFormat:
        return SealedFormat(
            f"{self._kind.prefix}-{number:06d}.json",
            f"the record of a part of a teacher's {self._kind.what}",
            lambda record: [SealedFile(record["file"], record["sha256"])],
            version=self._kind.version,
        )


def _write_npy(stream: Any, shape: Tuple[int, int], blocks: Iterable[np.ndarray]) -> None:
    """Write a float32 array whose rows come in blocks, so that it never is in memory as a whole."""
    written = 0
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)  # type: ignore[no-untyped-call]
    for block in blocks:
        assert block.shape[1:] == shape[1:]
        stream.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
        written += len(block)
    assert written == shape[0], f"{written} rows instead of {shape[0]}"
