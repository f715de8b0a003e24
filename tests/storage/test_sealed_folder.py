"""Sealed folders: a reader never accepts one that was killed or damaged, at any moment or byte."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Union

import pytest

import bort.storage.files
import bort.storage.sealed_folder
from bort.errors import InputError, WorkError
from bort.storage.files import new_folder
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat
from tests.storage.kills import outcomes

SAMPLE = SealedFormat(
    "sample.json",
    "the record of a sample",
    lambda record: [
        SealedFile(name, one["sha256"], one.get("bytes")) for name, one in record["files"].items()
    ],
    version=1,
)
NAMES = ("a.bin", "b.bin")


def write_sample(folder: Path, text: str) -> None:
    """Write two files of different lengths, and their record."""
    writer = SAMPLE.writer(folder)
    writer.write("a.bin", f"first {text}".encode())
    with writer.open("b.bin") as stream:
        for word in ("second ", "and longer ", text):
            stream.write(word.encode())
    files = {
        name: {"sha256": digest, "bytes": (folder / name).stat().st_size}
        for name, digest in writer.hashes.items()
    }
    writer.seal({"text": text, "files": files})


def read_sample(folder: Path) -> str:
    sealed = SAMPLE.open(folder)
    sealed.verify()
    text = str(sealed.record["text"])
    assert (folder / "a.bin").read_text() == f"first {text}"
    assert (folder / "b.bin").read_text() == f"second and longer {text}"
    return text


def state_of(folder: Path) -> str:
    """Return `old` or `new`; `nothing` without a folder; `refused` if the error names a file."""
    if not folder.exists():
        return "nothing"
    try:
        return read_sample(folder)
    except InputError as error:
        named = any(name in str(error) for name in (*NAMES, "sample.json"))
        return "refused" if named else str(error)


# ---------------------------------------------------------------- killed


def with_nothing(folder: Path) -> None:
    """Start the writer in an empty folder."""


def with_old(folder: Path) -> None:
    write_sample(folder / "sample", "old")


def write_in_place(folder: Path) -> None:
    write_sample(folder / "sample", "new")


def write_whole(folder: Path) -> None:
    with new_folder(folder / "sample", replace=True, clean=True) as making:
        write_sample(making, "new")


def write_whole_without_exchange(folder: Path) -> None:
    bort.storage.files._exchange = lambda first, second: False
    write_whole(folder)


def look_and_write_whole_again(folder: Path) -> str:
    """Return the state; then check that a second writer leaves only the new folder."""
    found = state_of(folder / "sample")
    write_whole(folder)
    assert state_of(folder / "sample") == "new"
    assert [path.name for path in folder.iterdir()] == ["sample"]
    return found


def look_and_write_in_place_again(folder: Path) -> str:
    found = state_of(folder / "sample")
    write_in_place(folder)
    assert state_of(folder / "sample") == "new"
    return found


def look_for_old_or_new(folder: Path) -> str:
    """Return the state; without the name, check that another name has the whole old folder."""
    found = state_of(folder / "sample")
    if found == "nothing":
        (aside,) = folder.glob(".replaced-sample-*")
        assert state_of(aside) == "old"
    return found


def test_a_kill_at_any_moment_leaves_no_folder_or_the_whole_one(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_nothing, write_whole, look_and_write_whole_again)
    assert set(seen) == {"nothing", "new"}
    assert len(seen) > 15
    assert seen == sorted(seen, reverse=True), "once it is there it stays"


def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_old, write_whole, look_and_write_whole_again)
    if not bort.storage.files._exchange(tmp_path, tmp_path):
        pytest.skip("this file system cannot exchange two names")
    assert set(seen) == {"old", "new"}
    assert seen == sorted(seen, reverse=True)


def test_where_names_cannot_be_exchanged_the_old_folder_is_never_lost(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_old, write_whole_without_exchange, look_for_old_or_new)
    assert set(seen) == {"old", "nothing", "new"}
    assert seen.count("nothing") == 1
    assert seen[-1] == "new"


def test_a_kill_while_files_are_replaced_in_place_leaves_no_mixture(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_old, write_in_place, look_and_write_in_place_again)
    assert seen[0] == "old"
    assert seen[-1] == "new"
    assert set(seen) == {"old", "refused", "new"}


def test_a_kill_before_the_record_leaves_a_folder_that_is_refused(tmp_path: Path) -> None:
    seen = outcomes(tmp_path, with_nothing, write_in_place, look_and_write_in_place_again)
    assert set(seen) == {"nothing", "refused", "new"}
    assert seen[-1] == "new"


# ---------------------------------------------------------------- damaged


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    write_sample(tmp_path / "sample", "text")
    return tmp_path / "sample"


def damage_of(folder: Path) -> str:
    """Return the message of `verify`."""
    with pytest.raises(InputError) as caught:
        SAMPLE.open(folder).verify()
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_found_at_every_byte(sample: Path, name: str) -> None:
    path = sample / name
    content = path.read_bytes()
    stated = hashlib.sha256(content).hexdigest()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        found = hashlib.sha256(flipped).hexdigest()
        assert damage_of(sample) == (
            f"{path}: is damaged: its SHA-256 is {found}, {stated} in {sample / 'sample.json'}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_length_is_found_without_hashing_it(
    sample: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sample / name
    content = path.read_bytes()

    def fail(_: Path) -> str:
        raise AssertionError("a file was read")

    for cut in (b"", content[:-1], content + b"x"):
        path.write_bytes(cut)
        with monkeypatch.context() as patched:
            patched.setattr(bort.storage.sealed_folder, "sha256_of_file", fail)
            sealed = SAMPLE.open(sample)
            assert not sealed.has(name)
            with pytest.raises(InputError) as caught:
                sealed.verified(name)
        assert str(caught.value) == (
            f"{path}: is damaged: it has {len(cut)} bytes, {len(content)} in "
            f"{sample / 'sample.json'}"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_file_is_found_where_the_record_has_no_sizes(sample: Path, name: str) -> None:
    record = json.loads((sample / "sample.json").read_text())
    for one in record["files"].values():
        del one["bytes"]
    (sample / "sample.json").write_text(json.dumps(record))
    SAMPLE.open(sample).verify()
    (sample / name).write_bytes((sample / name).read_bytes()[:-1])
    assert SAMPLE.open(sample).has(name)
    assert f"{name}: is damaged: its SHA-256" in damage_of(sample)


def test_missing_files_are_named_and_surplus_ones_ignored(sample: Path) -> None:
    (sample / "surplus").write_text("nobody lists it")
    sealed = SAMPLE.open(sample)
    sealed.verify()
    with pytest.raises(InputError, match=r"sample\.json: does not list 'surplus'"):
        sealed.path("surplus")
    (sample / "b.bin").unlink()
    for fill in (lambda: None, (sample / "b.bin").mkdir):
        fill()
        assert not sealed.has("b.bin")
        message = f"{sample / 'b.bin'}: is missing, {sample / 'sample.json'} lists it"
        assert damage_of(sample) == message
    (sample / "sample.json").unlink()
    with pytest.raises(InputError, match=r"sample\.json: cannot be read: No such file"):
        SAMPLE.open(sample)


def test_a_format_says_how_damage_is_called_and_what_to_do(sample: Path) -> None:
    kind = SealedFormat("sample.json", "x", SAMPLE.listed, damage="was changed", advice=" (mend)")
    (sample / "a.bin").write_bytes(b"first texT")
    with pytest.raises(InputError, match=r"a\.bin: was changed: its SHA-256 is .* \(mend\)$"):
        kind.open(sample).verify()


def test_files_are_hashed_when_they_are_asked_for_and_once(
    sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    original = bort.storage.sealed_folder.sha256_of_file

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return original(path)

    monkeypatch.setattr(bort.storage.sealed_folder, "sha256_of_file", counted)
    sealed = SAMPLE.open(sample)
    assert sealed.has("b.bin")
    assert sealed.path("b.bin") == sample / "b.bin"
    assert hashed == []
    for _ in range(2):
        assert sealed.verified("b.bin") == sample / "b.bin"
    assert hashed == ["b.bin"]
    sealed.verify()
    assert hashed == ["b.bin", "a.bin"]


# ---------------------------------------------------------------- the record


def open_record(folder: Path, content: Union[str, Dict[str, Any]]) -> SealedFolder:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "sample.json").write_text(text)
    return SAMPLE.open(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "is not the record of a sample: it holds no JSON object"),
        ("{}", "is not the record of a sample: format is None, allowed is 1"),
        ({"format": "1"}, "is not the record of a sample: format is '1', allowed is 1"),
        ({"format": 1}, "a field is missing or malformed: 'files'"),
        ({"format": 1, "files": []}, "a field is missing or malformed: "),
        ({"format": 1, "files": {"a.bin": {}}}, "a field is missing or malformed: 'sha256'"),
    ],
)
def test_a_record_of_something_else_is_refused(
    tmp_path: Path, content: Union[str, Dict[str, Any]], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_record(tmp_path, content)
    assert f"{tmp_path / 'sample.json'}: {message}" in str(caught.value)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "", ".", "..", "b/c", "b/"])
def test_a_record_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"sample\.json: the file name '.*' leads out of"):
        open_record(tmp_path, {"format": 1, "files": {name: {"sha256": "0" * 64}}})


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"sha256": None}, "the SHA-256 of 'a.bin' is None, allowed are 64 hexadecimal digits"),
        ({"sha256": "0" * 63}, "the SHA-256 of 'a.bin' is '000"),
        ({"sha256": "G" * 64}, "the SHA-256 of 'a.bin' is 'GGG"),
        ({"sha256": "0" * 64, "bytes": -1}, "the size of 'a.bin' is -1, allowed is a number of"),
        ({"sha256": "0" * 64, "bytes": "9"}, "the size of 'a.bin' is '9', allowed is a number of"),
        ({"sha256": "0" * 64, "bytes": True}, "the size of 'a.bin' is True"),
    ],
)
def test_an_entry_that_no_writer_makes_is_refused(
    tmp_path: Path, entry: Dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        open_record(tmp_path, {"format": 1, "files": {"a.bin": entry}})
    assert f"{tmp_path / 'sample.json'}: {message}" in str(caught.value)


# ---------------------------------------------------------------- the writer


def test_hashes_are_those_of_the_files_however_they_were_written(tmp_path: Path) -> None:
    writer = SAMPLE.writer(tmp_path / "new" / "folder")
    written = {"c": writer.write("c", b"whole")}
    with writer.open("a") as stream:
        assert [stream.write(b"in "), stream.write(memoryview(b"parts"))] == [3, 5]
    (writer.folder / "b").write_bytes(b"by somebody else")
    written["b"] = writer.include("b")
    for name, digest in writer.hashes.items():
        assert digest == hashlib.sha256((writer.folder / name).read_bytes()).hexdigest()
    assert written.items() <= writer.hashes.items()
    assert list(writer.hashes) == ["c", "a", "b"]


def test_what_somebody_else_wrote_is_synced_before_the_record_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        sync(descriptor)
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", watched)
    writer = SAMPLE.writer(tmp_path)
    (tmp_path / "a.bin").write_bytes(b"by somebody else")
    digest = writer.include("a.bin")
    writer.seal({"files": {"a.bin": {"sha256": digest}}})
    (file, folder, record, again) = synced
    assert (file, folder, again) == ("a.bin", tmp_path.name, tmp_path.name)
    assert record.startswith(".unfinished-sample.json-")


def test_an_error_in_a_file_leaves_the_old_one_and_no_hash(tmp_path: Path) -> None:
    write_sample(tmp_path, "old")
    writer = SAMPLE.writer(tmp_path)
    with pytest.raises(ZeroDivisionError), writer.open("a.bin") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert writer.hashes == {}
    assert read_sample(tmp_path) == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [*NAMES, "sample.json"]


def test_a_record_lists_what_was_written(tmp_path: Path) -> None:
    writer = SAMPLE.writer(tmp_path)
    digest = writer.write("a.bin", b"content")
    for files in ({}, {"a.bin": {"sha256": "0" * 64}}, {"b.bin": {"sha256": digest}}):
        with pytest.raises(AssertionError):
            writer.seal({"files": files})
    assert not SAMPLE.is_in(tmp_path)
    writer.seal({"files": {"a.bin": {"sha256": digest}}})
    assert SAMPLE.is_in(tmp_path)
    SAMPLE.open(tmp_path).verify()
    assert json.loads((tmp_path / "sample.json").read_text())["format"] == 1


def test_a_record_without_a_version_has_no_field_of_that_name(tmp_path: Path) -> None:
    kind = SealedFormat("plain.json", "a plain record", lambda record: ())
    kind.writer(tmp_path).seal({"a": 1})
    assert (tmp_path / "plain.json").read_text() == '{\n  "a": 1\n}\n'
    assert kind.open(tmp_path).record == {"a": 1}


def test_a_refusal_of_the_system_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match=r"file/a\.bin: cannot be written"):
        SAMPLE.writer(tmp_path / "file").write("a.bin", b"")


# ---------------------------------------------------------------- files in folders

NESTED = dataclasses.replace(SAMPLE, is_nested=True)


def test_a_nested_format_lists_files_in_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "side").mkdir(parents=True)
    (tmp_path / "in" / "side" / "a.bin").write_bytes(b"a")
    writer = NESTED.writer(tmp_path)
    record = {"in/side/a.bin": {"sha256": writer.include("in/side/a.bin"), "bytes": 1}}
    writer.seal({"files": record})
    sealed = NESTED.open(tmp_path)
    sealed.verify()
    assert list(sealed.problems()) == []
    (tmp_path / "in" / "b.bin").touch()
    (tmp_path / "in" / "side" / "a.bin").write_bytes(b"b")
    damaged, added = NESTED.open(tmp_path).problems()
    assert damaged.startswith(f"{tmp_path}/in/side/a.bin: is damaged")
    assert added.startswith(f"{tmp_path}/in/b.bin: was added")
    with pytest.raises(InputError, match="'in/side/a.bin' leads out of the folder"):
        SAMPLE.open(tmp_path)


@pytest.mark.parametrize("name", ["../a", "a/../b", "a//b", "/a", "a/", "./a", "a/.", "a\\b/c", ""])
def test_a_nested_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    record = {"format": 1, "files": {name: {"sha256": "0" * 64, "bytes": 1}}}
    (tmp_path / "sample.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="leads out of the folder"):
        NESTED.open(tmp_path)
