"""A dump is found by language and date, and only the published bytes are accepted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Iterator

import pytest

from bort.errors import InputError, WorkError
from data.sources.wikipedia.download import DownloadConfig, download_dump
from data.sources.wikipedia.dump import Dump
from tests.data.sources.wikipedia.dumps import articles, multistream
from tests.downloads.local_server import Site, serve

CONTENT = multistream(articles(20))
NAME = "zh_yuewiki-20240101-pages-articles-multistream.xml.bz2"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        offer(served)
        yield served


def offer(site: Site, **changes: Any) -> None:
    file = {"size": len(CONTENT), "sha1": hashlib.sha1(CONTENT).hexdigest(), **changes}
    status = file.pop("status", "done")
    jobs = {
        "metadata": {"status": "done", "files": {"other.gz": {"size": 1}}},
        "waiting": {"status": "waiting"},
        "articles": {"status": status, "files": {NAME: file}},
    }
    folder = "/zh_yuewiki/20240101"
    site.files[f"{folder}/dumpstatus.json"] = json.dumps({"jobs": jobs}).encode()
    site.files[f"{folder}/{NAME}"] = CONTENT
    sums = f"{'0' * 40}  zh_yuewiki-20240101-stub.xml.gz\n{'1' * 40}  {NAME}\n"
    site.files["/zh_yuewiki/latest/zh_yuewiki-latest-sha1sums.txt"] = sums.encode()


def download(site: Site, folder: Path, **settings: Any) -> Path:
    config = DownloadConfig(
        **{"download": "zh-yue", "date": "20240101", **settings},
        dump_dir=str(folder),
        local_server=site.address,
    )
    return download_dump(config)


@pytest.mark.parametrize("date", ["20240101", None])
def test_a_dump_is_downloaded_and_checked(
    date: str, site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = download(site, tmp_path / "dumps", date=date)
    assert path == tmp_path / "dumps" / NAME
    assert path.read_bytes() == CONTENT
    assert len(list(Dump(path).pages())) == len(articles(20))
    assert sorted(one.name for one in path.parent.iterdir()) == ["downloads.json", NAME]
    assert not [one for one in caplog.messages if NAME in one and "no checksum" in one]
    asked = len(site.requests)
    assert download(site, tmp_path / "dumps", date=date) == path  # it is there already
    assert all(NAME not in request for request, _ in site.requests[asked:])


def test_an_interrupted_download_continues(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "dumps" / (NAME + ".part")
    path.parent.mkdir()
    path.write_bytes(CONTENT[:100])
    path.with_name(path.name + ".json").write_text(json.dumps({"validator": site.tag}))
    assert download(site, tmp_path / "dumps").read_bytes() == CONTENT
    assert (f"/zh_yuewiki/20240101/{NAME}", "bytes=100-") in site.requests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha1": "2" * 40}, "has the SHA-1"),
        ({"sha1": "x"}, "the SHA-1 of"),
        ({"size": len(CONTENT) + 1}, "cut short"),
        ({"size": len(CONTENT) - 1}, "is longer than"),
        ({"status": "in-progress"}, "is not complete yet"),
    ],
)
def test_other_bytes_are_refused(changes: Any, message: str, site: Site, tmp_path: Path) -> None:
    offer(site, **changes)
    with pytest.raises(WorkError, match=message):
        download(site, tmp_path / "dumps")
    assert not (tmp_path / "dumps" / NAME).exists()


def test_a_changed_file_is_not_taken_for_the_dump(site: Site, tmp_path: Path) -> None:
    path = download(site, tmp_path / "dumps")
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(InputError, match="has the SHA-1"):
        download(site, tmp_path / "dumps")


def test_a_wiki_or_date_that_is_not_there_is_named(site: Site, tmp_path: Path) -> None:
    with pytest.raises(WorkError, match=r"dumpstatus\.json: the server answers 404"):
        download(site, tmp_path / "dumps", date="20230101")
    site.files["/zh_yuewiki/latest/zh_yuewiki-latest-sha1sums.txt"] = b"nothing\n"
    with pytest.raises(WorkError, match="name a --date"):
        download(site, tmp_path / "dumps", date=None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"download": "../x"}, "download is '../x'"),
        ({"download": "de", "date": "1.1.2024"}, "date is '1.1.2024'"),
        ({"date": "20240101"}, "without --download"),
    ],
)
def test_settings_are_checked(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DownloadConfig(**settings)
