"""The report from made-up results: its answer, its numbers, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Mapping, Sequence

import pytest

from bort.report.html.document import Bullets, Code, Document, Number, Table, keys_of, plain_text
from bort.report.html.markdown import render_markdown
from bort.report.html.render import render_html
from bort.report.html.stages import reported_stages
from experiments.small_model.plan import STAGES
from experiments.small_model.report import small_model_document
from experiments.small_model.results import read_results
from tests.experiments.small_model.samples import (
    SECONDS,
    TASK,
    scores,
    settings,
    stage_results,
    texts_of,
)
from tests.report.html.samples import Page


def document(
    folder: Path,
    content: Any = None,
    names: Sequence[str] = STAGES,
    findings: Any = None,
    **given: Any,
) -> Document:
    """Return the report of made-up stages."""
    stages = stage_results(folder / "stages", content or scores(), names)
    found = read_results(settings("runs/out", **given), TASK, stages, SECONDS, findings)
    keys = {name: one.key for name, one in stages.items()}
    return small_model_document(found, reported_stages(stages), keys)


def tables(shown: Document) -> Mapping[str, List[Table]]:
    """Return the tables by the titles of their sections."""
    return {
        section.title: [part for part in section.parts if isinstance(part, Table)]
        for section in shown.sections
    }


@pytest.mark.parametrize(
    ("math", "words"),
    [
        ("exact", "Trainings: exact arithmetic: float32."),
        ("fast", "Trainings: fast arithmetic: products of the encoder's dense layers in bf16."),
    ],
)
def test_the_arithmetic_of_the_trainings_is_told(tmp_path: Path, math: str, words: str) -> None:
    text = render_markdown(document(tmp_path, findings={"math": math}))
    assert [line for line in text.splitlines() if line.startswith("Trainings:")] == [words]


def test_the_answer_comes_first(tmp_path: Path) -> None:
    shown = document(tmp_path)
    assert plain_text(shown.title) == (
        "3.7 times as fast, 97.8 % of the teacher's score, "
        "10.0 points better than the teacher truncated to the same speed"
    )
    lead = plain_text(shown.lead)
    assert "Served is the student, 4-6-384-768-192, int8 on openvino." in lead
    assert "A text takes 3.25 ms, with the teacher 12.10 ms in fp32." in lead
    assert "In fp32 the same model is 3.0 times as fast." in lead
    assert "The limit, at least 3 times as fast as the teacher, is kept: 3.72 times." in lead
    assert "The served model is better than the truncated teacher: +10.0 points [" in lead
    values = [plain_text([one.number]) for one in shown.highlights]
    assert values == ["3.7 ×", "97.8 %", "+10.0"]


def test_a_difference_within_the_noise_is_told(tmp_path: Path) -> None:
    content = scores({"teacher": 92, "student": 90, "truncated": 90, "agora": 90, "exported": 91})
    shown = document(tmp_path, content)
    lead = plain_text(shown.lead)
    assert "Between the served model and the truncated teacher the difference is within the" in lead
    assert plain_text(shown.title).endswith("truncated to the same speed (within the noise)")
    label = plain_text(shown.highlights[-1].label)
    assert label == "points against the teacher truncated to the same speed, within the noise"


def test_a_share_of_a_score_by_chance_is_no_title(tmp_path: Path) -> None:
    content = scores()
    content["teacher"].update(learnt=False, constant_answer=0.91)
    shown = document(tmp_path, content)
    assert plain_text(shown.title) == (
        "3.7 times as fast as a teacher that is no better than guessing, "
        "10.0 points better than the teacher truncated to the same speed"
    )
    assert plain_text(shown.lead).startswith("The teacher is no better than guessing, so a share")


def test_equal_scores_are_no_advantage(tmp_path: Path) -> None:
    content = scores(dict.fromkeys(("teacher", "student", "truncated", "agora", "exported"), 90))
    title = plain_text(document(tmp_path, content).title)
    assert title.endswith("score, as good as the teacher truncated to the same speed")


def test_a_baseline_that_is_too_slow_is_named_so(tmp_path: Path) -> None:
    content = scores()
    content["truncated"]["keeps_limit"] = False
    shown = document(tmp_path, content)
    words = "than the truncated teacher, which is over the limit"
    assert plain_text(shown.title).endswith(words)
    rows = texts_of(tables(shown)["Scores and latencies"][0].rows)
    assert rows[3].startswith("truncated teacher, over the limit | ")


def test_a_stopped_run_shows_how_to_use_its_student(tmp_path: Path) -> None:
    names = [section.title for section in document(tmp_path / "a", names=STAGES[:4]).sections]
    assert "Use it" not in names
    text = render_markdown(document(tmp_path / "b", names=STAGES[:5]))
    assert "the best model so far" in text


def test_a_served_baseline_is_not_compared_with_itself(tmp_path: Path) -> None:
    content = scores()
    content["export"]["candidate"] = "truncated"
    shown = document(tmp_path, content)
    assert plain_text(shown.title).endswith(" of the teacher's score: the truncated teacher")
    assert "Served is the truncated teacher, 2-12-384-1536-384" in plain_text(shown.lead)
    assert len(shown.highlights) == 2


def test_the_tables_have_every_model_with_its_interval(tmp_path: Path) -> None:
    scored, sized = tables(document(tmp_path))["Scores and latencies"]
    rows = texts_of(scored.rows)
    assert [row.split(" | ")[0] for row in rows] == [
        *("teacher", "student", "student with Agora", "truncated teacher", "served model")
    ]
    assert rows[0].startswith("teacher | 12.10 ms | 91.5 | 92.0 [")
    assert rows[4].startswith("served model | 3.25 ms | 90.4 | 90.0 [")
    assert rows[4].endswith("] | 97.8 %")
    assert list(scored.emphasised) == [4]
    assert texts_of(sized.rows)[:2] == [
        "teacher | 6-12-384-1536-384 | 22.70 M |  | 10 min 0 s",
        "student | 4-6-384-768-192 | 14.20 M | 900 | 15 min 0 s",
    ]


def test_a_teacher_that_was_fine_tuned_before_has_no_training(tmp_path: Path) -> None:
    content = scores()
    content["teacher"]["fine_tuned_here"] = False
    sized = tables(document(tmp_path, content))["Scores and latencies"][1]
    assert texts_of(sized.rows)[0].endswith(" | fine-tuned before")


def test_every_number_leads_to_its_stage(tmp_path: Path) -> None:
    shown = document(tmp_path)
    listed = {stage.key for stage in shown.stages}
    sources = {number.source for number in shown.numbers() if isinstance(number.source, str)}
    assert len(listed) == len(STAGES)
    assert sources <= listed
    shares = {stage.key: stage.name for stage in shown.stages}
    assert {shares[one] for one in sources} == set(STAGES)


def test_time_precisions_and_notes_are_shown(tmp_path: Path) -> None:
    shown = document(tmp_path)
    rows = texts_of(tables(shown)["Where the time went"][0].rows)
    assert rows[2].startswith("super_network | ")
    assert rows[2].endswith(" | 20 min 0 s | 20 min 0 s")
    assert rows[-1].startswith("all |  | --hours 2 | 1 h 30 min")
    rows = texts_of(tables(shown)["Precisions"][0].rows)
    assert rows[1] == "int8, openvino | 90.4 | 3.20 ms | 16.00 MB | served"
    assert rows[2].endswith("the dev score is 1.5 points lower")
    (notes,) = next(one for one in shown.sections if one.title == "What did not pay").parts
    assert isinstance(notes, Bullets)
    names = {stage.key: stage.name for stage in shown.stages}
    agora = next(item for item in notes.items if "Agora" in plain_text(item))
    (source,) = {keys_of(one.source) for one in agora if isinstance(one, Number)}
    assert [names[key] for key in source] == ["student", "agora"]
    codes = [p for s in shown.sections for p in s.parts if isinstance(p, Code)]
    assert "Predictor.from_pretrained('runs/out/model', threads=1)" in codes[0].text


def test_a_precision_that_serves_because_of_the_limit_is_told(tmp_path: Path) -> None:
    content = scores()
    content["export"]["precisions"][1]["reason"] = "the best that keeps the limit"
    shown = document(tmp_path, content)
    rows = texts_of(tables(shown)["Precisions"][0].rows)
    assert rows[1].endswith("served, the best that keeps the limit")
    (notes,) = next(one for one in shown.sections if one.title == "What did not pay").parts
    assert isinstance(notes, Bullets)
    told = "int8 on openvino is served: the best that keeps the limit."
    assert told in [plain_text(item) for item in notes.items]


def test_what_the_file_of_the_user_holds_is_told(tmp_path: Path) -> None:
    stages = stage_results(tmp_path / "stages", scores(), STAGES)
    findings = {"task": {"in_file": ["a.csv: 9 rows, 2 rows without a label"]}, "notes": ["busy"]}
    task = {**TASK, "unlabelled": 1200}
    found = read_results(settings("runs/out"), task, stages, SECONDS, findings)
    keys = {name: one.key for name, one in stages.items()}
    shown = small_model_document(found, reported_stages(stages), keys)
    (parts,) = (one.parts for one in shown.sections if one.title == "Task, device and settings")
    assert parts[0] == (
        "Task messages: 3,850 train, 481 dev, 481 report, 1,200 further texts without a label."
    )
    (remarks,) = (part for part in parts if isinstance(part, Bullets))
    assert remarks.items == ["a.csv: 9 rows, 2 rows without a label", "busy"]


@pytest.mark.parametrize("count", range(1, len(STAGES)))
def test_an_unfinished_run_says_so_and_shows_what_stands(tmp_path: Path, count: int) -> None:
    shown = document(tmp_path, names=STAGES[:count])
    assert "not all stages are finished" in plain_text(shown.title)
    assert plain_text(shown.lead).startswith(f"Not finished: {', '.join(STAGES[count:])}. ")
    render_html(shown)


@pytest.mark.parametrize("limit", [{"latency_ms": 4.0}, {"parameters": 20_000_000}])
def test_other_limits_are_told(tmp_path: Path, limit: Any) -> None:
    lead = plain_text(document(tmp_path, speed_up=None, **limit).lead)
    words = "4 ms a text, is kept: 3.25 ms" if "latency_ms" in limit else "is kept: 14,200,000"
    assert words in lead


def test_sub_networks_are_in_the_figure_of_scores_if_their_error_is_one(tmp_path: Path) -> None:
    content = scores()
    names = [figure.title for figure in document(tmp_path / "loss", content).figures()]
    assert names == ["Score against latency", "Error against latency", "Error against size"]
    content["search"]["result"]["error"] = "1 - mean metric of the sub-network on messages"
    (figure,) = document(tmp_path / "score", content).figures()
    assert "sub-networks" in figure.svg


def test_scores_without_intervals_are_shown_without(tmp_path: Path) -> None:
    content = scores()
    compared = content["final"]["comparison"]
    for row in (*compared["scores"].values(), *compared["differences"]):
        row.update(dict.fromkeys([name for name in row if "low" in name or "high" in name]))
    shown = document(tmp_path, content)
    assert "+10.0 points, without an interval" in plain_text(shown.lead)


def test_the_page_is_valid_and_the_same_every_time(tmp_path: Path) -> None:
    first, second = document(tmp_path / "a"), document(tmp_path / "b")
    text = render_html(first)
    assert text == render_html(second)
    page = Page(text)
    assert page.errors == []
    assert all(str(attributes["href"]).startswith("#stage-") for _, attributes in page.numbers)
