"""The small model of the demonstration: its settings, its numbers, a limit that is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.report.html.document import plain_text
from bort.report.html.markdown import render_markdown
from bort.report.html.render import render_html
from data.generated_tasks.scarce import ScarceSizes, write_scarce_tasks
from experiments.demo.experiment import summary
from experiments.demo.plan import DemoConfig
from experiments.demo.report import demo_document
from experiments.demo.small_model import demo_small_model_config, make_demo_small_model
from experiments.demo.small_model_numbers import small_model_numbers, small_model_table
from experiments.demo.stages import demo_stages
from experiments.small_model import experiment
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.limit_check import LimitRefused
from tests.experiments.demo.test_demo_report import _results
from tests.experiments.small_model.test_results import read
from tests.report.html.samples import Page


def _with(small_model: Dict[str, Any]) -> Dict[str, Any]:
    found = _results()
    found["agora"]["sizes"]["report"] = 1000
    for one in (found["agora"]["seeds"][n][way] for n in (0, 1) for way in ("plain", "agora")):
        one["trainings"] = 7
    found["seconds"]["small_model"] = 150.0
    return {**found, "small_model": small_model}


def _made(folder: Path) -> Dict[str, Any]:
    return dict(json.loads(json.dumps(read(folder).as_dict())))


def test_the_command_gets_the_teacher_and_the_files_of_agora(tmp_path: Path) -> None:
    sizes = ScarceSizes(train=8, dev=8, report=8, socrates=16, seeds=1)
    write_scarce_tasks(tmp_path / "agora" / "files", "acceptability", sizes)
    config = DemoConfig(small_model_hours="9s", speed_up=2.0)
    asked = demo_small_model_config(config, tmp_path / "agora", tmp_path / "out")
    assert asked.teacher == str(tmp_path / "agora" / "socrates")
    assert asked.report_file is not None
    assert len(Path(asked.report_file).read_text().splitlines()) == 8
    assert (Path(str(asked.data_dir)) / asked.task_name / "train.tsv").is_file()
    assert (asked.seconds, asked.speed_up, asked.agora) == (9.0, 2.0, "never")


def test_the_numbers_are_those_of_the_run(tmp_path: Path) -> None:
    found = small_model_numbers(_made(tmp_path))
    assert found["final"]["speed_up"] == pytest.approx(12.1 / 3.25)
    assert found["speed_up_fp32"] == pytest.approx(12.1 / 4.1)
    assert found["served"] == {
        **{"architecture": "4-6-384-768-192", "engine": "openvino", "precision": "int8"}
    }
    assert list(found["models"]) == ["teacher", "student", "truncated", "exported"]
    assert found["models"]["truncated"] == pytest.approx(
        {"latency_ms": 4.2, "dev": 0.85, "report": 0.8, "keeps_limit": None}
    )
    assert found["models"]["exported"] == pytest.approx(
        {"latency_ms": 3.25, "dev": 0.904, "report": 0.9, "keeps_limit": None}
    )
    text = small_model_table(dict(sorted(found.items())))
    assert "3.72 times as fast as its teacher with 97.8 % of the teacher's score" in text
    assert "(2.95 times in fp32); the limit of 3 times is kept" in text
    assert [line.split()[-1] for line in text.splitlines()[2:]] == "0.920 0.900 0.800 0.900".split()


def test_a_baseline_over_the_limit_is_named_so(tmp_path: Path) -> None:
    found = small_model_numbers(_made(tmp_path))
    found["models"]["truncated"]["keeps_limit"] = False
    assert "truncated teacher, over the limit" in small_model_table(found)


def test_the_report_has_the_table_and_a_link_to_the_whole_one(tmp_path: Path) -> None:
    results = _with(small_model_numbers(_made(tmp_path)))
    document = demo_document(results)
    html = render_html(document)
    assert Page(html).errors == []
    assert '<a href="small_model/report.html">its own report</a>' in html
    markdown = render_markdown(document)
    assert "[its own report](small_model/report.html)" in markdown
    assert {"0.800", "0.850", "4.20 ms"} <= {number.text for number in document.numbers()}
    assert small_model_table(results["small_model"]) in summary(results)


def test_without_the_stage_nothing_is_said_of_it() -> None:
    titles = [section.title for section in demo_document(_results()).sections]
    assert not any("one command" in title for title in titles)


def test_a_limit_that_this_machine_cannot_keep_ends_no_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: SmallModelConfig) -> Dict[str, Any]:
        raise LimitRefused("speed_up is 3, which is too tight")

    monkeypatch.setattr(experiment, "make_small_model", refuse)
    found = make_demo_small_model(DemoConfig(), tmp_path / "agora", tmp_path / "out")
    assert found == {"refused": "speed_up is 3, which is too tight"}
    results = _with(found)
    (part,) = next(s for s in demo_document(results).sections if "one command" in s.title).parts
    assert plain_text(part) == "No small model: speed_up is 3, which is too tight."  # type: ignore[arg-type]
    assert "no small model: speed_up is 3" in summary(results)


def test_a_machine_that_keeps_a_looser_limit_has_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(config: SmallModelConfig) -> Dict[str, Any]:
        asked.append(config.speed_up)
        raise LimitRefused("too tight", 2.2)

    monkeypatch.setattr(experiment, "make_small_model", refuse)
    assert "refused" in make_demo_small_model(DemoConfig(), tmp_path / "agora", tmp_path / "out")
    assert asked == [2.0, 1.5]


def test_the_stage_is_the_last_and_needs_agora(tmp_path: Path) -> None:
    def names(**settings: Any) -> Any:
        return [one.name for one in demo_stages(DemoConfig(**settings), tmp_path)]

    assert names()[-2:] == ["agora", "small_model"]
    assert names(small_model=False)[-1] == "agora"
    assert "small_model" not in names(agora=False)
    last = demo_stages(DemoConfig(), tmp_path)[-1]
    assert "machine" in last.settings
    assert list(last.inputs) == ["agora"]
