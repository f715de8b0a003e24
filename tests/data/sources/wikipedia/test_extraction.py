"""An extraction gives the same files with any number of workers, and after any kill."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Optional

import psutil
import pytest

from bort.errors import InputError, WorkError
from data.corpus.documents import read_documents
from data.sources.wikipedia import extraction
from data.sources.wikipedia.extraction import (
    WIKI_TEXT_FORMAT,
    ExtractionConfig,
    extract_wikipedia,
)
from tests.data.sources.wikipedia.dumps import Written, articles, dump_xml, multistream

FILE_BYTES = 4000
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "_BATCH_PAGES", 7)
    monkeypatch.setattr(extraction, "_SECONDS_BETWEEN_SAVES", 0.0)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.xml.bz2"
    path.write_bytes(multistream(articles(120)))
    return path


def extract(dump: Path, folder: Path, **settings: Any) -> Optional[Dict[str, Any]]:
    stop = settings.pop("stop_requested", lambda: False)
    config = ExtractionConfig(output_dir=str(folder), **{"num_workers": 1, **settings})
    return extract_wikipedia(dump, config, file_bytes=FILE_BYTES, stop_requested=stop)


def content(folder: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_folder_is_sealed_and_its_files_are_bounded(dump: Path, tmp_path: Path) -> None:
    record = extract(dump, tmp_path / "out")
    WIKI_TEXT_FORMAT.open(tmp_path / "out").verify()
    files = sorted((tmp_path / "out").glob("*.txt"))
    assert len(files) == len(record["files"]) > 5
    assert all(path.stat().st_size <= FILE_BYTES for path in files)
    assert len(list(read_documents(files))) == record["counts"]["documents"] == 120
    assert not list(tmp_path.glob("*.unfinished"))


@pytest.mark.parametrize("workers", [2, 7])
def test_workers_do_not_change_the_result(workers: int, dump: Path, tmp_path: Path) -> None:
    extract(dump, tmp_path / "one")
    extract(dump, tmp_path / "several", num_workers=workers)
    assert content(tmp_path / "one") == content(tmp_path / "several")


def test_the_form_of_the_dump_does_not_change_the_text(dump: Path, tmp_path: Path) -> None:
    plain = tmp_path / "dump.xml"
    plain.write_bytes(dump_xml(articles(120)))
    extract(dump, tmp_path / "one")
    extract(plain, tmp_path / "two")
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert one.pop("wikipedia.json") != two.pop("wikipedia.json")  # the names of the dumps
    assert one == two


def test_a_stopped_extraction_continues(dump: Path, tmp_path: Path) -> None:
    extract(dump, tmp_path / "whole")
    for number in range(100):
        stops = iter([False] * (number % 3) + [True] * 1000)
        record = extract(
            dump, tmp_path / "out", resume=number > 0, stop_requested=lambda s=stops: next(s)
        )
        if record is not None:
            break
        assert not (tmp_path / "out").exists()
    assert number > 5
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_what_was_written_behind_the_state_is_cut_off(dump: Path, tmp_path: Path) -> None:
    extract(dump, tmp_path / "whole")
    stops = iter([False] * 6 + [True])
    assert extract(dump, tmp_path / "out", stop_requested=lambda: next(stops)) is None
    work = tmp_path / "out.unfinished"
    last = sorted(work.glob("*.txt"))[-1]
    with last.open("ab") as stream:
        stream.write(b"\ntorn")
    (work / "enwiki-00099.txt").write_bytes(b"later")
    extract(dump, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_other_settings_and_other_dumps_are_not_continued(dump: Path, tmp_path: Path) -> None:
    stops = iter([False, True])
    assert extract(dump, tmp_path / "out", stop_requested=lambda: next(stops)) is None
    with pytest.raises(InputError, match="--resume continues it"):
        extract(dump, tmp_path / "out")
    with pytest.raises(InputError, match="headings is True"):
        extract(dump, tmp_path / "out", resume=True, headings=True)
    other = tmp_path / "other.xml"
    other.write_bytes(dump_xml(articles(3)))
    with pytest.raises(InputError, match="other.xml"):
        extract(other, tmp_path / "out", resume=True)


def test_an_extraction_killed_before_its_publication_is_published(
    dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract(dump, tmp_path / "whole")

    def refuse(*words: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(extraction, "move_into_place", refuse)
        with pytest.raises(WorkError, match="No space left"):
            extract(dump, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="lists is 'drop'"):
        extract(dump, tmp_path / "out", resume=True, lists="drop")
    extract(dump, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_folder_with_content_is_refused(dump: Path, tmp_path: Path) -> None:
    extract(dump, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(InputError, match="exists already"):
        extract(dump, tmp_path / "out")
    assert content(tmp_path / "out") == before


def test_a_truncated_dump_publishes_nothing(dump: Path, tmp_path: Path) -> None:
    dump.write_bytes(dump.read_bytes()[:-100])
    for workers in (1, 2):
        with pytest.raises(InputError, match="truncated"):
            extract(dump, tmp_path / "out", num_workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == [dump.name]


@pytest.mark.parametrize("field", ["position", "counts", "files", "part_bytes"])
def test_a_damaged_state_is_refused(field: str, dump: Path, tmp_path: Path) -> None:
    stops = iter([False, True])
    assert extract(dump, tmp_path / "out", stop_requested=lambda: next(stops)) is None
    state = tmp_path / "out.unfinished/state.json"
    state.write_text(state.read_text().replace(f'"{field}": ', f'"{field}": "x", "y": '))
    with pytest.raises(InputError, match=f"state.json.*{field}"):
        extract(dump, tmp_path / "out", resume=True)


KILLED = """
import sys, time
from pathlib import Path
from data.sources.wikipedia import extraction
extraction._BATCH_PAGES, extraction._SECONDS_BETWEEN_SAVES = 7, 0.0
dump, folder, workers, batches = sys.argv[1:]
left = int(batches)

