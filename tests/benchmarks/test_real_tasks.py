"""The cells and the table of the benchmark of real tasks, with commands that only pretend."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from benchmarks.real_tasks import goals, row_of, summarised, table
from benchmarks.real_tasks_cells import Cells, RealTasksConfig
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from bort.storage.files import write_json
from experiments.grid import running
from experiments.small_model.plan import STAGES
from experiments.small_model.results import read_results
from tests.experiments.small_model.samples import SECONDS, TASK, scores, settings, stage_results

COMMAND = """
import json, pathlib, shutil, sys
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
calls = pathlib.Path(sys.argv[0]).parent / "calls.txt"
with calls.open("a") as stream:
    print(json.dumps(flags), file=stream)
if flags.get("task_name") == "RTE":
    sys.exit("no such file")
if "socrates" in flags:
    assert pathlib.Path(flags["socrates"]).is_dir()
    print(json.dumps({"report": {"mean": 0.7}, "dev": {"mean": 0.75}}))
else:
    out = pathlib.Path(flags["output_dir"])
    there = [*out.glob("stages/done/*")]
    (out.parent / "before.txt").write_text(" ".join(path.name for path in there))
    shutil.copytree(pathlib.Path(sys.argv[0]).parent / "out", out, dirs_exist_ok=True)
    print(json.dumps({"stopped": False, "final": {"score": 0.9}}))
"""


def small(folder: Path, right: Any = None, names: Any = STAGES) -> Dict[str, Any]:
    """Return the content of `run.json` of a made-up run."""
    stages = stage_results(folder / "made", scores(*([] if right is None else [right])), names)
    found = read_results(settings("out"), TASK, stages, SECONDS)
    return dict(json.loads(json.dumps(found.as_dict())))


def cell(task: str, speed_up: float, seed: int = 0, **values: Any) -> Dict[str, Any]:
    """Return the numbers of a cell."""
    usual = {
        **{"failed": False, "measured_speed_up": speed_up + 0.1, "latency_ms": 3.0},
        "speed_up_fp32": speed_up,
        **{"share_report": 0.98, "share_dev": 0.985, "teacher_report": 0.9, "teacher_dev": 0.91},
        **{"served_report": 0.882, "served_dev": 0.9, "minus_truncated": 0.01, "seconds": 7200.0},
        **{"minus_truncated_interval": [-0.01, 0.03], "agora_report": 0.8, "agora_dev": 0.85},
    }
    return {"task": task, "speed_up": speed_up, "seed": seed, **usual, **values}


def test_a_cell_has_the_numbers_of_its_run(tmp_path: Path) -> None:
    row = row_of(small(tmp_path), {"report": {"mean": 0.7}, "dev": {"mean": 0.75}})
    assert row["share_report"] == pytest.approx(90 / 92)
    assert row["share_dev"] == pytest.approx(0.904 / 0.915)
    assert row["minus_truncated"] == pytest.approx(0.1)
    low, high = row["minus_truncated_interval"]
    assert 0 < low < 0.1 < high
    assert (row["served"], row["precision"]) == ("student 4-6-384-768-192", "int8")
    assert row["speed_up_fp32"] == pytest.approx(12.1 / 4.1)
    assert row["agora_report"] == 0.7
    assert row["seconds"] == sum(SECONDS.values())


def test_a_teacher_that_learnt_nothing_has_no_share(tmp_path: Path) -> None:
    run = small(tmp_path)
    run["teacher"]["dev"] = {"accuracy": 0.0}
    run["final"]["share_of_teacher"] = None
    row = row_of(run, None)
    assert row["share_dev"] is None
    (shown,) = summarised([{"task": "CoLA", "speed_up": 3.0, "seed": 0, **row}])
    assert shown["keeps_score"] is None
    assert table([shown]).count("| - |") >= 2


def test_a_run_that_has_not_ended_counts_as_failed(tmp_path: Path) -> None:
    assert row_of(small(tmp_path, names=STAGES[:5]), None) == {"failed": True}
    assert row_of(None, None) == {"failed": True}


def test_rows_are_means_over_the_seeds() -> None:
    cells = [cell("CoLA", 4, 0, minus_truncated=0.01), cell("CoLA", 4, 1, minus_truncated=0.03)]
    (row,) = summarised([*cells, {"task": "CoLA", "speed_up": 4, "seed": 2, "failed": True}])
    assert (row["seeds"], row["cells"]) == (2, 3)
    assert row["minus_truncated"] == pytest.approx(0.02)
    half = 12.706 * 0.01  # Student's quantile with one degree of freedom
    assert row["interval"] == pytest.approx([0.02 - half, 0.02 + half], abs=1e-3)
    (single,) = summarised(cells[:1])
    assert single["interval"] == [-0.01, 0.03]


def test_the_goals_are_those_that_were_fixed() -> None:
    good = [cell(task, 3) for task in ("SST-2", "CoLA", "STS-B")]
    behind = cell("RTE", 3, minus_truncated=-0.01)
    assert goals(summarised([*good, behind]))[0].endswith("(SST-2, CoLA, STS-B): met")
    weak = cell("RTE", 3, share_report=0.96)
    assert ": missed" in goals(summarised([*good, weak]))[0]
    assert "97% of the teacher's score on 3 of 4 tasks" in goals(summarised([*good, weak]))[0]
    worse = cell("STS-B", 3, minus_truncated=-0.01)
    assert ": missed" in goals(summarised([*good[:2], worse, behind]))[0]
    failed = {"task": "RTE", "speed_up": 3, "seed": 0, "failed": True}
    assert goals(summarised([failed]))[0].endswith(
        "ahead of the truncated teacher on 0 (none): missed; no result for RTE"
    )


def test_the_table_has_a_line_for_each_task_and_speed_up() -> None:
    failed = {"task": "RTE", "speed_up": 3.0, "seed": 0, "failed": True}
    lines = table(summarised([cell("CoLA", 3.0), failed])).splitlines()
    assert lines[2] == (
        "| CoLA | 3 × | 3.10 × | 3.00 × | 1 | 90.0 | 88.2 | 98.0 % | 98.5 % "
        "| +1.0 [-1.0, +3.0] | 80.0 | 3.00 ms | 2.00 | met |"
    )
    assert lines[3].startswith("| RTE | 3 × | failed |")
    assert len({line.count("|") for line in lines}) == 1


def test_the_largest_speed_up_has_all_seeds() -> None:
    config = RealTasksConfig(teacher="t", data_dir="d", tasks=("A", "B"), speed_ups=(2.0, 4.0))
    assert config.cells() == [
        *(("A", 2.0, 0), ("A", 4.0, 0), ("B", 2.0, 0), ("B", 4.0, 0)),
        *(("A", 4.0, 1), ("B", 4.0, 1), ("A", 4.0, 2), ("B", 4.0, 2)),
    ]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the grid call a command that pretends; returns the file with its flags."""
    command = tmp_path / "command.py"
    command.write_text(COMMAND)
    write_json(tmp_path / "out" / "run.json", small(tmp_path))

    def teacher(work: StageWork) -> None:
        (work.folder / "model").mkdir()
        (work.folder / "model" / "file").write_text("weights")

    run_stages("small_model", [Stage("teacher", teacher)], Store(tmp_path / "out" / "stages"))
    original = running.command_line

    def pretended(*given: Any) -> List[str]:
        return [sys.executable, str(command), *original(*given)[2:]]

    monkeypatch.setattr(running, "command_line", pretended)
    return tmp_path / "calls.txt"


