"""A kill at any moment leaves whole results alone, and the next run ends as if nothing happened."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from tests.storage.kills import outcomes

STEPS = 3


def count_on(work: StageWork) -> None:
    """Append lines to a file, the number of each, and never one twice."""
    text = "".join((folder / "lines").read_text() for folder in work.inputs.values())
    path = work.folder / "lines"
    done = path.read_text().splitlines() if path.exists() else []
    with path.open("a") as stream:
        for step in range(len(done), STEPS):
            stream.write(f"{step} of {len(text)}\n")
            stream.flush()
    (work.folder / "inside").mkdir(exist_ok=True)
    (work.folder / "inside" / "end").write_text(text)


def two_stages() -> List[Stage]:
    first = Stage("first", count_on)
    return [first, Stage("second", count_on, inputs={"before": first})]


def digests(store: Store) -> Dict[str, str]:
    results = run_stages("base", two_stages(), store)
    assert results is not None
    return {name: result.digest for name, result in results.items()}


def work_that_failed(folder: Path) -> None:
    """Begin with a first stage that failed behind its first line."""

    def fail(work: StageWork) -> None:
        (work.folder / "lines").write_text("0 of 0\n")
        raise ZeroDivisionError

    try:
        run_stages("base", [Stage("first", fail)], Store(folder))
    except ZeroDivisionError:
        return
    raise AssertionError


def run_all(folder: Path) -> None:
    digests(Store(folder))


def look(folder: Path) -> Tuple[List[str], int, int, Tuple[Tuple[str, str], ...]]:
    """Return how many results a kill left, how many attempts followed, and the final digests."""
    store = Store(folder)
    left = store.verify()
    count = len(store.keys())
    results = run_stages("base", two_stages(), store)
    assert results is not None
    final = {name: result.digest for name, result in results.items()}
    attempts = sum(result.record["attempts"] for result in results.values())
    assert list(store.work.iterdir()) == [], "work that is finished is removed"
    assert store.verify() == []
    return left, count, attempts, tuple(sorted(final.items()))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if there is one: these tests make and remove thousands of files."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_kill_before_any_operation_of_a_run(memory: Path) -> None:
    whole = tuple(sorted(digests(Store(memory / "whole")).items()))
    (memory / "kills").mkdir()
    seen = outcomes(memory / "kills", work_that_failed, run_all, look)
    assert len(seen) > 50
    for problems, _, attempts, final in seen:
        assert problems == []
        assert final == whole
        assert 3 <= attempts <= 4
    counts = [count for _, count, _, _ in seen]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def test_kills_at_random_moments(memory: Path) -> None:
    """Kill runs, each of which continues the one before, until `BORT_FAULT_TRIALS` are killed."""
    trials = int(os.environ.get("BORT_FAULT_TRIALS", "20"))
    generator = random.Random(os.environ["BORT_TEST_SEED"])
    whole = digests(Store(memory / "whole"))
    killed = number = 0
    while killed < trials:
        number += 1
        store = Store(memory / f"store{number}")
        for _ in range(4):
            killed += ends_killed(store, generator.uniform(0, 0.05))
            assert store.verify() == []
        assert digests(store) == whole
        assert list(store.work.iterdir()) == []
        assert number < 100 * trials


def ends_killed(store: Store, seconds: float) -> bool:
    """Run the stages in a child, and kill it after some seconds unless it has ended."""
    child = os.fork()
    if child == 0:
        try:
            run_stages("base", two_stages(), store)
        finally:
            os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)
