"""Archives become task folders in the official layout, and only whole ones."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, Mapping

import pytest

from bort.downloads.https import RemoteFile
from bort.errors import InputError, WorkError
from bort.tasks.records import TASKS, get_task
from data.tasks.downloads import (
    TASK_SOURCES,
    TaskSource,
    download_task,
    official_files,
    task_folder,
)
from data.tasks.files import find_split
from tests.downloads.local_server import Site, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        yield served


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def offer(site: Site, contents: Mapping[str, Dict[str, bytes]]) -> Dict[str, TaskSource]:
    """Serve contents under the official names: task → file name → content."""
    sources = {}
    for task, files in contents.items():
        remotes = []
        for real, content in zip(TASK_SOURCES[task].files, files.values()):
            site.files["/" + real.url.split("/", 3)[3]] = content
            digest = hashlib.sha256(content).hexdigest()
            remotes.append(dataclasses.replace(real, size=len(content), sha256=digest))
        sources[task] = dataclasses.replace(TASK_SOURCES[task], files=tuple(remotes))
    return sources


def official(task: str) -> Dict[str, bytes]:
    record = get_task(task)
    return {f"{record.folder}/{name}": name.encode() for name in official_files(record)}


def test_every_task_has_a_source_with_published_checksums() -> None:
    assert set(TASK_SOURCES) == {task.name for task in TASKS}
    for name, source in TASK_SOURCES.items():
        for file in source.files:
            assert file.url.startswith("https://")
            assert len(bytes.fromhex(file.sha256)) == 32
            assert file.size
        stated = get_task(name).source
        assert not stated or stated == source.files[0].url


@pytest.mark.parametrize("task", ["CoLA", "MNLI", "SuperGLUE-RTE", "AX-b"])
@pytest.mark.parametrize("root", ["given", "default"])
def test_a_zip_becomes_the_task_folder(
    task: str, root: str, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "mxnet"))
    data_dir = tmp_path / "data" if root == "given" else None
    record = get_task(task)
    extra = {f"{record.folder}/original/x.txt": b"x", "__MACOSX/y": b"y"}
    sources = offer(site, {task: {"a": zipped({**extra, **official(task)})}})
    folder, fetched = download_task(record, data_dir, sources=sources, local_server=site.address)
    assert fetched
    assert folder == task_folder(record, data_dir)
    assert sorted(path.name for path in folder.iterdir()) == sorted(official_files(record))
    for split in record.splits:
        assert find_split(record, split, data_dir) == folder / split.files[0]
    downloads = (data_dir or tmp_path / "mxnet" / "datasets") / "downloads"
    assert [path.name for path in downloads.iterdir()] == ["downloads.json"]
    assert download_task(record, data_dir, sources=sources, offline=True) == (folder, False)
    assert len(site.requests) == 1


def test_files_that_are_there_already_stay_beside_the_official_ones(
    site: Site, tmp_path: Path
) -> None:
    sources = offer(site, {"CoLA": {"a": zipped(official("CoLA"))}})
    place = task_folder(get_task("CoLA"), tmp_path)
    place.mkdir(parents=True)
    (place / "dev.tsv").write_text("another one's")
    (place / "notes.txt").write_text("mine")
    folder, done = download_task(
        get_task("CoLA"), tmp_path, sources=sources, local_server=site.address
    )
    assert (folder, done) == (place, True)
    assert (place / "dev.tsv").read_bytes() == b"dev.tsv"
    assert (place / "notes.txt").read_text() == "mine"
    assert set(official_files(get_task("CoLA"))) < {path.name for path in place.iterdir()}
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_both_rte_live_side_by_side(site: Site, tmp_path: Path) -> None:
    sources = offer(
        site,
        {name: {"a": zipped(official(name))} for name in ("RTE", "SuperGLUE-RTE")},
    )
    for name in sources:
        record = get_task(name)
        download_task(record, tmp_path, sources=sources, local_server=site.address)
        for split in record.splits:
            assert find_split(record, split, tmp_path).suffix == Path(split.files[0]).suffix


def test_both_versions_of_squad_live_side_by_side_without_their_hidden_tests(
    site: Site, tmp_path: Path
) -> None:
    names = ("SQuAD1.1", "SQuAD2.0")
    contents = {
        name: {part: f"{name} {part}".encode() for part in ("train", "dev")} for name in names
    }
    sources = offer(site, contents)
    for name in names:
        record = get_task(name)
        folder, _ = download_task(record, tmp_path, sources=sources, local_server=site.address)
        assert folder == tmp_path / "SQuAD"
    for name in names:
        record = get_task(name)
        assert official_files(record) == [f"{part}-v{name[-3:]}.json" for part in ("train", "dev")]
        for split in record.splits[:2]:
            found = find_split(record, split, tmp_path)
            assert found.read_bytes() == f"{name} {split.name}".encode()
        with pytest.raises(InputError, match="found no test-v"):
            find_split(record, record.split("test"), tmp_path)


def test_race_is_fetched_once_for_both_levels(site: Site, tmp_path: Path) -> None:
    members = {
        f"RACE/{part}/{level}/{number}.txt": b"{}"
        for part in ("train", "dev", "test")
        for level in ("middle", "high")
        for number in range(2)
    }
    both = offer(site, {name: {"a": tarred(members)} for name in ("RACE-H", "RACE-M")})
    high, middle = get_task("RACE-H"), get_task("RACE-M")
    assert download_task(high, tmp_path, sources=both, local_server=site.address)[1]
    assert not download_task(middle, tmp_path, sources=both, offline=True)[1]
    assert len(site.requests) == 1
    for record in (high, middle):
        for split in record.splits:
            assert len(list(find_split(record, split, tmp_path).iterdir())) == 2
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["downloads.json"]


def test_mrpc_is_made_of_three_files(site: Site, tmp_path: Path) -> None:
    head = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    train = head + '1\t10\t11\tA "b\tC\n0\t12\t13\tD\tE\n1\t14\t15\tF\tG\n'
    test = head + "1\t20\t21\tH\tI\n0\t22\t23\tJ\tK\n"
    files = {"train": train.encode(), "test": test.encode(), "ids": b"12\t13\n"}
    sources = offer(site, {"MRPC": files})
    folder, _ = download_task(
        get_task("MRPC"), tmp_path, sources=sources, local_server=site.address
    )
    first = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert texts == {
        "train.tsv": first + '1\t10\t11\tA "b\tC\n1\t14\t15\tF\tG\n',
        "dev.tsv": first + "0\t12\t13\tD\tE\n",
        "test.tsv": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t20\t21\tH\tI\n1\t22\t23\tJ\tK\n",
    }


def test_ax_is_one_file(site: Site, tmp_path: Path) -> None:
    sources = offer(site, {"AX": {"a": b"index\tsentence1\tsentence2\n"}})
    record = get_task("AX")
    folder, _ = download_task(record, tmp_path, sources=sources, local_server=site.address)
    assert [path.name for path in folder.iterdir()] == ["AX.tsv"]


def test_an_archive_that_lacks_a_file_leaves_no_folder(site: Site, tmp_path: Path) -> None:
    members = official("CoLA")
    del members["CoLA/dev.tsv"]
    sources = offer(site, {"CoLA": {"a": zipped(members)}})
    with pytest.raises(WorkError, match=r"CoLA\.zip: does not hold dev\.tsv of CoLA"):
        download_task(get_task("CoLA"), tmp_path, sources=sources, local_server=site.address)
    assert list((tmp_path / "GLUE").iterdir()) == []


def test_a_malicious_archive_leaves_no_folder(site: Site, tmp_path: Path) -> None:
    members = {**official("CoLA"), "CoLA/../../../evil.txt": b"x"}
    sources = offer(site, {"CoLA": {"a": zipped(members)}})
    with pytest.raises(InputError, match=r"evil\.txt' leads out of the folder"):
        download_task(get_task("CoLA"), tmp_path, sources=sources, local_server=site.address)
    assert list((tmp_path / "GLUE").iterdir()) == []
    assert not list(tmp_path.parent.rglob("evil.txt"))


def test_an_archive_put_there_by_hand_serves_offline(site: Site, tmp_path: Path) -> None:
    sources = offer(site, {"CoLA": {"a": zipped(official("CoLA"))}})
    with pytest.raises(InputError, match="offline mode downloads nothing"):
        download_task(get_task("CoLA"), tmp_path, sources=sources, offline=True)
    (tmp_path / "downloads").mkdir(exist_ok=True)
    (tmp_path / "downloads" / "CoLA.zip").write_bytes(zipped(official("CoLA")))
    folder, done = download_task(
        get_task("CoLA"), tmp_path, sources=sources, offline=True, keep_archives=True
    )
    assert done
    assert (folder / "dev.tsv").read_bytes() == b"dev.tsv"
    assert (tmp_path / "downloads" / "CoLA.zip").exists()
    assert site.requests == []


def test_a_source_is_plain_data() -> None:
    assert RemoteFile("https://x.example/a/B.zip?x=1").name == "B.zip"
