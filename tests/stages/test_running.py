"""Stages run once, in order, and again only if something changed that their results depend on."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from bort.errors import InputError, WorkError
from bort.stages.plan import read_experiment
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Result, Store
from bort.storage.locks import hold_file
from tests.patience import HANG_SECONDS
from tests.stages.graphs import DESCENDANTS, LINE, Runs, six_stages


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("a first text")
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def finished(name: str, stages: List[Stage], store: Store, **options: Any) -> Dict[str, Result]:
    results = run_stages(name, stages, store, **options)
    assert results is not None
    return results


def bytes_of(result: Result) -> Dict[str, bytes]:
    files = (path for path in sorted(result.folder.rglob("*")) if path.is_file())
    return {path.name: path.read_bytes() for path in files}


# ---------------------------------------------------------------- what runs


def test_every_stage_runs_once_and_is_kept(store: Store, corpus: Path) -> None:
    runs, events = Runs(), []
    first = finished("base", six_stages(runs, corpus), store)
    assert runs.taken() == DESCENDANTS["text"]
    again = finished(
        "base", six_stages(runs, corpus), store, on_stage=lambda *event: events.append(event)
    )
    assert runs.taken() == []
    assert again == first
    assert events == [(name, "done before") for name in DESCENDANTS["text"]]
    assert list(store.work.iterdir()) == []
    assert store.verify() == []


@pytest.mark.parametrize("name", DESCENDANTS)
def test_a_changed_setting_or_version_repeats_the_stage_and_its_descendants(
    store: Store, corpus: Path, name: str
) -> None:
    runs = Runs()
    finished("base", six_stages(runs, corpus), store)
    runs.taken()
    finished("base", six_stages(runs, corpus, {name: {"options": {"rate": 0.25}}}), store)
    assert runs.taken() == DESCENDANTS[name]
    finished("base", six_stages(runs, corpus, versions={name: 2}), store)
    assert runs.taken() == DESCENDANTS[name]
    finished("base", six_stages(runs, corpus), store)
    assert runs.taken() == []


def test_paths_names_and_what_the_function_knows_do_not_count(
    tmp_path: Path, store: Store, corpus: Path
) -> None:
    runs = Runs()
    finished("base", six_stages(runs, corpus), store)
    runs.taken()
    moved = corpus.rename(tmp_path / "moved.txt")
    shutil.copytree(store.folder, tmp_path / "elsewhere")
    log_level = runs.names.append  # another function, with other settings that change nothing
    finished(
        "other", six_stages(lambda name: log_level(name), moved), Store(tmp_path / "elsewhere")
    )
    assert runs.taken() == []
    moved.write_text("another text")
    finished("base", six_stages(runs, moved), store)
    assert runs.taken() == ["text"], "a text of equal bytes cuts off what follows"


def test_a_result_of_equal_bytes_cuts_off_what_follows(store: Store, corpus: Path) -> None:
    runs = Runs()

    def stages(seed: int) -> List[Stage]:
        def run(work: StageWork) -> None:
            runs("text")
            parity = work.settings["seed"] % 2
            (work.folder / "out").mkdir()
            (work.folder / LINE).write_text(f"{parity}")

        first, *others = six_stages(runs, corpus)
        text = Stage("text", run, settings={"seed": seed})
        made = {first.name: text}
        for one in others:
            inputs = {label: made[before.name] for label, before in one.inputs.items()}
            made[one.name] = Stage(one.name, one.run, settings=one.settings, inputs=inputs)
        return list(made.values())

    for seed, expected in ((1, DESCENDANTS["text"]), (3, ["text"]), (2, DESCENDANTS["text"])):
        finished("base", stages(seed), store)
        assert runs.taken() == expected


def test_stages_of_one_kind_share_a_result(store: Store) -> None:
    runs = Runs()

    def stage(name: str, size: int) -> Stage:
        def run(work: StageWork) -> None:
            runs(name)
            (work.folder / "size").write_text(str(work.settings["size"]))

        return Stage(name, run, settings={"size": size}, kind="student")

    results = finished("base", [stage("a", 1), stage("b", 2), stage("c", 1)], store)
    assert runs.taken() == ["a", "b"]
    assert results["a"].key == results["c"].key != results["b"].key


def test_a_variant_leaves_the_original_as_it_is(store: Store, corpus: Path) -> None:
    runs = Runs()
    before = finished("base", six_stages(runs, corpus), store)
    kept = {name: bytes_of(result) for name, result in before.items()}
    wide = finished("wide", six_stages(runs, corpus, {"student-0": {"size": 2}}), store)
    after = finished("base", six_stages(runs, corpus), store)
    assert {name: bytes_of(result) for name, result in after.items()} == kept
    assert [one.key for one in after.values()] == [one.key for one in before.values()]
    assert [name for name in wide if wide[name].key != before[name].key] == ["student-0", "report"]


def test_only_some_stages_run_with_what_they_need(store: Store, corpus: Path) -> None:
    runs = Runs()
    results = finished("base", six_stages(runs, corpus), store, only=["student-1"])
    assert runs.taken() == list(results) == ["text", "teacher", "student-1"]
    with pytest.raises(InputError, match="stage is 'x', experiment base has text, teacher"):
        run_stages("base", six_stages(runs, corpus), store, only=["x"])


# ---------------------------------------------------------------- stopped, failed, changed


def counting(name: str, until: int, on_step: Callable[[StageWork, int], None]) -> Stage:
    """A stage of some steps, each a file, which continues behind the last one."""

    def run(work: StageWork) -> None:
        for step in range(until):
            if work.stop_requested():
                return
            if not (work.folder / str(step)).exists():
                on_step(work, step)
                (work.folder / str(step)).touch()

    return Stage(name, run)


def test_a_stopped_stage_continues_where_it_was(store: Store) -> None:
    steps: List[int] = []
    stop = counting("count", 5, lambda work, step: steps.append(step))
    after = Stage("after", lambda work: steps.append(-1), inputs={"count": stop})
    assert run_stages("base", [stop, after], store, stop_requested=lambda: len(steps) == 3) is None
    assert steps == [0, 1, 2]
    assert not store.keys()
    finished("base", [stop, after], store)
    assert steps == [0, 1, 2, 3, 4, -1]


def test_a_stage_that_does_not_look_is_finished_when_it_returns(store: Store) -> None:
    ran: List[str] = []
    stages = [Stage(name, lambda work: ran.append("x")) for name in ("one", "two")]
    assert run_stages("base", stages, store, stop_requested=lambda: bool(ran)) is None
    assert len(store.keys()) == 1
    finished("base", stages, store)
    assert len(ran) == 2


@pytest.mark.parametrize("error", [WorkError("no"), ZeroDivisionError(), KeyboardInterrupt()])
def test_a_stage_that_failed_continues_where_it_was(store: Store, error: BaseException) -> None:
    steps: List[int] = []

    def step_or_fail(work: StageWork, step: int) -> None:
        steps.append(step)
        if steps == [0, 1]:
            raise error

    stage = counting("count", 3, step_or_fail)
    with pytest.raises(type(error)):
        run_stages("base", [stage], store)
    assert not store.keys()
    result = finished("base", [stage], store)["count"]
    assert steps == [0, 1, 1, 2]
    assert result.record["attempts"] == 2


def test_a_source_that_changes_while_its_stage_runs_is_refused(store: Store, corpus: Path) -> None:
    stage = Stage("text", lambda work: corpus.write_text("other") and None, sources={"it": corpus})
    with pytest.raises(WorkError, match=r"corpus\.txt: was changed while stage text ran"):
        run_stages("base", [stage], store)
    assert not store.keys()
    finished("base", [stage], store)


def test_seconds_count_all_attempts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    failing = [True]

    def run(work: StageWork) -> None:
        clock[0] += 8 if failing[0] else 4
        if failing.pop():
            failing.append(False)
            raise WorkError("no")

    stage = Stage("slow", run)
    with pytest.raises(WorkError):
        run_stages("base", [stage], store)
    assert finished("base", [stage], store)["slow"].seconds == 12
    assert finished("base", [stage], store)["slow"].seconds == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "notes.bin").write_bytes(b"\0" * 256), "notes.bin: is damaged"),
        (lambda folder: (folder / "notes.bin").unlink(), "notes.bin: is missing"),
        (lambda folder: (folder / LINE).rename(folder / "out/other"), "line.txt: is missing"),
        (lambda folder: (folder / "more").touch(), "more: was added"),
        (lambda folder: (folder / "stage.json").unlink(), "stage.json: cannot be read"),
    ],
)
def test_a_result_that_was_changed_is_never_used(
    store: Store, corpus: Path, change: Callable[[Path], None], message: str
) -> None:
    runs = Runs()
    results = finished("base", six_stages(runs, corpus), store)
    folder = results["answers"].folder
    for path in folder.rglob("*"):
        path.chmod(0o755)
    change(folder)
    with pytest.raises(InputError, match=re.escape(message)):
        run_stages("base", six_stages(runs, corpus, {"student-0": {"size": 2}}), store)
    shutil.rmtree(folder)
    runs.taken()
    finished("base", six_stages(runs, corpus), store)
    assert runs.taken() == ["answers"], "its bytes are those of the result that was deleted"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (lambda a, b: [a, a], "stage a: two stages have this name"),
        (lambda a, b: [b, a], "stage b: its input it is stage a, which must come before it"),
        (lambda a, b: [Stage("a", a.run), b], "stage b: its input it is stage a"),
        (lambda a, b: [Stage("c", a.run, sources={"x": Path("/none")})], "/none: cannot be read"),
    ],
)
def test_what_is_no_plan_is_refused_before_anything_is_written(
    store: Store, stages: Callable[..., List[Stage]], message: str
) -> None:
    a = Stage("a", lambda work: None)
    b = Stage("b", lambda work: None, inputs={"it": a})
    with pytest.raises(InputError, match=message):
        run_stages("base", stages(a, b), store)
    assert not store.folder.exists()


def test_a_bad_name_of_an_experiment_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="experiment: '../x' is not allowed as a name"):
        run_stages("../x", [Stage("a", lambda work: None)], store)


def test_a_stage_may_not_write_links_or_the_record(store: Store) -> None:
    def link(work: StageWork) -> None:
        (work.folder / "link").symlink_to("/etc/hostname")

    def record(work: StageWork) -> None:
        (work.folder / "stage.json").write_text("{}")

    with pytest.raises(InputError, match="link: is a link, allowed are files and folders"):
        run_stages("base", [Stage("a", link)], store)
    for _ in range(2):
        with pytest.raises(InputError, match="must not give to its files"):
            run_stages("base", [Stage("b", record)], store)
    assert not store.keys()


# ---------------------------------------------------------------- several processes

SHARED = """
import os, sys, time
from pathlib import Path
from bort.stages.running import run_stages
from bort.stages.stage import Stage
from bort.stages.store import Store

