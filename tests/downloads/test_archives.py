"""Extraction: wanted files are written, and a malicious archive writes nothing outside."""

from __future__ import annotations

import gzip
import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from bort.downloads import archives
from bort.downloads.archives import extract
from bort.errors import InputError, WorkError


def everything(name: str) -> Optional[str]:
    return name


def make_tar(path: Path, members: Dict[str, bytes], **special: Any) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if special:
            info = tarfile.TarInfo(special.pop("name"))
            for field, value in special.items():
                setattr(info, field, value)
            archive.addfile(info)
    return path


def make_zip(path: Path, members: Dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "out"
    path.mkdir(parents=True)
    return path


def outside(folder: Path) -> list:
    """Return the names next to the folder of the extraction."""
    root = folder.parent.parent
    return [p for p in root.rglob("*") if folder not in p.parents and p.is_file()]


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_wanted_files_come_out(make: Any, tmp_path: Path, folder: Path) -> None:
    name = "a.zip" if make is make_zip else "a.tar.gz"
    archive = make(tmp_path / name, {"T/a.txt": b"one", "T/d/b.txt": b"two", "T/no": b"x"})
    count = extract(archive, folder, lambda n: None if n.endswith("no") else n[2:])
    assert count == 2
    assert (folder / "a.txt").read_bytes() == b"one"
    assert (folder / "d" / "b.txt").read_bytes() == b"two"
    assert sum(path.is_file() for path in folder.rglob("*")) == 2


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil-bort", "..\\evil", "C:/evil", "C:evil"]
)
def test_names_that_lead_out_are_refused(
    make: Any, name: str, tmp_path: Path, folder: Path
) -> None:
    archive = make(tmp_path / ("a.zip" if make is make_zip else "a.tar.gz"), {name: b"x"})
    for rename in (everything, lambda _: None):
        with pytest.raises(InputError, match="leads out of the folder: the archive is refused"):
            extract(archive, folder, rename)
    assert outside(folder) == [archive]
    assert not Path("/tmp/evil-bort").exists()


@pytest.mark.parametrize(
    "special",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "a"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.FIFOTYPE},
    ],
)
def test_links_and_devices_in_a_tar_are_refused(special: Any, tmp_path: Path, folder: Path) -> None:
    archive = make_tar(tmp_path / "a.tar.gz", {"a": b"x"}, name="bad", **special)
    with pytest.raises(InputError, match="'bad' is a link or a device"):
        extract(archive, folder, lambda _: None)


def test_a_link_in_a_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="'link' is a link or a device"):
        extract(tmp_path / "a.zip", folder, everything)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_bomb_is_refused(make: Any, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / ("a.zip" if make is make_zip else "a.tar.gz")
    archive = make(path, {"small": b"x", "big": bytes(100_000)})
    with pytest.raises(InputError, match="'big': unpacks to more than 50000 bytes"):
        extract(archive, folder, lambda _: None, maximum_bytes=50_000)


def test_a_zip_that_lies_about_a_size(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"big": bytes(100_000)})
    content = archive.read_bytes()
    lie = content.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != content
    archive.write_bytes(lie)
    with pytest.raises(InputError, match="a.zip"):
        extract(archive, folder, everything, maximum_bytes=50_000)
    assert sum(path.stat().st_size for path in folder.rglob("*")) <= 50_000


