"""Downloads from a local server that cuts short, sends wrong content, redirects and refuses."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import Iterator

import pytest

from bort.downloads.https import RECORD_NAME, RemoteFile, fetch
from bort.errors import InputError, WorkError
from tests.downloads.local_server import Site, serve

CONTENT = bytes(range(256)) * 1000
URL = "https://data.example/sets/T.zip"


def remote(content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(URL, len(content), hashlib.sha256(content).hexdigest())


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        served.files["/sets/T.zip"] = CONTENT
        yield served


def names(folder: Path) -> list:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_is_asked_for_once(site: Site, tmp_path: Path) -> None:
    for _ in range(2):
        path = fetch(remote(), tmp_path / "d", local_server=site.address)
        assert path == tmp_path / "d" / "T.zip"
        assert path.read_bytes() == CONTENT
    assert site.requests == [("/sets/T.zip", "")]
    assert names(tmp_path / "d") == ["T.zip", RECORD_NAME]
    record = json.loads((tmp_path / "d" / RECORD_NAME).read_text())
    assert record[URL] == {
        "sha256": remote().sha256,
        "bytes": len(CONTENT),
        "checksum": "published",
    }


def test_an_interrupted_download_continues(site: Site, tmp_path: Path) -> None:
    site.cut = 100_000
    assert fetch(remote(), tmp_path, local_server=site.address).read_bytes() == CONTENT
    assert [asked for _, asked in site.requests] == ["", "bytes=100000-", "bytes=200000-"]


def test_a_truncated_download_is_an_error_and_the_next_run_continues(
    site: Site, tmp_path: Path
) -> None:
    site.cut = 1000
    with pytest.raises(
        WorkError, match="cut short after 3000 of 256000 bytes; the partial download"
    ):
        fetch(remote(), tmp_path, local_server=site.address)
    assert not (tmp_path / "T.zip").exists()
    assert (tmp_path / "T.zip.part").read_bytes() == CONTENT[:3000]
    site.cut = None
    assert fetch(remote(), tmp_path, local_server=site.address).read_bytes() == CONTENT
    assert site.requests[-1] == ("/sets/T.zip", "bytes=3000-")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_in_between_starts_anew(
    ranges: bool, site: Site, tmp_path: Path
) -> None:
    unknown = RemoteFile(URL)
    site.cut = 1000
    with pytest.raises(WorkError, match="cut short"):
        fetch(unknown, tmp_path, local_server=site.address)
    site.cut, site.ranges, site.tag = None, ranges, '"two"'
    site.files["/sets/T.zip"] = CONTENT[::-1]
    assert fetch(unknown, tmp_path, local_server=site.address).read_bytes() == CONTENT[::-1]


def test_a_wrong_checksum_leaves_nothing(site: Site, tmp_path: Path) -> None:
    site.files["/sets/T.zip"] = CONTENT[::-1]
    with pytest.raises(WorkError, match=r"has the SHA-256 .* \(published\): not the same file"):
        fetch(remote(), tmp_path, local_server=site.address)
    assert names(tmp_path) == []
    site.files["/sets/T.zip"] = CONTENT + b"more"
    with pytest.raises(WorkError, match="is longer than 256000 bytes"):
        fetch(remote(), tmp_path, local_server=site.address)
    assert names(tmp_path) == []
    site.files["/sets/T.zip"] = CONTENT[:-1]
    with pytest.raises(WorkError, match="cut short after 255999 of 256000 bytes"):
        fetch(remote(), tmp_path, local_server=site.address)


def test_a_file_that_lies_there_is_checked_too(site: Site, tmp_path: Path) -> None:
    (tmp_path / "T.zip").write_bytes(CONTENT[::-1])
    with pytest.raises(InputError, match="has the SHA-256"):
        fetch(remote(), tmp_path, local_server=site.address)
    (tmp_path / "T.zip").write_bytes(b"short")
    with pytest.raises(InputError, match="has 5 bytes, expected 256000"):
        fetch(remote(), tmp_path, offline=True)
    (tmp_path / "T.zip").write_bytes(CONTENT)
    assert fetch(remote(), tmp_path, offline=True).read_bytes() == CONTENT
    assert site.requests == []


def test_the_first_download_is_trusted_and_held_to(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = RemoteFile(URL)
    fetch(unknown, tmp_path, local_server=site.address)
    assert "no checksum is published, trusting this download" in caplog.text
    assert json.loads((tmp_path / RECORD_NAME).read_text())[URL]["checksum"] == "first download"
    (tmp_path / "T.zip").unlink()
    site.files["/sets/T.zip"] = CONTENT[::-1]
    with pytest.raises(WorkError, match=r"\(recorded in .*downloads\.json\): not the same file"):
        fetch(unknown, tmp_path, local_server=site.address)


def test_offline_never_asks(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing, and offline mode downloads nothing"):
        fetch(remote(), tmp_path, local_server=site.address, offline=True)
    assert site.requests == []


def test_without_a_network_there_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(WorkError, match="cannot be reached .*is there a network"):
            fetch(remote(), tmp_path, local_server=address)


def test_a_missing_file_is_named(site: Site, tmp_path: Path) -> None:
    site.files.clear()
    with pytest.raises(WorkError, match=r"T\.zip: the server answers 404"):
        fetch(remote(), tmp_path, local_server=site.address)


def test_only_https_leaves_this_machine(site: Site, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allowed are addresses that begin with https://"):
        fetch(RemoteFile("http://data.example/T.zip"), tmp_path)
    for address in ("http://data.example", "https://data.example", "file:///etc"):
        with pytest.raises(InputError, match="allowed is an address of this machine"):
            fetch(remote(), tmp_path, local_server=address)
    site.redirect["/sets/T.zip"] = "http://data.example/T.zip"
    with pytest.raises(WorkError, match="leads to http://data.example/T.zip, which is not HTTPS"):
        fetch(remote(), tmp_path, local_server=site.address)
    assert names(tmp_path) == []


def test_a_redirect_within_this_machine_is_followed(site: Site, tmp_path: Path) -> None:
    site.files["/other/place"] = CONTENT
    site.redirect["/sets/T.zip"] = site.address + "/other/place"
    assert fetch(remote(), tmp_path, local_server=site.address).read_bytes() == CONTENT
