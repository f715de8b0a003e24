"""Tests of the demonstration's report."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.report.html.document import Number, ReportedStage, Table, plain_text
from bort.report.html.files import write_report
from bort.report.html.markdown import render_markdown
from bort.report.html.render import render_html
from bort.search.limited_table import limited_verdict
from experiments.demo.plan import DemoConfig
from experiments.demo.report import demo_document
from tests.experiments.demo.test_demo import results as scores
from tests.report.html.samples import Page
from tests.search.test_limited_table import ROWS, result

ROOT = Path(__file__).resolve().parents[3]
_AGORA = {
    "task": "acceptability",
    "metric": "Matthews correlation",
    "sizes": {"train": 100, "socrates": 3000},
    "socrates": {"matthews": 0.869},
    "seeds": [
        {
            "plain": {"dev": 0.35, "report": 0.16, "points": 100},
            "agora": {"dev": 0.76, "report": 0.63, "points": 1066},
        },
        {
            "plain": {"dev": 0.33, "report": 0.21, "points": 100},
            "agora": {"dev": 0.34, "report": 0.18, "points": 1176},
        },
    ],
    "plain": 0.185,
    "agora": 0.405,
}


def _results(**settings: Any) -> Dict[str, Any]:
    found = scores()[0]
    pick = ROWS[1]
    search = result(ROWS, pick)
    found["search"] = {**search.as_dict(), "verdict": limited_verdict(search)}
    config = DemoConfig(student="4-2-16-32-16", seeds=2, folder="runs/it's", **settings)
    found["settings"] = config.as_dict()
    found["agora"] = copy.deepcopy(_AGORA)
    found["seconds"] = dict.fromkeys(
        ("agora", "data", "latency", "report", "search", "students", "super_network")
        + ("teacher",),
        2.5,
    )
    # As read from the file.
    return dict(json.loads(json.dumps(found)))


def test_the_answer_comes_first_and_is_derived_from_the_numbers() -> None:
    document = demo_document(_results())
    assert plain_text(document.title) == (
        "A small model, 2.2 times as fast and 10.0 points of accuracy behind its teacher"
    )
    lead = plain_text(document.lead)
    assert "<D=4, A=2, H=16, I=32> guesses 60.0 % of held-out masked tokens right" in lead
    assert "the teacher 70.0 %" in lead
    assert "reaches 50.0 % with the teacher's answers and 45.0 % without" in lead
    assert "50 % of the distance to the teacher is gone" in lead
    values = [plain_text([one.number]) for one in document.highlights]
    assert values == ["2.2 ×", "60.0 %", "50 %", "0.41"]


def test_the_page_is_valid_and_markdown_has_its_numbers() -> None:
    document = demo_document(_results())
    html, markdown = render_html(document), render_markdown(document)
    page = Page(html)
    assert page.errors == []
    assert len(page.numbers) > 100
    text = re.sub(r"\\([\W_])", r"\1", markdown)
    for number, attributes in page.numbers:
        assert number in text
        assert str(attributes["href"]).startswith("#stage-")
    assert not re.search(r"https?:", html)
    assert html == render_html(demo_document(_results()))
    assert "python scripts/predict.py --model 'runs/it'\"'\"'s'/student" in "".join(page.text)


RENDER_AGAIN = """
import json, socket, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mxnet", "gluonnlp", "horovod", "onnxruntime", "openvino"):
            raise ImportError("blocked: " + name)

def refuse(*arguments):
    raise OSError("blocked: a socket")

sys.meta_path.insert(0, Blocked())
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
from bort.report.html.files import write_report
from experiments.demo.report import demo_document
folder = Path(sys.argv[1])
write_report(demo_document(json.loads((folder / "results.json").read_text())), folder)
"""


def test_a_report_is_made_again_without_training_or_network_byte_for_byte(tmp_path: Path) -> None:
    found = _results()
    (tmp_path / "results.json").write_text(json.dumps(found))
    write_report(demo_document(found), tmp_path / "first")
    subprocess.run(
        [sys.executable, "-c", RENDER_AGAIN, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "3"},
        check=True,
    )
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / name).read_bytes() == (tmp_path / "first" / name).read_bytes(), name


def test_numbers_come_from_the_given_stages() -> None:
    found = _results()
    keys = {name: f"{place:x}" * 64 for place, name in enumerate(found["seconds"])}
    sources: Dict[str, Any] = {name: key for name, key in keys.items() if name != "report"}
    sources["students"] = (keys["students"], "f" * 64)
    stages = [ReportedStage(name, key) for name, key in keys.items()]
    stages.append(ReportedStage("student-1", "f" * 64))
    document = demo_document(found, stages, sources)
    by_text = {number.text: number.source for number in document.numbers()}
    assert by_text["60.0 %"] == sources["students"]
    assert by_text["70.0 %"] == keys["teacher"]
    assert by_text["0.41"] == keys["agora"]
    assert by_text["2.2 ×"] == keys["search"]
    assert by_text["10.0"] == (keys["teacher"], *sources["students"])
    Page(render_html(document))


def test_without_agora_or_a_pick_the_report_says_what_is_there() -> None:
    found = _results()
    del found["agora"]
    del found["seconds"]["agora"]
    search = result(ROWS, None)
    found["search"] = {**search.as_dict(), "verdict": limited_verdict(search)}
    document = demo_document(found)
    assert "Few labels" not in [section.title for section in document.sections]
    assert plain_text(document.title).startswith("A small model 10.0 points of accuracy behind")
    assert len(document.highlights) == 2


def test_a_given_student_has_no_speed_of_the_pick() -> None:
    found = _results()
    found["settings"]["student"] = "2-2-32-64"
    document = demo_document(found)
    assert "times" not in plain_text(document.title)
    assert "2-2-32-64 guesses" in plain_text(document.lead)
    assert "2.2 ×" not in [one.number.text for one in document.highlights]


@pytest.mark.parametrize(("teacher", "words"), [(0.5, "ahead of"), (0.6, "behind")])
def test_students_as_good_as_their_teacher(teacher: float, words: str) -> None:
    found = _results()
    found["mlm_accuracy"]["teacher"] = teacher
    found["distance_to_teacher"]["share_gone"] = None
    document = demo_document(found)
    assert f"points of accuracy {words} its teacher" in plain_text(document.title)
    assert plain_text(document.lead).endswith("without.")


def test_students_that_never_get_there_are_told() -> None:
    found = _results()
    for name in ("steps", "seconds"):
        found["time_to_equal_accuracy"][f"distilled_from_random_{name}"] = None
    text = render_markdown(demo_document(found))
    assert "Those from random weights by distillation do not get there." in text


def test_settings_that_differ_from_the_defaults_stand_out() -> None:
    document = demo_document(_results(teacher_steps=7))
    table = document.sections[-2].parts[-1]
    assert isinstance(table, Table)
    assert [table.rows[place][0] for place in table.emphasised] == ["seeds", "teacher_steps"]
    assert {row[0] for row in table.rows} == {one.name for one in dataclasses.fields(DemoConfig)}


def test_the_seconds_of_all_stages_are_added() -> None:
    table = demo_document(_results()).sections[-2].parts[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows][:3] == ["data", "latency", "teacher"]
    last = table.rows[-1][-1]
    assert isinstance(last, Number)
    assert last.text == "20.0"
