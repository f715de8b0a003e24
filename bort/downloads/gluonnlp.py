"""GluonNLP's cache of vocabulary files, and the download of missing ones.

Files are in `$MXNET_HOME/models` (or `~/.mxnet/models`), like GluonNLP's own, and come from the
repository in `$MXNET_GLUON_REPO`. Only HTTPS is used unless that variable says otherwise.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, Iterator, NamedTuple, Optional

from bort.downloads.archives import DAMAGE
from bort.downloads.connection import open_address, received_blocks
from bort.errors import InputError, WorkError
from bort.storage.files import atomic_write

DEFAULT_REPOSITORY = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/"
_LARGEST_ARCHIVE_BYTES = 64 << 20


class PublishedFile(NamedTuple):
    """A file in GluonNLP's repository: its archive's stem, its name, its SHA-1."""

    archive: str
    name: str
    sha1: str


# The vocabulary that RoBERTa and Bort share, and its merges, which are those of GPT-2.
BORT_DATASET = "openwebtext_ccnews_stories_books_cased"
BORT_VOCABULARY = PublishedFile(
    f"{BORT_DATASET}-2b804f8f",
    f"{BORT_DATASET}-2b804f8f.vocab",
    "2b804f8f90f9f93c07994b703ce508725061cf43",
)
GPT2_MERGES = PublishedFile(
    "openai_webtext_bpe_ranks-396d4d8e",
    "openai_webtext_bpe_ranks-396d4d8e.json",
    "396d4d8ec90cb02f4d56e049e0e4add868bcd943",
)


def models_folder() -> Path:
    """Return the folder of GluonNLP's cached files."""
    return Path(os.environ.get("MXNET_HOME", os.path.join("~", ".mxnet"))).expanduser() / "models"


def find_or_download(file: PublishedFile, folder: Optional[Path] = None) -> Path:
    """Return the path of a cached file with the right SHA-1; download it if missing or damaged.

    If `BORT_OFFLINE` is set to anything but 0, nothing is downloaded.

    Args:
        file: the file to find.
        folder: the cache folder; by default GluonNLP's own.

    Raises:
        InputError: the repository's address is not allowed, or downloads are disabled.
        WorkError: the download fails or has the wrong content.
    """
    path = (models_folder() if folder is None else Path(folder)) / file.name
    state = "is missing"
    if path.is_file():
        if hashlib.sha1(path.read_bytes()).hexdigest() == file.sha1:
            return path
        state = "is damaged (its SHA-1 is wrong)"
    if os.environ.get("BORT_OFFLINE", "0") not in ("", "0"):
        raise InputError(f"{path}: {state}, and BORT_OFFLINE forbids downloading it")
    url = _repository() + f"gluon/dataset/vocab/{file.archive}.zip"
    try:
        content = _member(url, file.name)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WorkError(
            f"{path}: {state}, and {url} cannot be downloaded ({reason}); put the file there, "
            "name a mirror in MXNET_GLUON_REPO, or give a vocabulary folder"
        ) from error
    if hashlib.sha1(content).hexdigest() != file.sha1:
        raise WorkError(f"{url}: {file.name} has the wrong SHA-1, expected {file.sha1}")
    with atomic_write(path) as stream:
        stream.write(content)
    return path


def _repository() -> str:
    url = os.environ.get("MXNET_GLUON_REPO", DEFAULT_REPOSITORY)
    try:
        scheme = urllib.parse.urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("https", "http", "file"):
        raise InputError(f"MXNET_GLUON_REPO is {url!r}, allowed is an https, http or file address")
    return url if url.endswith("/") else url + "/"


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Refuses a redirect from HTTPS to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> Optional[urllib.request.Request]:
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise urllib.error.URLError(f"it redirects to {newurl}, which is not HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _member(url: str, name: str) -> bytes:
    """Download an archive to a temporary file and return one member; extract nothing to disk."""
    request = urllib.request.Request(url)
    with tempfile.TemporaryFile() as archive:
        with open_address(request, _NoDowngrade(), use_proxies=True) as answer:
            _copy(received_blocks(answer), archive, url)
        archive.seek(0)
        try:
            with zipfile.ZipFile(archive) as members, members.open(name) as member:
                content = io.BytesIO()
                _copy(iter(lambda: member.read(1 << 20), b""), content, f"{url}: {name}")
                return content.getvalue()
        except (*DAMAGE, OSError) as error:
            raise WorkError(f"{url}: is not an archive that holds {name}") from error


def _copy(blocks: Iterator[bytes], target: IO[bytes], what: str) -> None:
    size = 0
    for block in blocks:
        size += len(block)
        if size > _LARGEST_ARCHIVE_BYTES:
            raise WorkError(f"{what}: is larger than {_LARGEST_ARCHIVE_BYTES} bytes")
        target.write(block)
