"""Reading of tokenised examples from any number of shards.

Examples have consecutive numbers over all shards. Arrays are memory-mapped, so that a corpus of
any size opens quickly and several processes share its pages.
"""

from __future__ import annotations

import glob
import hashlib
import os
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from bort.architecture import LARGEST_SIZE
from bort.errors import InputError
from bort.storage.files import sha256_of_file
from bort.storage.json_fields import JsonFields
from bort.storage.sealed_folder import SealedFolder, SealedFormat
from bort.text.vocabularies import ArrayVocabulary, load_vocabulary
from bort.text.vocabulary import Vocabulary
from data.corpus.original_shards import read_original_shard
from data.corpus.shard_files import open_array, sealed_file

CORPUS_VOCABULARY_FOLDER = "vocabulary"
_PARTS = ("tokens", "offsets")


def _splits(record: Mapping[str, Any]) -> List[JsonFields]:
    splits = JsonFields.of(record, "a corpus").fields("splits")
    return [splits.fields(name) for name in splits.values]


SHARDS_FORMAT = SealedFormat(
    "manifest.json",
    "the manifest of a corpus",
    lambda record: [
        sealed_file(shard.value(part))
        for split in _splits(record)
        for shard in split.objects("shards")
        for part in _PARTS
    ],
    version="bort-shards-1",
)
CORPUS_SPLITS = ("train", "validation", "test")
_CHEAP_TO_HASH_BYTES = 128 << 20
PathOrPaths = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]


class Shard(NamedTuple):
    """The N examples of one shard.

    Attributes:
        name: the name of the shard in errors.
        tokens: integer array of the ids of all examples, concatenated.
        offsets: int64 array (N + 1,), where each example begins and the last one ends.
        digest: SHA-256 of both arrays.
    """

    name: str
    tokens: np.ndarray
    offsets: np.ndarray
    digest: str


