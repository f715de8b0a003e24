"""The command that prints the paper's table of parameters."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bort.architecture import PRESETS, TABLE_2_MILLIONS
from tests.patience import HANG_SECONDS


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/architecture_table.py", *arguments],
        cwd=root,
        env={"PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
    )


def test_json_has_every_row_and_reproduces_the_printed_figures(project_root: Path) -> None:
    result = run(project_root, "--json")
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert [row["title"] for row in rows] == [title for title, _, _ in TABLE_2_MILLIONS]
    for row in rows:
        assert row["our_network"] == PRESETS[row["preset"]].parameter_count()
        if row["preset"].startswith("bort_printed"):
            assert round(row["papers_way_plus_1024_hidden"] / 1e6, 2) == row["printed_millions"]
        else:
            assert abs(row["papers_way"] / 1e6 / row["printed_millions"] - 1) < 0.016


def test_the_table_shows_printed_beside_computed(project_root: Path) -> None:
    result = run(project_root)
    assert result.returncode == 0, result.stderr
    line = next(line for line in result.stdout.splitlines() if line.startswith("Bort as printed"))
    assert line.split()[-4:] == ["56.14", "55.35", "56.14", "54,758,656"]


def test_an_unknown_flag_is_bad_usage(project_root: Path) -> None:
    result = run(project_root, "--jsn")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
