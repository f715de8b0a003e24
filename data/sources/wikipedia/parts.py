"""Text files of bounded size that grow document by document and survive a kill."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from bort.errors import InputError, WorkError
from bort.storage.files import sha256_of_file, sync_file, write_json
from bort.storage.json_fields import read_fields
from data.sources.wikipedia.dump import Position

STATE_FILE = "state.json"


class State(NamedTuple):
    """The state of the files on disk.

    Attributes:
        position: place in the dump behind the last page that is on disk.
        counts: counts of the pages so far.
        files: records of the files that are complete.
        part_bytes: bytes of the file that grows.
        part_documents: documents in it.
    """

    position: Position = Position()
    counts: Mapping[str, int] = {}
    files: Any = ()
    part_bytes: int = 0
    part_documents: int = 0


def read_state(folder: Path) -> State:
    """Return what a killed extraction left in a folder; nothing if it has no state.

    Raises:
        InputError: the state is damaged; the message names file and field.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return State()
    fields = read_fields(path)
    position, counts = fields.fields("position"), fields.fields("counts")
    return State(
        Position(position.integer("stream", 0), position.integer("pages", 0)),
        {name: counts.integer(name, 0) for name in counts.values},
        tuple(
            {
                "file": record.plain_name("file"),
                "sha256": record.text("sha256"),
                "bytes": record.integer("bytes", 0),
                "documents": record.integer("documents", 0),
            }
            for record in fields.objects("files")
        ),
        fields.integer("part_bytes", 0),
        fields.integer("part_documents", 0),
    )


class TextParts:
    """Writes documents into numbered files; a blank line separates documents.

    A document is in one file. A new file begins where a document would make the present one larger
    than `maximum_bytes`.

    Args:
        folder: the folder.
        prefix: beginning of the files' names.
        maximum_bytes: size of a file, except of one that holds a single document.
        state: the state on disk; later files and bytes are removed.

    Raises:
        InputError: a file is shorter than the state says.
        WorkError: the system refuses.
    """

    def __init__(self, folder: Path, prefix: str, maximum_bytes: int, state: State) -> None:
        self._folder = folder
        self._prefix = prefix
        self._maximum_bytes = maximum_bytes
        self.files: List[Dict[str, Any]] = [dict(record) for record in state.files]
        self._bytes, self._documents = state.part_bytes, state.part_documents
        self._stream: Optional[IO[bytes]] = None
        with self._errors():
            known = {record["file"] for record in self.files}
            for path in folder.glob(f"{prefix}-*.txt"):
                if path.name not in known and path != self._path():
                    path.unlink()
            if self._bytes:
                self._cut()

    @property
    def total_bytes(self) -> int:
        """Bytes of all files."""
        return self._bytes + sum(int(record["bytes"]) for record in self.files)

    def add(self, document: bytes) -> None:
        """Append a document, whose last line ends with a line feed."""
        with self._errors():
            if self._bytes and self._bytes + 1 + len(document) > self._maximum_bytes:
                self.finish()
            if self._stream is None:
                self._stream = open(self._path(), "ab" if self._bytes else "wb")  # noqa: SIM115
            content = b"\n" + document if self._bytes else document
            self._stream.write(content)
            self._bytes += len(content)
            self._documents += 1

    def finish(self) -> None:
        """Complete the file that grows."""
        self.close()
        if not self._bytes:
            return
        with self._errors():
            path = self._path()
            sync_file(path)
            self.files.append(
                {
                    "file": path.name,
                    "sha256": sha256_of_file(path),
                    "bytes": self._bytes,
                    "documents": self._documents,
                }
            )
        self._bytes = self._documents = 0

    def save(self, position: Position, counts: Mapping[str, int]) -> None:
        """Put all documents so far on disk, and then the state that names them."""
        with self._errors():
            if self._stream is not None:
                self._stream.flush()
                sync_file(self._path())
        write_json(
            self._folder / STATE_FILE,
            {
                "position": position._asdict(),
                "counts": dict(counts),
                "files": self.files,
                "part_bytes": self._bytes,
                "part_documents": self._documents,
            },
        )

    def close(self) -> None:
        """Close the file that grows."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with self._errors():
                stream.close()

    def _path(self) -> Path:
        return self._folder / f"{self._prefix}-{len(self.files):05d}.txt"

    def _cut(self) -> None:
        path = self._path()
        size = path.stat().st_size if path.exists() else 0
        if size < self._bytes:
            raise InputError(
                f"{path}: is damaged: it has {size} bytes, {self._bytes} in "
                f"{self._folder / STATE_FILE}"
            )
        with open(path, "rb+") as stream:
            stream.truncate(self._bytes)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise WorkError(
                f"{error.filename or self._path()}: cannot be written: {error.strerror or error}"
            ) from error
