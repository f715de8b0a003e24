"""A cache of a teacher's answers on disk, which implements `TeacherAnswers`.

The folder holds part files of a fixed number of rows, `rows.npy` and `cache.json`. `rows.npy`,
int64 (n, 2), holds the epoch and the example of every row in ascending order. `cache.json`, written
last, holds the `CacheKey`, which identifies the answers, and the size and SHA-256 of every file. A
row holds P positions, the number of predictions in the longest example; batches with fewer
positions read a part of it. Answers are looked up by (epoch, example), so they do not depend on how
batches are split over ranks, and any number of students can use them.

`bort.teacher.filling` writes these folders.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from bort.errors import InputError
from bort.settings.config import Config, part, setting
from bort.storage.array_files import read_npy
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.run_claim import differences
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat
from bort.teacher.answers import LiveTeacher
from bort.teacher.top_k import put_back, rest_logit
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking, MaskingPolicy
from bort.text.masking_config import Masks
from bort.text.vocabulary import Vocabulary

ROWS_FILE = "rows.npy"
CACHE_FORMAT = SealedFormat(
    "cache.json",
    "the description of a cache of a teacher's answers",
    lambda record: [
        SealedFile(ROWS_FILE, record["rows_sha256"]),
        *(SealedFile(part["file"], part["sha256"], part["bytes"]) for part in record["parts"]),
    ],
    version="bort-teacher-cache-1",
)
DTYPES = ("float32", "float16")
_MOST_OPEN_PARTS = 4096  # the system limits the number of mapped files of a process


@dataclasses.dataclass(frozen=True)
class CacheKey(Config):
    """The identity of the answers in a cache, and the format of the stored rows."""

    teacher: str = setting(..., "fingerprint of the teacher: weights and engine")
    engine: str = setting(..., "engine that ran the teacher")
    precision: str = setting(..., "precision that the teacher ran in")
    train: str = setting(..., "fingerprint of the training examples")
    vocabulary: str = setting(..., "fingerprint of the vocabulary")
    vocabulary_size: int = setting(..., "V, logits per position", minimum=2, maximum=1 << 24)
    mask_seed: int = setting(..., "seed of the masks", minimum=0)
    length: int = setting(..., "tokens that every row was padded to", minimum=1, maximum=1 << 24)
    mask_epochs: int = setting(
        1, "number of epochs whose masks are covered", minimum=1, maximum=1_000_000
    )
    masks: Masks = part(Masks)
    mask_share: float = setting(0.8, "see MaskingPolicy", minimum=0.0, maximum=1.0)
    random_share: float = setting(0.1, "see MaskingPolicy", minimum=0.0, maximum=1.0)
    top_k: int = setting(
        0, "largest logits kept per position; 0 keeps all", minimum=0, maximum=1 << 24
    )
    temperatures: Tuple[float, ...] = setting((), "temperatures of the log-sum-exp", above=0.0)
    dtype: str = setting("float32", "number format of stored logits", choices=DTYPES)
    held_out: Optional[str] = setting(None, "fingerprint of held-out examples, if covered")

    def check(self) -> None:
        """Check that top-k is below V and has temperatures, without duplicates."""
        if self.top_k >= self.vocabulary_size:
            raise InputError(
                f"top_k is {self.top_k}, allowed is less than the vocabulary's "
                f"{self.vocabulary_size} tokens (0 keeps all)"
            )
        if self.top_k > 0 and not self.temperatures:
            raise InputError(f"top_k is {self.top_k}, which needs at least one of temperatures")
        if len(set(self.temperatures)) != len(self.temperatures):
            raise InputError(f"temperatures are {list(self.temperatures)}, allowed is each once")

    @classmethod
    def of(cls, teacher: LiveTeacher, **settings: Any) -> CacheKey:
        """Return the key of the answers of `teacher`, with other settings by name."""
        identity = {
            "teacher": teacher.fingerprint,
            "engine": teacher.engine,
            "precision": teacher.precision,
        }
        return cls.from_dict({**identity, **settings}, cls.__name__)

    @property
    def predictions(self) -> int:
        """P, positions per row: the number of predictions in an example of `length` tokens."""
        return self.masking_policy.prediction_count(max(1, self.length - 2))

    @property
    def masking_policy(self) -> MaskingPolicy:
        """The policy that the masks were drawn with."""
        return dataclasses.replace(
            self.masks.policy, mask_share=self.mask_share, random_share=self.random_share
        )

    @property
    def row_type(self) -> np.dtype:
        """The structured type of a row in a part file.

        Full answers have the field `logits` (P, V). Top-k answers have `log_sum_exp` float32
        (P, temperatures), `logits` (P, k) and `ids` (P, k), uint16 if V is at most 65536 and int32
        otherwise.
        """
        positions = self.predictions
        kind = {"float32": "<f4", "float16": "<f2"}[self.dtype]
        if self.top_k == 0:
            return np.dtype([("logits", kind, (positions, self.vocabulary_size))])
        ids = "<u2" if self.vocabulary_size <= 1 << 16 else "<i4"
        fields = [
            ("log_sum_exp", "<f4", (positions, len(self.temperatures))),
            ("logits", kind, (positions, self.top_k)),
            ("ids", ids, (positions, self.top_k)),
        ]
        return np.dtype(fields, align=True)


def key_fields(
    masking: Masking, train: ExampleSource, vocabulary: Vocabulary, length: int
) -> Dict[str, Any]:
    """Return the settings of `CacheKey` that depend on masks and data, without `mask_epochs`.

    Args:
        masking: the masks.
        train: training examples.
        vocabulary: vocabulary of the examples.
        length: length in tokens that every row is padded to.
    """
    policy = masking.policy
    return {
        "train": train.fingerprint,
        "vocabulary": vocabulary.fingerprint,
        "vocabulary_size": len(vocabulary),
        "mask_seed": masking.seed,
        "length": length,
        "mask_probability": policy.probability,
        "max_predictions": policy.maximum_predictions,
        "whole_word_mask": policy.whole_words,
        "mask_share": policy.mask_share,
        "random_share": policy.random_share,
    }


class TeacherCache:
    """A complete cache; implements `bort.teacher.answers.TeacherAnswers`.

    Attributes:
        folder: folder of the cache.
        key: identity of the answers and format of the rows.
        vocabulary_size: V.
        row_count: n, number of rows.
        size_bytes: size of all parts in bytes.
        deviation: mean error of top-k compression for every temperature; None for full answers.
    """

    def __init__(
        self,
        sealed: SealedFolder,
        key: CacheKey,
        rows: np.ndarray,
        temperature: Optional[float],
        verify: bool,
    ) -> None:
        description = sealed.record
        self.folder = sealed.folder
        self.key = key
        self.vocabulary_size = key.vocabulary_size
        self.row_count = len(rows)
        self.size_bytes = int(description["bytes"])
        self.deviation: Optional[List[Dict[str, float]]] = description["deviation"]
        self._temperature = temperature
        self._path_of = sealed.verified if verify else sealed.path
        self._rows_per_part = int(description["rows_per_part"])
        self._parts: List[Mapping[str, Any]] = description["parts"]
        self._arrays: Dict[int, np.ndarray] = {}
        self._examples = np.ascontiguousarray(rows[:, 1])
        epochs, begins = np.unique(rows[:, 0], return_index=True)
        ends = np.append(begins[1:], len(rows))
        self._epochs = {int(e): (int(b), int(n)) for e, b, n in zip(epochs, begins, ends)}
        digest = hashlib.sha256(json.dumps(key.as_dict(), sort_keys=True).encode())
        digest.update(description["rows_sha256"].encode())
        for file in self._parts:
            digest.update(file["sha256"].encode())
        if key.top_k:
            digest.update(f"at {temperature}".encode())
        self._fingerprint = digest.hexdigest()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        expected: Optional[Mapping[str, Any]] = None,
        temperature: Optional[float] = None,
        verify: bool = True,
    ) -> TeacherCache:
        """Open a complete cache, and check the sizes of its files.

        Args:
            folder: folder of the cache.
            expected: required values of some fields of `CacheKey`.
            temperature: temperature T of the distillation; required for top-k.
            verify: compare every part with its SHA-256 when it is first read.

        Raises:
            InputError: a file is missing or damaged, the key has another value, or the temperature
                is not covered.
        """
        sealed, key = read_cache_description(folder)
        check_key(folder, key, expected or {})
        if key.top_k and temperature not in key.temperatures:
            raise InputError(
                f"{folder}: temperatures are {list(key.temperatures)}, which lack {temperature}"
            )
        path = sealed.verified(ROWS_FILE)
        rows = read_npy(path)
        if rows.shape != (int(sealed.record["rows"]), 2):
            raise InputError(f"{path}: is damaged, its shape is {rows.shape}")
        for name in sealed.files:
            sealed.path(name)
        return cls(sealed, key, rows, temperature, verify)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key, the answers and, for top-k, the temperature."""
        return self._fingerprint

    def answer(self, batch: MaskedBatch) -> np.ndarray:
        """Return a new array of logits; see `TeacherAnswers`. Rows of padding are 0.

        Raises:
            InputError: an example is not covered in its epoch, or a part is damaged.
        """
        key, (rows, predictions) = self.key, batch.labels.shape
        if predictions > key.predictions:
            raise InputError(
                f"{self.folder}: holds {key.predictions} positions per row, "
                f"the batch has {predictions}"
            )
        numbers = self._find(batch)
        if key.top_k == 0:
            answers = np.zeros((rows, predictions, self.vocabulary_size), dtype=np.float32)
            for row in np.flatnonzero(numbers >= 0):
                answers[row] = self._record(int(numbers[row]))["logits"][:predictions]
            return answers
        assert self._temperature is not None
        column = key.temperatures.index(self._temperature)
        # (B, P, k), (B, P, k), (B, P)
        ids = np.zeros((rows, predictions, key.top_k), dtype=np.int64)
        values = np.zeros((rows, predictions, key.top_k), dtype=np.float32)
        total = np.zeros((rows, predictions), dtype=np.float32)
        for row in np.flatnonzero(numbers >= 0):
            record = self._record(int(numbers[row]))
            ids[row] = record["ids"][:predictions]
            values[row] = record["logits"][:predictions]
            total[row] = record["log_sum_exp"][:predictions, column]
        if ids.size and int(ids.max()) >= self.vocabulary_size:
            raise InputError(
                f"{self.folder}: is damaged, it holds an id beyond the vocabulary's "
                f"{self.vocabulary_size}"
            )
        rest = rest_logit(values, total, self.vocabulary_size, self._temperature)
        rest[numbers < 0] = 0.0
        return put_back(ids, values, rest, self.vocabulary_size)

    def covers(self, rows: np.ndarray) -> bool:
        """Return whether the cache holds all rows, int64 (n, 2) of epoch and example."""
        for epoch in np.unique(rows[:, 0]):
            first, last = self._epochs.get(int(epoch), (0, 0))
            if not np.isin(rows[rows[:, 0] == epoch, 1], self._examples[first:last]).all():
                return False
        return True

    def _find(self, batch: MaskedBatch) -> np.ndarray:
        """Return the row numbers of a batch's examples, int64 (B,), -1 for padding."""
        wanted = np.asarray(batch.example_ids, dtype=np.int64)
        first, last = self._epochs.get(int(batch.epoch), (0, 0))
        numbers = first + np.searchsorted(self._examples[first:last], wanted)
        found = numbers < last
        found[found] = self._examples[numbers[found]] == wanted[found]
        absent = np.flatnonzero(~found & (wanted >= 0))
        if len(absent):
            raise InputError(
                f"{self.folder}: does not cover example {wanted[absent[0]]} of epoch {batch.epoch}"
            )
        return np.where(wanted >= 0, numbers, -1)

    def _record(self, number: int) -> Any:
        part, row = divmod(number, self._rows_per_part)
        if part not in self._arrays:
            description = self._parts[part]
            path = self._path_of(description["file"])
            if len(self._arrays) >= _MOST_OPEN_PARTS:
                del self._arrays[next(iter(self._arrays))]
            try:
                array = np.memmap(
                    path, dtype=self.key.row_type, mode="r", shape=(int(description["rows"]),)
                )
            except (OSError, ValueError) as error:
                raise InputError(f"{path}: cannot be read: {error}") from error
            self._arrays[part] = array
        return self._arrays[part][row]


