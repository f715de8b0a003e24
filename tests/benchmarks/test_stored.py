"""Results of benchmarks: made once, again only if a setting changed, by one process each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, List, Mapping

import pytest

from benchmarks.stored import BENCHMARK, VALUE_FILE, Basis, Stored
from bort.errors import InputError, WorkError
from bort.stages.collection import collect
from bort.stages.plan import read_experiment
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from tests.patience import HANG_SECONDS
from tests.stages.graphs import Runs


def benchmark(
    runs: Runs, scale: int = 1, rates: Mapping[str, float] = MappingProxyType({})
) -> List[Stage]:
    """Return a teacher and two students of it; equal stages are other objects each time."""

    def teacher(work: StageWork) -> Dict[str, Any]:
        runs("teacher")
        (work.folder / "weights").write_text(str(scale))
        return {"scale": scale}

    def student(name: str) -> Stage:
        def make(work: StageWork) -> Dict[str, Any]:
            runs(name)
            weights = int((work.inputs["teacher"] / "weights").read_text())
            return {"score": weights * rates.get(name, 1.0)}

        basis = Basis({"rate": rates.get(name, 1.0)}, {"teacher": teacher_stage()})
        return basis.stage(name, make, {"name": name})

    def teacher_stage() -> Stage:
        return Basis({"scale": scale}).stage("teacher", teacher)

    return [student("one"), student("two")]


def test_what_is_finished_is_not_repeated(tmp_path: Path) -> None:
    runs = Runs()
    assert Stored(tmp_path).run(benchmark(runs))
    assert runs.taken() == ["teacher", "one", "two"]
    stored = Stored(tmp_path)
    assert stored.run(benchmark(runs))
    assert [stored.value(stage) for stage in benchmark(runs)] == [{"score": 1.0}] * 2
    assert stored.finished(benchmark(runs)) == [{"score": 1.0}] * 2
    assert runs.taken() == []


def test_a_changed_setting_repeats_only_what_depends_on_it(tmp_path: Path) -> None:
    runs = Runs()
    Stored(tmp_path).run(benchmark(runs))
    runs.taken()
    Stored(tmp_path).run(benchmark(runs, rates={"two": 0.5}))
    assert runs.taken() == ["two"]
    Stored(tmp_path).run(benchmark(runs, scale=3))
    assert runs.taken() == ["teacher", "one", "two"]
    found = Stored(tmp_path).finished(benchmark(runs))
    assert found == [{"score": 1.0}] * 2, "results of other settings are not mixed"
    assert runs.taken() == []


def test_the_experiment_keeps_what_other_benchmarks_made_in_the_folder(tmp_path: Path) -> None:
    runs = Runs()
    one, two = benchmark(runs)
    Stored(tmp_path).run([two])
    Stored(tmp_path).value(one)
    names = [stage.name for stage in read_experiment(Store(tmp_path), BENCHMARK).stages]
    assert names == ["teacher", "two", "one"]
    assert collect(Store(tmp_path), is_dry=True) == []


def test_a_result_that_is_asked_for_while_a_stage_runs_is_made_once(tmp_path: Path) -> None:
    runs, stored = Runs(), Stored(tmp_path)

    def latency(work: StageWork) -> Dict[str, Any]:
        runs("latency")
        return {"seconds": 2.0}

    def outer(name: str) -> Stage:
        def make(work: StageWork) -> Dict[str, Any]:
            runs(name)
            return dict(stored.value(Basis().stage("latency", latency)))

        return Basis().stage(name, make)

    assert stored.run([outer("a"), outer("b")])
    assert runs.taken() == ["a", "latency", "b"]
    assert Stored(tmp_path).value(outer("b")) == {"seconds": 2.0}


@pytest.mark.parametrize("continues", [False, True])
def test_a_failed_result_begins_anew_unless_it_continues(tmp_path: Path, continues: bool) -> None:
    left: List[List[str]] = []

    def make(work: StageWork) -> Dict[str, Any]:
        left.append(sorted(path.name for path in work.folder.iterdir()))
        (work.folder / "part").mkdir(exist_ok=True)
        (work.folder / "part" / "half").touch()
        if len(left) == 1:
            raise WorkError("no")
        return {"seen": left[-1]}

    stage = Basis().stage("model", make, continues=continues)
    with pytest.raises(WorkError):
        Stored(tmp_path).run([stage])
    assert Stored(tmp_path).finished([stage]) == [None]
    assert Stored(tmp_path).value(stage) == {"seen": ["part"] if continues else []}


def test_a_stop_ends_between_results_and_the_next_call_goes_on(tmp_path: Path) -> None:
    runs = Runs()
    stopped = Stored(tmp_path, stop_requested=lambda: "one" in runs.names)
    assert not stopped.run(benchmark(runs))
    assert runs.taken() == ["teacher", "one"]
    assert Stored(tmp_path).run(benchmark(runs))
    assert runs.taken() == ["two"]


def test_a_report_alone_makes_nothing(tmp_path: Path) -> None:
    runs, dry = Runs(), Stored(tmp_path / "store", is_dry=True)
    one, _ = benchmark(runs)
    with pytest.raises(InputError, match="stage teacher has no result yet"):
        dry.value(one)
    assert not dry.run([one])
    assert not (tmp_path / "store").exists()
    Stored(tmp_path / "store").run([one])
    assert dry.run([one])
    assert dry.value(one) == {"score": 1.0}
    assert runs.taken() == ["teacher", "one"]


def test_a_folder_of_the_former_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds settings\.json and is no store of stages"):
        Stored(tmp_path)


def test_a_value_that_was_changed_is_never_used(tmp_path: Path) -> None:
    one, _ = benchmark(Runs())
    path = Stored(tmp_path).result(one).folder / VALUE_FILE
    path.chmod(0o644)
    path.write_text('{"score": 9}')
    with pytest.raises(InputError, match=r"value\.json: is damaged"):
        Stored(tmp_path).value(one)


def test_threads_make_results_side_by_side(tmp_path: Path) -> None:
    stored, both = Stored(tmp_path), threading.Barrier(2, timeout=HANG_SECONDS)

    def stage(number: int) -> Stage:
        return Basis().stage(f"run-{number}", lambda work: {"number": both.wait() * 0 + number})

    values: Dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda n=n: values.update({n: stored.value(stage(n))}))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=HANG_SECONDS)
    assert values == {0: {"number": 0}, 1: {"number": 1}}


SHARED = """
import sys, time
from pathlib import Path
from benchmarks.stored import Basis, Stored

folder, dies = Path(sys.argv[1]), sys.argv[2] == "dies"

def stage(name):
    def make(work):
        with (folder / "made").open("a") as stream:
            print(name, file=stream, flush=True)
        if dies:
            time.sleep(600)
        time.sleep(0.3)
        return {"name": name}
    return Basis().stage(name, make)

stored = Stored(folder / "store")
stages = [stage(f"unit-{number}") for number in range(4)]
stored.run(stages)
print([one["name"] for one in stored.finished(stages)])
"""


def start(folder: Path, root: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SHARED, str(folder), how],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_several_processes_share_a_folder_and_a_killed_one_is_replaced(
    tmp_path: Path, project_root: Path
) -> None:
    killed = start(tmp_path, project_root, "dies")
    while not (tmp_path / "made").exists():
        time.sleep(0.05)
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    processes = [start(tmp_path, project_root, "lives") for _ in range(2)]
    said = [process.communicate(timeout=HANG_SECONDS)[0] for process in processes]
    names = [f"unit-{number}" for number in range(4)]
    assert said == [f"{names}\n"] * 2
    assert sorted((tmp_path / "made").read_text().split()) == ["unit-0", *names]
