"""Reading shards: tokenised examples, addressed by one number over all shards.

Arrays are memory-mapped, so opening a corpus of any size is quick, several processes share its
pages, and it does not matter how many shards there are.
"""

from __future__ import annotations

import glob
import hashlib
import os
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Union

import numpy as np

from bort.errors import InputError
from bort.storage.files import sha256_of_file
from bort.storage.sealed_folder import SealedFolder, SealedFormat
from bort.text.vocabularies import ArrayVocabulary, load_vocabulary
from bort.text.vocabulary import Vocabulary
from data.corpus.original_shards import read_original_shard
from data.corpus.shard_files import open_array, sealed_file

VOCABULARY_FOLDER = "vocabulary"
_PARTS = ("tokens", "offsets")
SHARDS_FORMAT = SealedFormat(
    "manifest.json",
    "the manifest of a corpus",
    lambda record: [
        sealed_file(shard[part])
        for split in record["splits"].values()
        for shard in split["shards"]
        for part in _PARTS
    ],
    version="bort-shards-1",
)
SPLITS = ("train", "validation", "test")
_CHEAP_TO_HASH_BYTES = 128 << 20
PathOrPaths = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]


class Shard(NamedTuple):
    """The examples of one file.

    Attributes:
        name: what to name in an error.
        tokens: integer array, ids of all examples.
        offsets: int64 array (N + 1,), where each example begins.
        digest: SHA-256 of both.
    """

    name: str
    tokens: np.ndarray
    offsets: np.ndarray
    digest: str


class ShardedExamples:
    """Examples from any number of shards; implements `bort.text.examples.ExampleSource`.

    Args:
        shards: the shards, in the order in which examples are numbered.
        vocabulary_fingerprint: the vocabulary that the ids belong to.
        vocabulary_size: every id must be below it.

    Raises:
        InputError: there is no example, or a shard's offsets contradict its tokens.
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
        """The shards, in the order in which examples are numbered."""
        return self._shards

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, example_id: int) -> np.ndarray:
        """Token ids of one example, not to be written to.

        Raises:
            IndexError: there is no such example.
            InputError: an id is beyond the vocabulary, so the shard is damaged.
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
    """Open tokenised examples: the one way in.

    Args:
        paths: folders that `scripts/create_pretraining_data.py` made, or `.npz` shards of the
            original release; globs, comma-separated lists and several of them are taken.
        split: "train", "validation" or "test"; a folder without that split is refused.
        vocabulary: when given, the examples must belong to it; needed for `.npz` shards, which do
            not say what their vocabulary is.
        verify: compare every file's SHA-256 with the manifest; by default when that is cheap, up
            to 128 MiB a folder.

    Raises:
        InputError: a file is missing, damaged or belongs to another vocabulary; names it.
    """
    shards: List[Shard] = []
    fingerprint, size = "", 0
    if vocabulary is not None:
        fingerprint, size = vocabulary.fingerprint, len(vocabulary)
    for path in _find(paths):
        if path.is_dir():
            sealed = _open_manifest(path)
            manifest = sealed.record
            found = manifest["vocabulary"]["fingerprint"]
            if fingerprint and found != fingerprint:
                raise InputError(f"{path}: was made with another vocabulary ({found[:12]})")
            fingerprint, size = found, int(manifest["vocabulary"]["size"])
            shards.extend(_open_folder(sealed, split, verify))
        elif vocabulary is None:
            raise InputError(f"{path}: does not say what its vocabulary is, give one")
        else:
            tokens, offsets = read_original_shard(path, vocabulary)
            shards.append(Shard(str(path), tokens, offsets, sha256_of_file(path)))
    return ShardedExamples(shards, fingerprint, size)


def open_held_out(paths: PathOrPaths, vocabulary: Vocabulary) -> ShardedExamples:
    """Open examples to evaluate on: the validation part of a corpus, else test, else all of it.

    Raises:
        InputError: as `open_examples`.
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
    """The vocabulary of tokenised examples: the one saved beside the first folder's shards.

    Args:
        paths: see `open_examples`.
        name_or_path: a vocabulary to take in its place; see `load_vocabulary`.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if name_or_path is not None:
        return load_vocabulary(name_or_path)
    for path in _find(paths):
        if (path / VOCABULARY_FOLDER).is_dir():
            return load_vocabulary(path / VOCABULARY_FOLDER)
    raise InputError(f"{paths}: holds no vocabulary, name one")


def _open_manifest(folder: Path) -> SealedFolder:
    """A folder of shards whose manifest is checked.

    Raises:
        InputError: the manifest is missing, or is not one of this toolkit.
    """
    sealed = SHARDS_FORMAT.open(folder)
    try:
        vocabulary = sealed.record["vocabulary"]
        int(vocabulary["size"]), str(vocabulary["fingerprint"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{sealed.source}: is damaged, {error!r}") from error
    return sealed


def _find(paths: PathOrPaths) -> List[Path]:
    """Folders of shards and `.npz` files, each once, in order."""
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
        raise InputError(f"{path}: holds no {manifest}, so it is no finished corpus")
    if path.name == SHARDS_FORMAT.record_name:
        return [path.parent]
    if path.suffix == ".npz":
        return [path]
    raise InputError(f"{path}: is no folder of shards, nor an .npz shard")


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
    if not whole or (np.diff(offsets) <= 0).any():
        raise InputError(f"{shard.name}: is damaged, its offsets contradict its tokens")
