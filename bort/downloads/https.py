"""Downloads over HTTPS: resumed after an interruption, checked, then renamed into place."""

from __future__ import annotations

import contextlib
import http.client
import logging
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from bort.downloads.connection import BROKEN, open_address, received_blocks
from bort.errors import InputError, WorkError
from bort.process.progress import Progress
from bort.storage.files import hash_of_file, move_file, sha256_of_file, write_json
from bort.storage.json_fields import read_fields

log = logging.getLogger(__name__)

RECORD_NAME = "downloads.json"
ATTEMPTS = 3
MAXIMUM_DOWNLOAD_BYTES = 4 << 30
_LONGEST_LENGTH = 18  # digits of a number of bytes
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: address of the file.
        size: in bytes; None if it is not published.
        sha256: 64 hexadecimal digits; "" if not published. The first download is then trusted and
            recorded, and later ones are checked against it.
        sha1: 40 hexadecimal digits, for a source that publishes no SHA-256; "" if not published.
    """

    url: str
    size: Optional[int] = None
    sha256: str = ""
    sha1: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        return Path(urllib.parse.urlsplit(self.url).path).name


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    local_server: str = "",
    offline: bool = False,
    enabled: bool = True,
) -> Path:
    """Download a file into a folder, unless it is already there, and check it.

    An incomplete download stays in `<name>.part`, where the next call continues. Checksums are
    recorded in `downloads.json` in the folder.

    Args:
        remote: the file to download.
        folder: the target folder.
        local_server: for tests: address of a server on this machine to use instead of the real
            host; plain HTTP is allowed only there.
        offline: never use the network; a missing file is an error.
        enabled: whether to show progress.

    Returns:
        Path of the file.

    Raises:
        InputError: the address is not HTTPS; the file in the folder has another checksum or size;
            or `offline` is set and the file is missing.
        WorkError: there is no network, the server refuses, or the download is incomplete or
            damaged.
    """
    target = folder / remote.name
    url = _address(remote.url, local_server)
    if target.exists():
        _verify(remote, target, folder, InputError)
        return target
    if offline:
        raise InputError(f"{target}: is missing, and offline mode downloads nothing ({remote.url})")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"{folder}: cannot be created: {error.strerror or error}") from error
    part = folder / (remote.name + ".part")
    for attempt in range(1, ATTEMPTS + 1):
        problem = _continue(remote, url, part, bool(local_server), enabled)
        if not problem:
            break
        if attempt == ATTEMPTS:
            raise WorkError(
                f"{url}: {problem}; the partial download is kept, run again to continue"
            )
        log.info("%s: %s, continuing", remote.name, problem)
    try:
        _verify(remote, part, folder, WorkError)
    except WorkError:
        _forget(part)
        raise
    move_file(part, target)
    _forget(part)
    return target


def _continue(remote: RemoteFile, url: str, part: Path, plain_allowed: bool, enabled: bool) -> str:
    """Request the missing part of a file once; return "" if it is complete, else the problem."""
    state = _read_state(part)
    begin = part.stat().st_size if part.exists() and (remote.sha256 or state) else 0
    if remote.size is not None and begin >= remote.size:
        if begin == remote.size:
            return ""
        begin = 0
    headers = {"User-Agent": "bort", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
        if state:
            headers["If-Range"] = state
    request = urllib.request.Request(url, headers=headers)
    redirects = _SecureRedirects(plain_allowed)
    try:
        # A server on this machine needs no proxy.
        with open_address(request, redirects, use_proxies=not plain_allowed) as response:
            return _receive(remote, response, part, begin, enabled)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            _forget(part)
            return "the server refuses to continue there, starting over"
        raise WorkError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise WorkError(
            f"{url}: cannot be reached ({error.reason}): is there a network? "
            f"You can put a file downloaded elsewhere into {part.parent}"
        ) from error
    except BROKEN as error:
        return f"the connection broke ({error or type(error).__name__})"


def _receive(remote: RemoteFile, response: Any, part: Path, begin: int, enabled: bool) -> str:
    status = response.status
    if status == 206 and not _continues_at(response, begin):
        _forget(part)
        return "the server continued elsewhere, starting over"
    if status != 206:
        begin = 0
    length = _announced_length(response)
    announced = None if length is None else begin + length
    total = remote.size if remote.size is not None else announced
    limit = MAXIMUM_DOWNLOAD_BYTES if remote.size is None else remote.size
    if announced is not None and announced > limit:
        _forget(part)
        raise WorkError(
            f"{remote.url}: is longer than {limit} bytes, the server announces {announced}"
        )
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    _write_state(part, "" if validator.startswith("W/") else validator)
    done = begin
    progress = Progress(
        total or 0, remote.name, unit="B", done=begin, enabled=enabled and total is not None
    )
    try:
        with _appended(part, begin) as write:
            for block in received_blocks(response, length):
                done += len(block)
                if done > limit:
                    raise _TooLongError(f"{remote.url}: is longer than {limit} bytes")
                write(block)
                progress.advance(len(block))
    except _TooLongError:
        _forget(part)
        raise
    except http.client.IncompleteRead:
        pass  # the size check below reports it
    finally:
        progress.close()
    if total is not None and part.stat().st_size < total:
        return f"cut short after {part.stat().st_size} of {total} bytes"
    return ""


class _TooLongError(WorkError):
    """A server sends more than the file has."""


@contextlib.contextmanager
def _appended(part: Path, begin: int) -> Iterator[Callable[[bytes], Any]]:
    """Yield a function that appends to a file, whose errors name the file."""

    def write(block: bytes) -> None:
        left = memoryview(block)
        try:
            while left:
                left = left[stream.write(left) :]
        except OSError as error:
            raise WorkError(f"{part}: cannot be written: {error.strerror or error}") from error

    try:
        stream = part.open("ab" if begin else "wb", buffering=0)
    except OSError as error:
        raise WorkError(f"{part}: cannot be written: {error.strerror or error}") from error
    with stream:
        yield write


def _announced_length(response: Any) -> Optional[int]:
    length = str(response.headers.get("Content-Length", ""))
    is_number = length.isascii() and length.isdigit() and len(length) <= _LONGEST_LENGTH
    return int(length) if is_number else None


def _continues_at(response: Any, begin: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {begin}-")


def _verify(remote: RemoteFile, path: Path, folder: Path, error: Any) -> None:
    """Check size and SHA-256 against the published or else the recorded ones."""
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise error(f"{path}: has {size} bytes, expected {remote.size}: not the official file")
    if remote.sha1:
        sha1 = hash_of_file(path, "sha1")
        if sha1 != remote.sha1:
            raise error(
                f"{path}: has the SHA-1 {sha1}, expected {remote.sha1} (published): not the same "
                "file"
            )
    found = sha256_of_file(path)
    record = folder / RECORD_NAME
    known = _read_record(record)
    expected = remote.sha256 or known.get(remote.url, {}).get("sha256", "")
    if expected and found != expected:
        whose = "published" if remote.sha256 else f"recorded in {record}"
        raise error(
            f"{path}: has the SHA-256 {found}, expected {expected} ({whose}): not the same file"
        )
    if not expected and not remote.sha1:
        log.warning(
            "%s: no checksum is published, trusting this download and recording its SHA-256 in %s",
            remote.name,
            record,
        )
    if remote.url not in known:
        kind = "published" if remote.sha256 or remote.sha1 else "first download"
        entry = {"sha256": found, "bytes": size, "checksum": kind}
        write_json(record, {**known, remote.url: entry})


def _read_record(path: Path) -> Dict[str, Mapping[str, Any]]:
    if not path.exists():
        return {}
    record = read_fields(path)
    known: Dict[str, Mapping[str, Any]] = {}
    for url in record.values:
        entry = record.fields(url)
        entry.text("sha256")
        known[url] = entry.values
    return known


def _address(url: str, local_server: str) -> str:
    """Return the address to request: the real one, or the same path on a local server."""
    if not local_server:
        if urllib.parse.urlsplit(url).scheme != "https":
            raise InputError(f"{url}: allowed are addresses that begin with https://")
        return url
    try:
        base = urllib.parse.urlsplit(local_server)
        is_local = base.hostname in _LOCAL_HOSTS and (base.port or 1) > 0
    except ValueError:
        is_local = False
    if not is_local or base.scheme not in ("http", "https"):
        raise InputError(
            f"local_server is {local_server!r}, allowed is an address of this machine "
            f"({', '.join(_LOCAL_HOSTS)})"
        )
    return local_server.rstrip("/") + urllib.parse.urlsplit(url).path


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTPS only."""

    def __init__(self, plain_allowed: bool) -> None:
        self._plain_allowed = plain_allowed

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Optional[urllib.request.Request]:
        target = urllib.parse.urlsplit(newurl)  # a ValueError becomes that of `open_address`
        local = self._plain_allowed and target.hostname in _LOCAL_HOSTS
        if target.scheme != "https" and not local:
            raise WorkError(f"{req.full_url}: leads to {newurl}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_state(part: Path) -> str:
    """Return the server's validator of the version that `part` belongs to, "" if unknown."""
    try:
        return _usable_validator(read_fields(_state_path(part)).text("validator"))
    except InputError:
        return ""


def _write_state(part: Path, validator: str) -> None:
    write_json(_state_path(part), {"validator": _usable_validator(validator)})


def _usable_validator(text: str) -> str:
    """Return a validator that may stand in a header, else ""."""
    return text if text.isascii() and text.isprintable() else ""


def _forget(part: Path) -> None:
    for path in (part, _state_path(part)):
        if path.exists():
            path.unlink()