def read_cache_description(folder: Path) -> Tuple[SealedFolder, CacheKey]:
    """Return a cache folder with a checked `cache.json`, and its key.

    Raises:
        InputError: `cache.json` is missing, damaged or of another kind; names the file.
    """
    sealed = CACHE_FORMAT.open(folder)
    path = sealed.source
    fields = JsonFields.of(sealed.record, str(path))
    with errors_naming(str(path)):
        key = CacheKey.from_dict(fields.fields("key").values, str(path))
    parts, rows = fields.objects("parts"), fields.integer("rows", 1)
    full, total = fields.integer("rows_per_part", 1), fields.integer("bytes", 0)
    kept = [part.integer("rows", 1) for part in parts]
    sizes = [part.integer("bytes", 0) for part in parts]
    if fields.value("deviation") is not None:
        for entry in fields.objects("deviation"):
            entry.all_numbers()
    row_bytes = _row_bytes(key, str(path))
    whole = sum(kept) == rows and all(count == full for count in kept[:-1])
    whole &= sizes == [count * row_bytes for count in kept] and sum(sizes) == total
    if not whole:
        raise InputError(f"{path}: is damaged, its parts contradict its {rows} rows")
    return sealed, key


def _row_bytes(key: CacheKey, source: str) -> int:
    try:
        return key.row_type.itemsize
    except (ValueError, OverflowError) as error:  # NumPy has a limit of 2 GiB
        raise InputError(
            f"{source}: is damaged: a row of {key.predictions} positions and "
            f"{key.vocabulary_size} tokens is too large"
        ) from error


def check_key(folder: Path, key: CacheKey, expected: Mapping[str, Any]) -> None:
    """Check that the key of a cache has the `expected` values.

    Raises:
        InputError: names the folder, the field, its value in the cache and the expected value.
    """
    for field, found, wanted in differences(key.as_dict(), expected, CacheKey.defaults()):
        raise InputError(f"{folder}: {field} is {found!r}, expected is {wanted!r}")