folder, dies = Path(sys.argv[1]), sys.argv[2] == "dies"

def run(work):
    with (folder / "counter").open("a") as stream:
        stream.write("x")
    if dies:
        (work.folder / "begun").touch()
        print("runs", flush=True)
        time.sleep(600)
    time.sleep(0.5)
    (work.folder / "value").write_text("1")

results = run_stages("base", [Stage("slow", run)], Store(folder / "store"))
print(sorted(path.name for path in results["slow"].folder.iterdir()), flush=True)
"""


def start(folder: Path, root: Path, how: str = "lives") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHARED, str(folder), how],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_four_processes_run_a_stage_once(tmp_path: Path, project_root: Path) -> None:
    processes = [start(tmp_path, project_root) for _ in range(4)]
    said = [process.communicate(timeout=HANG_SECONDS) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert (tmp_path / "counter").read_text() == "x"
    assert {out for out, _ in said} == {"['stage.json', 'value']\n"}


def test_processes_that_wait_take_over_from_a_dead_one(tmp_path: Path, project_root: Path) -> None:
    first = start(tmp_path, project_root, "dies")
    assert first.stdout is not None
    assert first.stdout.readline() == "runs\n"
    waiting = [start(tmp_path, project_root) for _ in range(3)]
    time.sleep(1)
    assert (tmp_path / "counter").read_text() == "x"
    first.kill()
    first.communicate()
    said = [process.communicate(timeout=HANG_SECONDS) for process in waiting]
    assert [process.returncode for process in waiting] == [0] * 3, said
    assert (tmp_path / "counter").read_text() == "xx"
    assert {out for out, _ in said} == {"['begun', 'stage.json', 'value']\n"}


def test_a_stage_that_another_process_runs_is_left_for_later(store: Store, corpus: Path) -> None:
    runs = Runs()
    finished("base", six_stages(runs, corpus), store)
    wide = six_stages(runs, corpus, {"student-0": {"size": 2}, "student-1": {"size": 2}})
    events: List[Any] = []
    planned = run_stages("wide", wide, store, only=["answers"])
    assert planned is not None
    student = read_experiment(store, "wide").stage("student-0")
    key = student.key({name: result.digest for name, result in planned.items()})
    runs.taken()
    with hold_file(store.lock_of(str(key))) as is_held:
        assert is_held
        stopped = run_stages(
            "wide",
            wide,
            store,
            stop_requested=lambda: "student-1" in runs.names,
            on_stage=lambda *event: events.append(event),
        )
    assert stopped is None
    assert events[3:] == [("student-0", "waits"), ("student-1", "runs"), ("student-1", "done")]
    assert not store.lock_of(str(key)).exists()


# ---------------------------------------------------------------- disks


def test_a_read_only_store_answers_and_refuses_work(tmp_path: Path, corpus: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    if library.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=4m") != 0:
        pytest.skip("this user may not mount a tmpfs")
    try:
        runs, store = Runs(), Store(disk / "store")
        first = finished("base", six_stages(runs, corpus), store)
        runs.taken()
        assert library.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 32 | 1, b"") == 0
        assert finished("base", six_stages(runs, corpus), store) == first
        assert store.verify() == []
        with pytest.raises(WorkError, match="Read-only file system"):
            run_stages("base", six_stages(runs, corpus, {"report": {"size": 2}}), store)
        assert runs.taken() == []
    finally:
        library.umount2(os.fsencode(disk), 2)


@pytest.mark.parametrize("free_kib", [4, 8, 16, 24, 32])
def test_a_full_disk_leaves_whole_results_and_work_that_continues(
    tmp_path: Path, corpus: Path, free_kib: int
) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    if library.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, f"size={free_kib}k".encode()) != 0:
        pytest.skip("this user may not mount a tmpfs")
    try:
        store = Store(disk / "store")
        with pytest.raises((WorkError, OSError), match="No space left"):
            run_stages("base", six_stages(Runs(), corpus), store)
        assert store.verify() == []
        assert library.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 32, b"size=4m") == 0
        full = finished("base", six_stages(Runs(), corpus), store)
        assert store.verify() == []
        whole = finished("base", six_stages(Runs(), corpus), Store(tmp_path / "whole"))
        assert {k: v.digest for k, v in full.items()} == {k: v.digest for k, v in whole.items()}
    finally:
        library.umount2(os.fsencode(disk), 2)
