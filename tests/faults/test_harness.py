"""The campaigns' own machinery: children die when they should, and what is wrong is seen."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import findings, mutations, trees
from tests.faults.children import ROOT
from tests.faults.findings import Trial

WRITER = """
import os, subprocess, sys
with open("one", "w") as stream:
    stream.write("1" * 1000)
os.rename("one", "two")
if "orphan" in sys.argv:
    subprocess.Popen(["sleep", "10000"])
print("done")
"""
DRIVER = """
import json, sys
from pathlib import Path
from tests.faults import children
children.prepare([])
children._GRACE_SECONDS = 0.2
folder, words, moment, options = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
moment = children.Moment(*moment) if moment else None
done = children.run_child(words, folder, folder / "streams", moment=moment, **options)
print(json.dumps([done.status, done.printed.decode(), done.operations, done.orphans, done.killed]))
"""


def drive(folder: Path, *words, moment=None, **options):
    """Run a script in a child of a new process: orphans become children of that process."""
    script = folder / "writer.py"
    script.write_text(WRITER)
    command = [sys.executable, "-c", DRIVER, str(folder), json.dumps([str(script), *words])]
    done = subprocess.run(
        [*command, json.dumps(moment), json.dumps(options)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_child_runs_to_its_end_and_its_operations_are_counted(tmp_path, fresh):
    status, printed, operations, orphans, killed = drive(tmp_path, fresh=fresh)
    assert (status, printed, orphans, killed) == (0, "done\n", [], False)
    assert operations == 2, "it opens a file and renames it"
    assert (tmp_path / "two").read_text() == "1" * 1000


@pytest.mark.parametrize("fresh", [False, True])
def test_a_child_dies_before_an_operation(tmp_path, fresh):
    moment = [signal.SIGKILL, "operation", 2]
    status, _, _, _, killed = drive(tmp_path, moment=moment, fresh=fresh)
    assert (status, killed) == (-signal.SIGKILL, True)
    assert (tmp_path / "one").exists(), "the kill comes before the rename"


def test_a_child_dies_in_the_middle_of_a_write(tmp_path):
    status, *_ = drive(tmp_path, moment=[signal.SIGXFSZ, "bytes", 100])
    assert status == -signal.SIGXFSZ
    assert (tmp_path / "one").stat().st_size == 100


def test_a_process_that_outlives_its_command_is_found_and_ended(tmp_path):
    status, _, _, orphans, _ = drive(tmp_path, "orphan")
    assert status == 0
    assert orphans == ["sleep 10000"]


def test_changes_of_a_tree_are_seen(tmp_path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    before = trees.snapshot(tmp_path)
    (tmp_path / "a").write_text("2")
    (tmp_path / "b").unlink()
    (tmp_path / ".c").mkdir()
    assert trees.changes(before, trees.snapshot(tmp_path)) == ["+ .c", "- b", "~ a"]
    assert trees.hidden(tmp_path) == [".c"]


def test_results_leave_out_times_and_nothing_else(tmp_path):
    def left(loss: float, seconds: float):
        line = {"step": 1, "train/loss": loss, "train/seconds": seconds}
        (tmp_path / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        return trees.results(tmp_path)

    first = left(0.5, 1.0)
    assert trees.difference(first, left(0.5, 2.0)) == ""
    assert "metrics.jsonl differs" in trees.difference(first, left(0.25, 1.0))
    assert trees.difference(first, {}) == "metrics.jsonl is missing"


@pytest.mark.parametrize("kind", mutations.KINDS)
def test_a_mutation_repeats_with_its_generator(tmp_path, kind):
    content = {
        "json": b'{"a": [1, {"b": "text"}], "c": 2.5}',
        "jsonl": b'{"a": 1}\n{"a": 2}\n',
        "text": b"one\ttwo\nthree\tfour\n",
        "binary": bytes(range(256)) * 4,
    }
    for number in range(40):
        seen = []
        for turn in ("first", "second"):
            folder = tmp_path / f"{number} {turn}"
            folder.mkdir()
            path = folder / "file"
            path.write_bytes(content.get(kind, content["binary"]))
            (folder / "other").write_bytes(b"other")
            before = trees.snapshot(folder)
            mutation = mutations.mutate(path, kind, random.Random(number))
            after = trees.snapshot(folder)
            assert (mutation is None) == (before == after), mutation
            seen.append((mutation, after))
        assert seen[0] == seen[1]


def test_findings_are_marked_and_can_be_repeated(tmp_path):
    trials = [Trial("a file", 3, "what", "traceback", True), Trial("a file", 4, "what", "refused")]
    shown = findings.table(trials)
    assert "!traceback" in shown
    command = findings.command_of("mutated", 5, trials[0])
    assert command.endswith("--kind mutated --seed 5 --of 'a file' --only 3")
    findings.write(tmp_path / "out.json", {"seed": 5}, trials)
    written = json.loads((tmp_path / "out.json").read_text())
    assert (written["trials"], written["findings"]) == (2, 1)
