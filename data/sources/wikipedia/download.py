"""Download of a dump from dumps.wikimedia.org, checked against its published SHA-1."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from bort.downloads.https import RemoteFile, fetch
from bort.errors import InputError, WorkError
from bort.settings.config import Config, setting
from bort.storage.files import temporary_folder
from bort.storage.json_fields import JsonFields, read_fields
from bort.storage.text_lines import read_lines

_SERVER = "https://dumps.wikimedia.org"
_ENDING = "pages-articles-multistream.xml.bz2"
_LARGEST_DUMP_BYTES = 1 << 38


@dataclass(frozen=True)
class DownloadConfig(Config):
    """Settings of the download of a dump."""

    download: Optional[str] = setting(
        None, "download the dump of the Wikipedia in this language, such as 'de'"
    )
    date: Optional[str] = setting(
        None, "date of the dump to download, as YYYYMMDD; none: the latest"
    )
    dump_dir: str = setting("dumps", "folder for downloaded dumps", speed_only=True)
    local_server: str = setting("", "for tests: download from this address of this machine")

    def check(self) -> None:
        language, date = self.download, self.date
        if language is not None and not re.fullmatch(r"[a-z][a-z_-]{1,30}", language):
            raise InputError(
                f"download is {language!r}, allowed is a code such as 'de' or 'zh-yue'"
            )
        if date is not None and not re.fullmatch(r"20\d{6}", date):
            raise InputError(f"date is {date!r}, allowed is YYYYMMDD, such as 20240101")
        if date is not None and language is None:
            raise InputError("date is given without --download")


def download_dump(config: DownloadConfig) -> Path:
    """Download the articles of a Wikipedia, unless they are there, and check them.

    An interrupted download continues where it was.

    Args:
        config: language, date and folder.

    Returns:
        Path of the dump.

    Raises:
        InputError: see `bort.downloads.https.fetch`.
        WorkError: there is no network, no such dump, or the download is damaged.
    """
    assert config.download is not None
    wiki = config.download.replace("-", "_") + "wiki"
    folder = Path(config.dump_dir).expanduser()
    with temporary_folder(folder / "index") as index:
        date = config.date or _latest_date(wiki, index, config.local_server)
        remote = _remote(wiki, date, index, config.local_server)
    return fetch(remote, folder, local_server=config.local_server)


def _latest_date(wiki: str, index: Path, local_server: str) -> str:
    """Return the date of the latest complete dump, from the names in its list of checksums."""
    url = f"{_SERVER}/{wiki}/latest/{wiki}-latest-sha1sums.txt"
    path = fetch(RemoteFile(url), index, local_server=local_server)
    pattern = re.compile(rf"[0-9a-f]{{40}}\s+\*?{wiki}-(\d{{8}})-{re.escape(_ENDING)}")
    for line in read_lines(path):
        found = pattern.fullmatch(line.text.strip())
        if found:
            return found.group(1)
    raise WorkError(f"{url}: does not list {wiki}-…-{_ENDING}; name a --date")


def _remote(wiki: str, date: str, index: Path, local_server: str) -> RemoteFile:
    """Return address, size and SHA-1 of a dump, from the status that is published next to it."""
    url = f"{_SERVER}/{wiki}/{date}/dumpstatus.json"
    status = read_fields(fetch(RemoteFile(url), index, local_server=local_server))
    name = f"{wiki}-{date}-{_ENDING}"
    size, sha1 = _published(status, name, url)
    return RemoteFile(f"{_SERVER}/{wiki}/{date}/{name}", size, sha1=sha1)


def _published(status: JsonFields, name: str, url: str) -> Tuple[int, str]:
    jobs = status.fields("jobs")
    for job_name in jobs.values:
        job = jobs.fields(job_name)
        files = job.fields("files") if job.has("files") else None
        if files is None or not files.has(name):
            continue
        if job.text("status") != "done":
            raise WorkError(f"{url}: {name} is not complete yet; name an earlier --date")
        file = files.fields(name)
        sha1 = file.text("sha1")
        if not re.fullmatch(r"[0-9a-f]{40}", sha1):
            raise WorkError(f"{url}: the SHA-1 of {name} is {sha1!r}, expected 40 digits")
        return file.integer("size", 1, _LARGEST_DUMP_BYTES), sha1
    raise WorkError(f"{url}: does not list {name}")