def test_too_many_entries_and_a_name_twice(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("same"), io.BytesIO())
    with pytest.raises(InputError, match="'same' comes twice"):
        extract(tmp_path / "a.tar.gz", folder, lambda _: None)
    monkeypatch.setattr(archives, "MAXIMUM_ENTRIES", 2)
    many = make_zip(tmp_path / "m.zip", {"a": b"", "b": b"", "c": b""})
    with pytest.raises(InputError, match="'c' is one of more than 2 entries"):
        extract(many, folder, lambda _: None)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_damaged_archives(name: str, tmp_path: Path, folder: Path) -> None:
    make = make_zip if name == "a.zip" else make_tar
    archive = make(tmp_path / name, {"a": bytes(range(256)) * 400})
    content = archive.read_bytes()
    for damaged in (content[: len(content) // 2], b"not an archive", b""):
        archive.write_bytes(damaged)
        with pytest.raises(InputError, match=f"{name}: is damaged"):
            extract(archive, folder, lambda _: None)
    middle = len(content) // 3
    archive.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    with pytest.raises(InputError, match=name):
        extract(archive, folder, everything)


KINDS = ("stored.zip", "deflated.zip", "bzip2.zip", "lzma.zip", "gnu.tar.gz", "pax.tar.gz")


def make_kind(path: Path, members: Dict[str, bytes]) -> Path:
    """Write an archive of the kind that its name says."""
    kind = path.name.split(".")[0]
    if path.suffix == ".zip":
        method = getattr(zipfile, f"ZIP_{kind.upper()}")
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    form = getattr(tarfile, f"{kind.upper()}_FORMAT")
    with tarfile.open(path, "w:gz", format=form) as source:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            source.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", KINDS)
def test_any_damage_ends_in_one_line(name: str, tmp_path: Path) -> None:
    members = {"a/b": b"hello\n" * 300, "a/" + "l" * 120: bytes(range(256)) * 8}
    archive = make_kind(tmp_path / name, members)
    content = archive.read_bytes()
    generator = random.Random(f"{name} {test_any_damage_ends_in_one_line.__name__}")
    messages = []
    for number in range(150):
        changed = bytearray(content)
        place = generator.randrange(len(content))
        if number % 3 == 0:
            del changed[place:]
        elif number % 3 == 1:
            changed[place] ^= 1 << generator.randrange(8)
        else:
            changed[place : place + 8] = b"\xff" * 8
        archive.write_bytes(bytes(changed))
        folder = tmp_path / f"out{number}"
        folder.mkdir()
        try:
            extract(archive, folder, everything)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(message.startswith(f"{archive}: ") for message in messages)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {name}


@pytest.mark.parametrize("method", ["BZIP2", "LZMA"])
def test_a_damaged_member_is_the_archives_fault_not_the_disks(
    method: str, tmp_path: Path, folder: Path
) -> None:
    archive = make_kind(tmp_path / f"{method.lower()}.zip", {"a": bytes(range(256)) * 400})
    content = archive.read_bytes()
    archive.write_bytes(content[:60] + bytes(64) + content[124:])
    with pytest.raises(InputError, match="damaged"):
        extract(archive, folder, everything)


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_is_no_folder(make: Any, names: Any, tmp_path: Path, folder: Path) -> None:
    path = tmp_path / ("a.zip" if make is make_zip else "a.tar.gz")
    archive = make(path, dict.fromkeys(names, b"x"))
    with pytest.raises(InputError, match=f"'{names[1]}' is a file and a folder"):
        extract(archive, folder, everything)


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["x" * 256, "a/" + "é" * 128, "."])
def test_names_that_no_disk_takes_are_refused(
    make: Any, name: str, tmp_path: Path, folder: Path
) -> None:
    archive = make(tmp_path / ("a.zip" if make is make_zip else "a.tar.gz"), {name: b"x"})
    with pytest.raises(InputError, match="has no name or one of more than 255 bytes"):
        extract(archive, folder, lambda _: "elsewhere")


def test_an_encrypted_zip_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"x"})
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(bytes(content))
    with pytest.raises(InputError, match="'a' is encrypted"):
        extract(archive, folder, lambda _: None)


def test_what_is_read_as_a_whole_is_bounded(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_name = make_kind(tmp_path / "pax.tar.gz", {"d/" * 60 + "a": b"x"})
    monkeypatch.setattr(archives, "LARGEST_HEADER_BYTES", 50)
    with pytest.raises(InputError, match="is damaged: a header has 1[0-9][0-9] bytes"):
        extract(long_name, folder, everything)
    many = make_zip(tmp_path / "m.zip", {str(number): b"" for number in range(100)})
    monkeypatch.setattr(archives, "LARGEST_DIRECTORY_BYTES", 1000)
    with pytest.raises(InputError, match="its list of entries has .* bytes, allowed are 1000"):
        extract(many, folder, everything)
    ends = make_tar(tmp_path / "e.tar.gz", {"a": b"x"})
    ends.write_bytes(ends.read_bytes() + gzip.compress(bytes(2 << 20)))
    monkeypatch.setattr(archives, "_LARGEST_END_BYTES", 1 << 20)
    with pytest.raises(InputError, match="bytes behind its last entry"):
        extract(ends, folder, lambda _: None)


def test_a_full_disk_is_not_the_archives_fault(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {"a": b"x"})
    (folder / "a").mkdir()
    with pytest.raises(WorkError, match="cannot be written"):
        extract(archive, folder, everything)