class ShardedExamples:
    """Examples from any number of shards; implements `bort.text.examples.ExampleSource`.

    Args:
        shards: the shards, in the order in which examples are numbered.
        vocabulary_fingerprint: the fingerprint of the vocabulary of the ids.
        vocabulary_size: the number of tokens in that vocabulary; all ids are below it.

    Attributes:
        lengths: int64 array, tokens of each example.
        fingerprint: SHA-256 of the vocabulary's fingerprint and all shards.

    Raises:
        InputError: the shards hold no example, or a shard's offsets contradict its tokens.
    """

    def __init__(
        self, shards: Sequence[Shard], vocabulary_fingerprint: str, vocabulary_size: int
    ) -> None:
        self._shards = tuple(shards)
        self.vocabulary_fingerprint = vocabulary_fingerprint
        self.vocabulary_size = vocabulary_size
        for shard in self._shards:
            _check_offsets(shard)
        lengths = [np.diff(shard.offsets) for shard in self._shards]
        self._first = np.cumsum([0, *map(len, lengths)])
        self.lengths = np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64)
        if len(self.lengths) == 0:
            names = ", ".join(shard.name for shard in self._shards) or "no shard"
            raise InputError(f"{names}: holds no example")
        digest = hashlib.sha256(vocabulary_fingerprint.encode("utf-8"))
        for shard in self._shards:
            digest.update(shard.digest.encode("ascii"))
        self.fingerprint = digest.hexdigest()

    @property
    def shards(self) -> Sequence[Shard]:
        """The shards in the order in which examples are numbered."""
        return self._shards

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Return the token ids of one example as a read-only integer array.

        Raises:
            IndexError: the number is outside 0 to `len(self) - 1`.
            InputError: an id is outside the vocabulary, so the shard is damaged.
        """
        if not 0 <= example_id < len(self.lengths):
            raise IndexError(f"example {example_id}, allowed are 0 to {len(self.lengths) - 1}")
        number = int(np.searchsorted(self._first, example_id, side="right")) - 1
        shard = self._shards[number]
        row = example_id - int(self._first[number])
        ids: np.ndarray = np.asarray(shard.tokens[shard.offsets[row] : shard.offsets[row + 1]])
        if int(ids.max()) >= self.vocabulary_size or int(ids.min()) < 0:
            raise InputError(
                f"{shard.name}: is damaged, example {row} holds an id beyond the vocabulary's "
                f"{self.vocabulary_size}"
            )
        return ids


def open_examples(
    paths: PathOrPaths,
    split: str = "train",
    vocabulary: Optional[Vocabulary] = None,
    verify: Optional[bool] = None,
) -> ShardedExamples:
    """Open tokenised examples.

    Args:
        paths: folders made by `scripts/create_pretraining_data.py`, or `.npz` shards of the
            original release; also globs, comma-separated lists and sequences of these.
        split: "train", "validation" or "test"; a folder without this split is refused.
        vocabulary: the vocabulary that the examples must belong to. `.npz` shards need it, since
            they do not record their vocabulary.
        verify: compare the SHA-256 of every file with the manifest; by default only for folders of
            up to 128 MiB.

    Raises:
        InputError: a file is missing or damaged, or belongs to another vocabulary; names the file.
    """
    shards: List[Shard] = []
    fingerprint, size = "", 0
    if vocabulary is not None:
        fingerprint, size = vocabulary.fingerprint, len(vocabulary)
    for path in _find(paths):
        if path.is_dir():
            sealed = _open_manifest(path)
            found, found_size = _vocabulary_of(sealed)
            if fingerprint and found != fingerprint:
                raise InputError(f"{path}: was made with another vocabulary ({found[:12]})")
            fingerprint, size = found, found_size
            shards.extend(_open_folder(sealed, split, verify))
        elif vocabulary is None:
            raise InputError(f"{path}: does not record its vocabulary, name one")
        else:
            tokens, offsets = read_original_shard(path, vocabulary)
            shards.append(Shard(str(path), tokens, offsets, sha256_of_file(path)))
    return ShardedExamples(shards, fingerprint, size)


def open_held_out(paths: PathOrPaths, vocabulary: Vocabulary) -> ShardedExamples:
    """Open the examples of a corpus for evaluation.

    These are the validation split, else the test split, else the training split.

    Args:
        paths: see `open_examples`.
        vocabulary: the vocabulary that the examples must belong to.

    Raises:
        InputError: see `open_examples`.
    """
    parts: List[Path] = [path for path in _find(paths) if path.is_dir()]
    known = [set(_open_manifest(path).record["splits"]) for path in parts]
    for split in ("validation", "test"):
        if known and all(split in splits for splits in known):
            return open_examples(paths, split, vocabulary)
    return open_examples(paths, "train", vocabulary)


def open_vocabulary(
    paths: PathOrPaths, name_or_path: Optional[Union[str, os.PathLike[str]]] = None
) -> ArrayVocabulary:
    """Load the vocabulary of tokenised examples, by default the one saved in the first folder.

    Args:
        paths: see `open_examples`.
        name_or_path: a vocabulary to load instead; see `load_vocabulary`.

    Raises:
        InputError: the folders hold no vocabulary, or it is damaged.
    """
    if name_or_path is not None:
        return load_vocabulary(name_or_path)
    for path in _find(paths):
        if (path / CORPUS_VOCABULARY_FOLDER).is_dir():
            return load_vocabulary(path / CORPUS_VOCABULARY_FOLDER)
    raise InputError(f"{paths}: holds no vocabulary, name one")


def _open_manifest(folder: Path) -> SealedFolder:
    """Open a folder of shards and check its manifest.

    Raises:
        InputError: the manifest is missing, damaged or of another format.
    """
    sealed = SHARDS_FORMAT.open(folder)
    _vocabulary_of(sealed)
    return sealed


def _vocabulary_of(sealed: SealedFolder) -> Tuple[str, int]:
    """Return the fingerprint and the size of the vocabulary in a manifest."""
    vocabulary = JsonFields.of(sealed.record, str(sealed.source)).fields("vocabulary")
    return vocabulary.text("fingerprint"), vocabulary.integer("size", 1, LARGEST_SIZE)


def _find(paths: PathOrPaths) -> List[Path]:
    """Return the folders of shards and the `.npz` files, each once, in order."""
    several = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    found: List[Path] = []
    for given in several:
        item = os.fspath(given)
        parts = [item] if Path(item).expanduser().exists() else item.split(",")
        for part in filter(None, (part.strip() for part in parts)):
            pattern = str(Path(part).expanduser())
            matches = [Path(name) for name in sorted(glob.glob(pattern))]
            if not matches and Path(pattern).exists():
                matches = [Path(pattern)]
            if not matches:
                raise InputError(f"{part}: no such folder or file")
            for match in matches:
                found.extend(_examples_at(match))
    if not found:
        raise InputError("no tokenised examples are named")
    return list(dict.fromkeys(found))


def _examples_at(path: Path) -> List[Path]:
    if path.is_dir():
        if SHARDS_FORMAT.is_in(path):
            return [path]
        originals = sorted(path.glob("*.npz"))
        if originals:
            return originals
        manifest = SHARDS_FORMAT.record_name
        raise InputError(f"{path}: holds no {manifest}, so it is not a finished corpus")
    if path.name == SHARDS_FORMAT.record_name:
        return [path.parent]
    if path.suffix == ".npz":
        return [path]
    raise InputError(f"{path}: is neither a folder of shards nor an .npz shard")


def _open_folder(sealed: SealedFolder, split: str, verify: Optional[bool]) -> List[Shard]:
    splits = sealed.record["splits"]
    if split not in splits:
        known = ", ".join(splits)
        raise InputError(f"{sealed.folder}: has no split {split!r}, it has {known}")
    records = splits[split]["shards"]
    if verify is None:
        files = [sealed_file(record[part]) for record in records for part in _PARTS]
        verify = sum(file.size or 0 for file in files) <= _CHEAP_TO_HASH_BYTES
    path_of = sealed.verified if verify else sealed.path
    shards = []
    for record in records:
        paths = [path_of(record[part]["file"]) for part in _PARTS]
        arrays = [open_array(path, record[part]) for path, part in zip(paths, _PARTS)]
        digest = record["tokens"]["sha256"] + record["offsets"]["sha256"]
        shards.append(Shard(str(paths[0]), arrays[0], arrays[1], digest))
    return shards


def _check_offsets(shard: Shard) -> None:
    offsets = shard.offsets
    whole = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(shard.tokens)
    if not whole or (offsets[1:] <= offsets[:-1]).any():  # a difference could overflow
        raise InputError(f"{shard.name}: is damaged, its offsets contradict its tokens")
