"""`Store`: the folder of results by key, and the sealing of a stage's work into a result."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

from bort.errors import InputError, WorkError
from bort.stages.key import KEY, canonical_hash, contents_hash
from bort.storage.file_tree import tree_files
from bort.storage.files import PathLike, move_into_place
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.locks import hold_file, wait_for_file
from bort.storage.sealed_folder import SealedFile, SealedFormat
from bort.storage.unfinished import remove_remains

RECORD = SealedFormat(
    record_name="stage.json",
    what="the record of a stage's result",
    listed=lambda record: [
        SealedFile(name, one["sha256"], one["size"]) for name, one in record["files"].items()
    ],
    version="bort stage 1",
    is_nested=True,
)
DONE, WORK, EXPERIMENTS = "done", "work", "experiments"
LOCK = ".lock"
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Result:
    """The finished result of a stage.

    Attributes:
        folder: the folder with its files, which must not be changed.
        key: the stage's key, 64 hexadecimal digits.
        record: the fields of `stage.json`.
        seconds: wall seconds of all attempts. Of a killed attempt, those until it last wrote a file
            count.
    """

    folder: Path
    key: str
    record: Mapping[str, Any]
    seconds: float

    @property
    def hashes(self) -> Dict[str, str]:
        """The SHA-256 of all files but the record, by their paths from the folder."""
        return {name: one["sha256"] for name, one in self.record["files"].items()}

    @property
    def digest(self) -> str:
        """The SHA-256 over the names and contents of the files."""
        return contents_hash(self.hashes)

    @property
    def size(self) -> int:
        """The bytes of all files without the record."""
        return sum(one["size"] for one in self.record["files"].values())

    def problems(self) -> Iterator[str]:
        """Yield one line for each file that was damaged, removed or added."""
        return RECORD.open(self.folder).problems()

    def check(self) -> None:
        """Check the names and the SHA-256 of all files.

        Raises:
            InputError: a file was damaged, removed or added; the message names it.
        """
        for problem in self.problems():
            raise InputError(f"{problem}; delete {self.folder} to make it again")


class Store:
    """A folder with finished results, work that is not finished, and plans of experiments.

    `done/<key>/` holds a result and its record, `work/<key>/` what an attempt has made so far, and
    `experiments/<name>.json` the stages of an experiment. The store may be moved.

    Args:
        folder: path of the store; created by the first run.
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self.done, self.work = self.folder / DONE, self.folder / WORK
        self.experiments = self.folder / EXPERIMENTS

    @classmethod
    def open(cls, folder: PathLike) -> Store:
        """Return a store that exists.

        Raises:
            InputError: there is none at `folder`.
        """
        store = cls(folder)
        if not store.experiments.is_dir():
            raise InputError(
                f"{folder}: is no store of stages: it has no folder named {EXPERIMENTS}"
            )
        return store

    def result(self, key: str) -> Optional[Result]:
        """Return a finished result after checking its record, not its files; None without one.

        Raises:
            InputError: the record is missing or damaged, or belongs to another key.
        """
        folder = self.done / key
        if not os.path.lexists(folder):
            return None
        sealed = RECORD.open(folder)
        fields = JsonFields(sealed.record, str(sealed.source))
        with errors_naming(str(sealed.source)):
            found = canonical_hash(fields.fields("of").values)
        if found != key:
            raise InputError(f"{sealed.source}: belongs to the key {found}, not to {key}")
        return Result(folder, key, sealed.record, float(fields.number("seconds", 0)))

    def keys(self) -> List[str]:
        """Return the keys of all finished results, sorted."""
        return [path.name for path in _entries(self.done) if KEY.fullmatch(path.name)]

    def verify(self) -> List[str]:
        """Return one line for each file of the store that is damaged, missing or foreign."""
        found = [
            f"{path}: is no result; allowed are folders named by 64 hexadecimal digits"
            for path in _entries(self.done)
            if not KEY.fullmatch(path.name) or not path.is_dir()
        ]
        for key in self.keys():
            try:
                result = self.result(key)
            except InputError as error:
                found.append(str(error))
                continue
            found += [] if result is None else result.problems()
        return found

    def make_folders(self) -> None:
        """Create the folders of the store, and remove what killed processes left in them.

        Raises:
            InputError: a file is in the way.
            WorkError: the system refuses.
        """
        for folder in (self.done, self.work, self.experiments):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise InputError(f"{folder}: is a file, expected a folder") from error
            except OSError as error:
                raise WorkError(f"{folder}: cannot be created: {error.strerror}") from error
            remove_remains(folder)

    def lock_of(self, key: str) -> Path:
        """Return the path of the lock file of a key's work."""
        return self.work / f"{key}.lock"

    @contextlib.contextmanager
    def hold_work(self, key: str) -> Iterator[Optional[Path]]:
        """Hold the work of a key; yields its folder, or None if another process holds it."""
        with hold_file(self.lock_of(key)) as is_held:
            yield self.work / key if is_held else None

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep results from being removed during the block; first wait for a removal to end."""
        if not os.access(self.folder, os.W_OK):  # nothing can be removed there
            yield
            return
        with wait_for_file(self.folder / LOCK, is_shared=True):
            yield

    def seal(self, work: Path, fields: Mapping[str, Any]) -> None:
        """Seal the files of a stage's work.

        Args:
            work: folder with the files.
            fields: further fields of the record: `of`, whose canonical hash is the key, and
                `seconds`.

        Raises:
            InputError: the work holds a link, a device, or a file with a name that is not allowed.
            WorkError: the system refuses a write.
        """
        for parent, _, _ in os.walk(work):
            remove_remains(Path(parent))  # what a killed attempt left is no part of the result
        writer = RECORD.writer(work)
        names = tree_files(work)
        if RECORD.record_name in names:
            raise InputError(
                f"{work / RECORD.record_name}: is a name that a stage must not give to its files"
            )
        try:
            for name in names:
                writer.include(name)
            sizes = {name: (work / name).stat().st_size for name in names}
        except OSError as error:
            raise WorkError(f"{work}: cannot be sealed: {error.strerror or error}") from error
        files = {n: {"sha256": writer.hashes[n], "size": size} for n, size in sizes.items()}
        writer.seal({**fields, "files": files})

    def move_sealed(self, work: Path, key: str) -> Result:
        """Move sealed work to its place, where its files are read-only.

        Raises:
            WorkError: the system refuses.
        """
        try:
            move_into_place(work, self.done / key)
        except OSError as error:
            raise WorkError(f"{work}: cannot be moved: {error.strerror or error}") from error
        result = self.result(key)
        assert result is not None
        for name in (*result.record["files"], RECORD.record_name):
            path = result.folder / name
            path.chmod(path.stat().st_mode & ~_WRITABLE)
        return result


def is_sealed(work: Path, key: str) -> bool:
    """Return whether work was sealed before a kill; a record of anything else is removed."""
    with contextlib.suppress(InputError):
        sealed = RECORD.open(work)
        if canonical_hash(sealed.record.get("of")) == key and not any(sealed.problems()):
            return True
    (work / RECORD.record_name).unlink(missing_ok=True)
    return False


def _entries(folder: Path) -> List[Path]:
    """Return what is in a folder, without what a killed process left there, which is hidden."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
