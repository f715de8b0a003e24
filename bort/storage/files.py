"""Writing files so that a reader never sees half of one, and knowing a file by its content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Iterator, Union

from bort.errors import InputError, WorkError

PathLike = Union[str, "os.PathLike[str]"]


@contextlib.contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """Open a binary file that appears under `path` only when the block ends without an error.

    The bytes go to a temporary file in the same folder, are synced to the disk and then renamed;
    on any error the temporary file is removed and an existing file under `path` is untouched.

    Raises:
        WorkError: when the system refuses a write (a full disk, a read-only folder).
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        _remove(temporary)
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(temporary)
        raise


@contextlib.contextmanager
def new_folder(path: PathLike) -> Iterator[Path]:
    """A folder that appears under `path` only when the block ends without an error.

    It is filled under a temporary name beside it and then renamed.

    Raises:
        InputError: there is something at `path` already, an empty folder excepted.
        WorkError: when the system refuses a write.
    """
    target = Path(path)
    check_new_folder(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise WorkError(f"{target}: cannot be made: {error.strerror or error}") from error
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        sync_folder(temporary)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise WorkError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_new_folder(path: PathLike) -> None:
    """Raise `InputError` if there is something at `path`, an empty folder excepted.

    `new_folder` does so itself; long work is spared when it is known before it begins.
    """
    target = Path(path)
    if target.is_symlink() or (target.exists() and not _is_empty_folder(target)):
        raise InputError(f"{target}: exists already; name a new folder, or move that one away")


def write_json(path: PathLike, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN and infinity are refused."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with atomic_write(path) as stream:
        stream.write(text.encode("utf-8"))


def read_json(path: PathLike) -> Any:
    """Read a JSON file.

    Raises:
        InputError: when the file is missing, unreadable or not JSON; names the file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is not valid JSON: it is nested too deeply") from error


def sha256_of_file(path: PathLike) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sync_folder(folder: PathLike) -> None:
    """Make a rename inside `folder` durable (a no-op where folders cannot be opened)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _remove(path: PathLike) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
