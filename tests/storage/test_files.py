"""Files are written completely or not at all."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bort.errors import InputError, WorkError
from bort.storage.files import atomic_write, new_folder, read_json, sha256_of_file, write_json
from tests.patience import HANG_SECONDS
from tests.storage.names import names


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file.bin"
    with atomic_write(target) as stream:
        stream.write(b"content")
        stream.flush()
        assert not target.exists()
    assert target.read_bytes() == b"content"
    assert names(target.parent) == ["file.bin"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(target) as stream:
        stream.write(b"half of the n")
        raise error
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    target = tmp_path / "file.bin"
    message = r"file\.bin: cannot be written: No space left"
    with pytest.raises(WorkError, match=message), atomic_write(target):
        raise OSError(28, "No space left on device")
    assert names(tmp_path) == []


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WorkError, match="cannot be written"), atomic_write(tmp_path / "file" / "x"):
        pass
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(WorkError, match="cannot be written"), atomic_write(tmp_path / "folder"):
        pass
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_permissions_follow_the_umask_and_stay_those_of_what_is_replaced(
    tmp_path: Path, mask: int
) -> None:
    def mode(path: Path) -> int:
        return os.stat(path).st_mode & 0o7777

    former = os.umask(mask)
    try:
        write_json(tmp_path / "new" / "file.json", 1)
        for replace in (False, True):
            with new_folder(tmp_path / "whole", replace=replace) as folder:
                write_json(folder / "deep" / "file.json", 1)
            assert mode(tmp_path / "whole") == 0o777 & ~mask
        for number in (0o600, 0o640, 0o444, 0o666):
            (tmp_path / "new" / "file.json").chmod(number)
            write_json(tmp_path / "new" / "file.json", 2)
            assert mode(tmp_path / "new" / "file.json") == number
        (tmp_path / "whole").chmod(0o711)
        with new_folder(tmp_path / "whole", replace=True) as folder:
            write_json(folder / "deep" / "file.json", 1)
    finally:
        os.umask(former)
    assert mode(tmp_path / "new") == 0o777 & ~mask
    assert mode(tmp_path / "whole") == 0o711
    assert mode(tmp_path / "whole" / "deep") == 0o777 & ~mask
    assert mode(tmp_path / "whole" / "deep" / "file.json") == 0o666 & ~mask


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "real").write_bytes(b"old")
    for link, to in (
        ("one", "two"),
        ("two", "deep/real"),
        ("dangling", "deep/new"),
        ("loop", "pool"),
        ("pool", "loop"),
        ("folder", "deep"),
    ):
        (tmp_path / link).symlink_to(to)
    for link, real in (("one", "real"), ("dangling", "new")):
        with atomic_write(tmp_path / link) as stream:
            stream.write(b"content")
        assert (tmp_path / "deep" / real).read_bytes() == b"content"
    for link, why in (("loop", "Too many levels of symbolic links"), ("folder", "Is a directory")):
        with pytest.raises(WorkError, match=rf"{link}: cannot be written: {why}"):
            write_json(tmp_path / link, 1)
    links = ["dangling", "folder", "loop", "one", "pool", "two"]
    assert names(tmp_path) == sorted([*links, "deep"])
    assert all((tmp_path / link).is_symlink() for link in links)
    assert names(tmp_path / "deep") == ["new", "real"]


def test_a_pipe_and_a_device_are_written_through(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        reader = subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE)
        with atomic_write(tmp_path / name) as stream:
            stream.write(b"content")
        assert reader.communicate(timeout=HANG_SECONDS)[0] == b"content"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(WorkError, match="socket: cannot be written"):
            write_json(tmp_path / "socket", 1)
    assert names(tmp_path) == ["link", "pipe", "socket"]
    assert (tmp_path / "pipe").is_fifo()
    before = os.stat("/dev/null")
    write_json("/dev/null", 1)
    assert os.stat("/dev/null").st_ino == before.st_ino
    with pytest.raises(WorkError, match="/dev/full: cannot be written: No space left on device"):
        write_json("/dev/full", 1)


STANDARD = """
import sys
from bort.storage.files import atomic_write
sys.stdout.write("first\\n")
sys.stdout.flush()
with atomic_write(sys.argv[1]) as stream:
    stream.write(b"second\\n")
print("third")
"""


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_a_descriptor_of_this_process_is_written_in_order(
    tmp_path: Path, project_root: Path, name: str
) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    with (tmp_path / "printed").open("wb") as printed:
        path = str(tmp_path / name)
        subprocess.run(
            [sys.executable, "-c", STANDARD, path],
            cwd=project_root,
            stdout=printed,
            timeout=HANG_SECONDS,
            check=True,
        )
    assert (tmp_path / "printed").read_text().split() == ["first", "second", "third"]
    assert names(tmp_path) == ["link", "printed"]


FULL_DISK = """
import resource, signal, sys
from bort.storage.files import atomic_write
from bort.errors import WorkError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with atomic_write(sys.argv[1]) as stream:
        for _ in range(64):
            stream.write(b"n" * 1024)
except WorkError as error:
    print(error)
    sys.exit(1)
"""


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, project_root: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(target)],
        cwd=project_root,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert result.returncode == 1, result.stderr
    assert f"{target}: cannot be written: File too large" in result.stdout
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file.bin"]


KILLED = """
import os, signal, sys
from bort.storage.files import atomic_write
with atomic_write(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path, project_root: Path) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    for _ in range(2):
        result = subprocess.run(
            [sys.executable, "-c", KILLED, str(target)], cwd=project_root, timeout=HANG_SECONDS
        )
        assert result.returncode == -9
        assert target.read_bytes() == b"old"
        assert len(names(tmp_path)) == 2, "the next writer removes what the killed one left"
    write_json(tmp_path / "other.json", 1)
    assert names(tmp_path) == ["file.bin", "other.json"]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=30)  # every example is synced to the disk
@given(value=JSON_VALUES)
def test_json_survives_a_file(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"loss": float("-inf")}, object()])
def test_what_is_not_json_is_refused_and_nothing_written(tmp_path: Path, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "file.json", value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"{'a': 1}"])
def test_a_bad_json_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.json: is not valid JSON"):
        read_json(path)


def test_a_missing_json_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: cannot be read: No such file"):
        read_json(tmp_path / "gone.json")


@given(content=st.binary(max_size=64), repeats=st.sampled_from([1, 1 << 15]))
def test_the_hash_is_that_of_all_bytes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, repeats: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "hashed.bin"
    path.write_bytes(content * repeats)
    assert sha256_of_file(path) == hashlib.sha256(content * repeats).hexdigest()
