"""Tests of the stages of a store in a report."""

from __future__ import annotations

from pathlib import Path

from bort.report.html.stages import reported_stages
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store


def _run(work: StageWork) -> None:
    (work.folder / "result").write_text(str(dict(work.settings)))


def test_the_results_of_an_experiment_are_listed(tmp_path: Path) -> None:
    first = Stage("first", _run, settings={"steps": 3})
    twins = [Stage(name, _run, kind="student", inputs={"of": first}) for name in ("one", "two")]
    results = run_stages("experiment", [first, *twins], Store(tmp_path / "store"))
    assert results is not None
    listed = reported_stages(results)
    assert [stage.name for stage in listed] == ["first", "one, two"]
    assert [stage.key for stage in listed] == [results["first"].key, results["one"].key]
    assert listed[0].settings == {"steps": 3, "version of the stage": 1}
    assert listed[0].seconds == results["first"].seconds
    assert listed[1].inputs == [listed[0].key]
