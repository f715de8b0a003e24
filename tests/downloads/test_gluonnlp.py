"""GluonNLP's cached files: found, downloaded from a mirror, refused if they are wrong."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
import zipfile

import pytest

from bort.downloads import gluonnlp as gluonnlp_files
from bort.downloads.gluonnlp import PublishedFile, find_or_download
from bort.errors import InputError, WorkError

CONTENT = b"the merges"
FILE = PublishedFile("stem-1", "stem-1.json", hashlib.sha1(CONTENT).hexdigest())


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "gluon" / "dataset" / "vocab"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MXNET_GLUON_REPO", (tmp_path / "mirror").as_uri())
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("BORT_OFFLINE", raising=False)
    return folder / "stem-1.zip"


def pack(path, content=CONTENT, name="stem-1.json"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)


def test_a_file_is_fetched_once_and_then_found(mirror, tmp_path):
    pack(mirror)
    path = find_or_download(FILE)
    assert path == tmp_path / "home" / "models" / "stem-1.json"
    assert path.read_bytes() == CONTENT
    mirror.unlink()
    assert find_or_download(FILE) == path


def test_a_damaged_file_is_fetched_again(mirror):
    pack(mirror)
    path = find_or_download(FILE)
    path.write_bytes(b"half")
    assert find_or_download(FILE).read_bytes() == CONTENT


def test_offline_is_one_clear_line(mirror, tmp_path, monkeypatch):
    with pytest.raises(WorkError) as caught:
        find_or_download(FILE)
    for part in ("stem-1.json: is missing", "cannot be downloaded", "MXNET_GLUON_REPO"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("BORT_OFFLINE", "1")
    with pytest.raises(InputError, match="BORT_OFFLINE forbids"):
        find_or_download(FILE)
    assert not (tmp_path / "home").exists() or not list((tmp_path / "home").rglob("*.*"))


def test_wrong_content_is_never_kept(mirror, tmp_path):
    pack(mirror, b"something else")
    with pytest.raises(WorkError, match="wrong SHA-1"):
        find_or_download(FILE)
    pack(mirror, name="../stem-1.json")
    with pytest.raises(WorkError, match="is not an archive that holds stem-1.json"):
        find_or_download(FILE)
    mirror.write_bytes(b"<html>not found</html>")
    with pytest.raises(WorkError, match="is not an archive"):
        find_or_download(FILE)
    assert not list(tmp_path.rglob("stem-1.json"))


def test_archives_are_bounded(mirror, monkeypatch):
    pack(mirror, b"x" * 5000)
    monkeypatch.setattr(gluonnlp_files, "_LARGEST_ARCHIVE_BYTES", 1000)
    with pytest.raises(WorkError, match="larger than 1000 bytes"):
        find_or_download(FILE)


def test_only_known_schemes_and_no_way_back_from_https(mirror, monkeypatch):
    handler = gluonnlp_files._NoDowngrade()
    request = urllib.request.Request("https://example.org/a.zip")
    with pytest.raises(urllib.error.URLError, match="not HTTPS"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.org/a.zip")
    followed = handler.redirect_request(request, None, 302, "Found", {}, "https://example.org/b")
    assert followed.full_url == "https://example.org/b"
    monkeypatch.setenv("MXNET_GLUON_REPO", "https://[bad")
    with pytest.raises(InputError, match=r"MXNET_GLUON_REPO is 'https://\[bad"):
        find_or_download(FILE)
    monkeypatch.setenv("MXNET_GLUON_REPO", "ftp://example.org/")
    with pytest.raises(InputError, match="MXNET_GLUON_REPO is 'ftp://example.org/'"):
        find_or_download(FILE)
    assert gluonnlp_files.DEFAULT_REPOSITORY.startswith("https://")