def waits_for_the_kill():
    global left
    left -= 1
    while left == 0:
        time.sleep(1)
    return False

config = extraction.ExtractionConfig(output_dir=folder, num_workers=int(workers), resume=True)
extraction.extract_wikipedia(
    Path(dump), config, file_bytes=4000, stop_requested=waits_for_the_kill
)
"""


@pytest.mark.integration
def test_twenty_kills_change_no_byte(tmp_path: Path) -> None:
    """Each process is killed a moment after its first record, or where it waits in its batch 5."""
    dump = tmp_path / "dump.xml.bz2"
    dump.write_bytes(multistream(articles(1200)))
    extract(dump, tmp_path / "whole")
    draw = random.Random(0)
    state = tmp_path / "out.unfinished/state.json"
    kills = 0
    while not (tmp_path / "out").exists():
        workers, batches = str(1 + kills % 2), "5" if kills < 20 else "-1"
        before = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(dump), str(tmp_path / "out"), workers, batches],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        while kills < 20 and process.poll() is None:
            if state.exists() and state.stat().st_mtime_ns != before:
                time.sleep(draw.random() * 0.02)
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.send_signal(signal.SIGKILL)
                process.kill()
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    assert kills == 20
    assert content(tmp_path / "out") == content(tmp_path / "whole")


MEASURED = """
import re, sys
from pathlib import Path
from data.sources.wikipedia.extraction import ExtractionConfig, extract_wikipedia
extract_wikipedia(Path(sys.argv[1]), ExtractionConfig(output_dir=sys.argv[2], num_workers=1))
status = Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1))
"""
"""Prints the largest resident memory in KiB. `ru_maxrss` would also count that of the process that
started this one."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", ["prose", "emoji", "braces"])
def test_a_page_of_20_megabytes_takes_less_than_300(kind: str, tmp_path: Path) -> None:
    part = {
        "prose": "A sentence with [[a|link]] and {{convert|3|m}} of text.<ref>b</ref> ",
        "emoji": "A sentence with ''quotes'' and \U0001f600 in it.\n\n",
        "braces": "{{a [[b {| c ]] d }} <ref e ",
    }[kind]
    size = 20_000_000 // len(part.encode("utf-8"))
    path = tmp_path / "dump.xml"
    path.write_bytes(dump_xml([Written("Long", part * size)]))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) * 1024 <= 300_000_000
