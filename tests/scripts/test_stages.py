"""`scripts/stages.py`: every command on a real store, and every bad input in one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from bort.stages.running import run_stages
from bort.stages.store import Store
from tests.scripts.commands import assert_one_line, run
from tests.stages.graphs import Runs, six_stages

WAYS_IN = ("status", "why", "graph", "verify", "gc")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "corpus.txt").write_text("text")
    store = Store(tmp_path / "store")
    run_stages("base", six_stages(Runs(), tmp_path / "corpus.txt"), store)
    return store


def stages(
    root: Path, command: str, store: Store, *more: object
) -> subprocess.CompletedProcess[str]:
    return run(root, "stages", command, "--store", str(store.folder), *map(str, more))


def test_the_commands_answer(project_root: Path, store: Store, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    run_stages("base", six_stages(Runs(), corpus, {"report": {"size": 2}}), store)
    done = {name: stages(project_root, name, store) for name in WAYS_IN[:-1]}
    assert [one.stderr for one in done.values()] == [""] * 4
    assert len(re.findall(r"^base +[\w-]+ +done", done["status"].stdout, re.MULTILINE)) == 6
    assert re.search(r"^base +report +done +settings.size +1 +2$", done["why"].stdout, re.MULTILINE)
    assert done["graph"].stdout.startswith("graph TD\n")
    assert json.loads(done["verify"].stdout) == {"results": 7, "problems": []}
    listed = json.loads(stages(project_root, "gc", store, "--dry_run").stdout)
    removed = json.loads(stages(project_root, "gc", store).stdout)
    assert removed["removed"] == listed["unreachable"]
    assert len(removed["removed"]) == 1
    assert removed["bytes"] == listed["bytes"] > 0
    assert len(store.keys()) == 6


def test_publish_makes_a_plain_folder(project_root: Path, store: Store, tmp_path: Path) -> None:
    flags = ("--experiment", "base", "--stage", "report", "--target", tmp_path / "new")
    assert stages(project_root, "publish", store, *flags).returncode == 0
    assert (tmp_path / "new/out/line.txt").is_file()
    assert_one_line(stages(project_root, "publish", store, *flags), 2, "new: exists already")
    assert_one_line(stages(project_root, "publish", store, *flags[2:]), 2, "needs --experiment")


def test_verify_ends_with_status_1(project_root: Path, store: Store) -> None:
    path = store.done / store.keys()[0] / "notes.bin"
    path.chmod(0o644)
    path.write_bytes(b"other")
    done = stages(project_root, "verify", store)
    assert done.returncode == 1
    assert [str(path) in one for one in json.loads(done.stdout)["problems"]] == [True]


@pytest.mark.parametrize("command", WAYS_IN)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda store: shutil.rmtree(store.folder), "is no store of stages"),
        (lambda store: (store.experiments / "base.json").write_text("x"), "is not valid JSON"),
        (lambda store: (store.experiments / "a b.json").touch(), "'a b' is not allowed as a name"),
    ],
)
def test_bad_stores_end_in_one_line(
    project_root: Path, store: Store, command: str, change: Callable[[Store], object], message: str
) -> None:
    change(store)
    assert_one_line(stages(project_root, command, store), 2, message)


@pytest.mark.parametrize("command", ["status", "why", "graph", "gc"])
def test_a_damaged_record_ends_in_one_line(project_root: Path, store: Store, command: str) -> None:
    path = store.done / store.keys()[0] / "stage.json"
    path.chmod(0o644)
    path.write_text("{}")
    assert_one_line(stages(project_root, command, store), 2, f"{path}: is not the record")
    assert len(store.keys()) == 6


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("status", "--experiment", "wide"), "experiment is 'wide'"),
        (("why", "--stage", "x"), "--stage is 'x', no experiment has a stage of this name"),
        (("graph", "--format", "png"), "argument --format: invalid choice: 'png'"),
        (("burn",), "argument command: invalid choice: 'burn'"),
    ],
)
def test_bad_flags_end_in_one_line(
    project_root: Path, store: Store, flags: tuple[str, ...], message: str
) -> None:
    assert_one_line(stages(project_root, flags[0], store, *flags[1:]), 2, message)


OFFLINE = """
import sys
from pathlib import Path
from bort.stages.running import run_stages
from bort.stages.store import Store
from tests.stages.graphs import Runs, six_stages
runs, folder = Runs(), Path(sys.argv[1])
run_stages("base", six_stages(runs, folder / "corpus.txt", {"report": {"size": 2}}),
           Store(folder / sys.argv[2]))
print(*runs.names)
"""


def test_a_moved_store_works_without_a_network_and_without_git(
    project_root: Path, store: Store, tmp_path: Path
) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-n", "true"], check=False).returncode:
        pytest.skip("unshare -n is not allowed here")
    store.folder.rename(tmp_path / "moved")
    environment = {"PYTHONPATH": str(project_root), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [unshare, "-n", sys.executable, "-c", OFFLINE, str(tmp_path), "moved"],
        env={**environment, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "report\n", done.stderr