def cells_in(folder: Path, is_dry: bool = False, data_dir: str = "GLUE") -> Cells:
    config = RealTasksConfig(teacher="encoder", data_dir=data_dir, hours="90s")
    return Cells(config, folder / "cells", is_dry, lambda: False)


def test_a_cell_runs_once_and_its_agora_has_its_teacher(tmp_path: Path, calls: Path) -> None:
    found = cells_in(tmp_path).small("CoLA", 3.0, 1)
    assert found is not None
    assert found["final"]["share_of_teacher"] == pytest.approx(90 / 92)
    agora = cells_in(tmp_path).agora("CoLA", 3.0, 1, found)
    assert agora is not None
    assert agora["report"] == {"mean": 0.7}
    again = cells_in(tmp_path).small("CoLA", 3.0, 1)
    assert again == found
    flags = [json.loads(line) for line in calls.read_text().splitlines()]
    assert len(flags) == 2, "the finished cell was not repeated"
    assert [flags[0][name] for name in ("teacher", "task_name", "speed_up", "seed", "hours")] == [
        *("encoder", "CoLA", "3.0", "1", "90s")
    ]
    assert flags[1]["architecture"] == "2-12-384-1536-384"
    assert flags[1]["report_share"] == "0.1"
    assert flags[1]["inputs"] == str(900 * 16 // 3), "as many as the truncated teacher had"


def test_a_report_file_in_the_folder_of_a_task_gives_the_final_scores(
    tmp_path: Path, calls: Path
) -> None:
    (tmp_path / "data" / "CoLA").mkdir(parents=True)
    report = tmp_path / "data" / "CoLA" / "report.tsv"
    report.write_text("")
    found = cells_in(tmp_path, data_dir=str(tmp_path / "data")).small("CoLA", 3.0, 0)
    assert found is not None
    cells_in(tmp_path, data_dir=str(tmp_path / "data")).agora("CoLA", 3.0, 0, found)
    flags = [json.loads(line) for line in calls.read_text().splitlines()]
    assert [one["report_file"] for one in flags] == [str(report)] * 2
    cells_in(tmp_path, data_dir=str(tmp_path / "data")).small("SST-2", 3.0, 0)
    assert "report_file" not in json.loads(calls.read_text().splitlines()[-1])


def test_cells_of_a_task_and_seed_share_the_teacher(tmp_path: Path, calls: Path) -> None:
    cells_in(tmp_path).small("CoLA", 3.0, 0)
    begun = tmp_path / "cells" / "CoLA-3x-seed0"
    for other in ("CoLA", 4.0, 0), ("CoLA", 4.0, 1), ("SST-2", 4.0, 0):
        cells_in(tmp_path).small(*other)
    found = {
        name: list((tmp_path / "cells" / name).glob("cells/*/before.txt"))
        for name in ("CoLA-4x-seed0", "CoLA-4x-seed1", "SST-2-4x-seed0")
    }
    shared = {name: [path.read_text() for path in paths] for name, paths in found.items()}
    teacher = next(begun.glob("cells/*/run/stages/done/*"))
    assert shared["CoLA-4x-seed0"] == [teacher.name]
    assert shared["CoLA-4x-seed1"] == shared["SST-2-4x-seed0"] == [""]


def test_a_failed_cell_is_none_and_is_tried_again(tmp_path: Path, calls: Path) -> None:
    assert cells_in(tmp_path).small("RTE", 3.0, 0) is None
    cells = cells_in(tmp_path)
    assert cells.small("RTE", 3.0, 0) is None
    assert cells.failures == {"RTE-3x-seed0": "no such file"}
    flags = [json.loads(line) for line in calls.read_text().splitlines()]
    assert len(flags) == 2
    assert "resume" not in flags[1], "the same command continues"


def test_a_report_alone_runs_nothing(tmp_path: Path, calls: Path) -> None:
    assert cells_in(tmp_path, is_dry=True).small("CoLA", 3.0, 0) is None
    assert not calls.exists()
