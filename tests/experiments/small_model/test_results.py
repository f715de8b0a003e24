"""Results of the stages as one structure: all of them, and those of a run that has not ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.storage.files import read_json
from experiments.small_model.plan import STAGES
from experiments.small_model.results import SmallModelResults, read_results, write_results
from tests.experiments.small_model.samples import (
    SECONDS,
    TASK,
    scores,
    settings,
    stage_results,
)


def read(folder: Path, content: Any = None, names: Any = STAGES, **given: Any) -> SmallModelResults:
    """Return the results of made-up stages."""
    found = stage_results(folder / "stages", content or scores(), names)
    return read_results(settings(str(folder), **given), TASK, found, SECONDS)


def test_the_results_join_the_stages(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.final is not None
    assert found.teacher is not None
    assert found.final["speed_up"] == pytest.approx(12.1 / 3.25)
    assert found.final["share_of_teacher"] == pytest.approx(90 / 92)
    assert found.final["score"] == pytest.approx(0.9)
    assert found.final["report"] == {"accuracy": pytest.approx(0.9)}
    assert found.teacher["report"] == {"accuracy": pytest.approx(0.92)}
    assert found.teacher["latency_ms"] == 12.1, "as it was measured beside the served model"
    assert found.limit == {
        **{"kind": "speed_up", "value": 3.0, "measured": found.final["speed_up"], "kept": True}
    }
    assert list(found.candidates) == ["student", "truncated", "agora"]
    assert found.candidates["student"]["seconds"] == SECONDS["student"]
    assert found.candidates["truncated"]["report"] == {"accuracy": pytest.approx(0.8)}
    assert found.time["used_seconds"] == sum(SECONDS.values())
    difference = found.difference("exported", "truncated")
    assert difference is not None
    assert difference["difference"] == pytest.approx(0.1)
    assert found.difference("truncated", "nobody") is None


def test_the_notes_say_what_did_not_pay(tmp_path: Path) -> None:
    notes = read(tmp_path).notes
    assert "Agora did not pay: dev 0.900 against 0.905 without." in notes
    assert "bf16 on openvino is not served: the dev score is 1.5 points lower." in notes
    assert not any("fp32" in one for one in notes)
    assert not any("search did not pay" in one or "limit" in one for one in notes)


def test_agora_without_time_is_not_said_to_fail(tmp_path: Path) -> None:
    content = scores()
    content["agora"].update(dev=content["student"]["dev"], steps=0)
    notes = read(tmp_path, content).notes
    assert "There was no time for Agora." in notes
    assert not any("did not pay" in one for one in notes)


def test_a_better_baseline_and_a_broken_limit_are_told(tmp_path: Path) -> None:
    content = scores({"teacher": 92, "truncated": 90, "student": 90, "exported": 90})
    content["truncated"]["dev"]["accuracy"] = 0.92
    content["agora"]["dev"]["accuracy"] = 0.91
    content["export"]["candidate"] = "truncated"
    notes = " ".join(read(tmp_path, content, speed_up=4.0).notes)
    assert (
        "The search did not pay: the truncated teacher has dev 0.920, the student 0.910." in notes
    )
    assert "is not kept: at least 4 times as fast as the teacher, measured is 3.72 times" in notes
    assert "Agora did not pay" not in notes
    assert "do not differ" not in notes, "what is served is the truncated teacher"


def test_room_within_the_limit_is_told(tmp_path: Path) -> None:
    content = scores()
    content["final"].update(latency_ms=2.0, teacher_latency_ms=12.0)
    exact, int8, bf16 = content["export"]["precisions"]
    int8["taken"], bf16["taken"] = False, True
    bf16.update(dev={"accuracy": 0.905}, latency_ms=2.0)  # fp32 takes 4.1 ms

    def told(name: str, **given: Any) -> List[str]:
        return [one for one in read(tmp_path / name, content, **given).notes if "in fp32." in one]

    (note,) = told("speed_up")
    assert note == (
        "What serves in bf16 is 2.00 times as fast as the limit asks, which is that of the search "
        "in fp32. With --precision fast, a larger model keeps the limit, and may keep more of the "
        "teacher's score."
    )
    (note,) = told("latency", speed_up=None, latency_ms=2.5)
    assert "1.25 times as fast" in note
    assert not told("near", speed_up=4.9)
    assert not told("near latency", speed_up=None, latency_ms=2.4)
    assert not told("fast", precision="fast")
    assert not told("parameters", speed_up=None, parameters=20_000_000)
    (note,) = told("the teacher itself", speed_up=2.0)
    assert "In bf16 the teacher itself may keep it: here bf16 is 2.05 times as fast" in note
    (note,) = told("the teacher's latency", speed_up=None, latency_ms=6.0)
    assert "the teacher itself may keep it" in note
    content["teacher"]["dev"] = {"accuracy": 0.904}
    assert not told("nothing to gain")
    content["teacher"]["dev"] = {"accuracy": 0.915}
    int8.update(taken=True, latency_ms=2.0)
    bf16["taken"] = False
    assert not told("int8 on OpenVINO is no fast precision")
    exact["engine"] = int8["engine"] = "onnxruntime"
    assert told("int8 on ONNX Runtime is one")


def test_latencies_of_a_busy_machine_are_told(tmp_path: Path) -> None:
    content = scores()
    content["latency"].update(architectures=9, noisy=4)
    (note,) = (one for one in read(tmp_path / "busy", content).notes if "busy" in one)
    assert note == (
        "The machine was busy while latencies were measured: 4 of 9 times vary by more than 15 %, "
        "and there was no time for 15 more. The search may keep the limit less exactly."
    )
    content["latency"].update(chosen=9)
    assert "no time for" not in " ".join(read(tmp_path / "all", content).notes)
    content["latency"].update(noisy=3)
    assert not any("busy" in one for one in read(tmp_path / "idle", content).notes)
    for name in ("chosen", "noisy"):  # results of before have no such numbers
        content["latency"].pop(name)
    assert not any("busy" in one for one in read(tmp_path / "before", content).notes)


def test_a_teacher_that_learnt_nothing_is_told_first(tmp_path: Path) -> None:
    content = scores()
    content["teacher"].update(learnt=False, constant_answer=0.91)
    found = read(tmp_path, content)
    assert found.notes[0] == (
        "The teacher is no better than guessing: dev 0.915, one answer to everything has 0.910. "
        "More hours or more rows may help."
    )
    content["teacher"]["learnt"] = True
    assert not any("guessing" in one for one in read(tmp_path / "other", content).notes)


def test_a_difference_within_the_noise_is_a_note(tmp_path: Path) -> None:
    content = scores({"teacher": 92, "truncated": 90, "student": 90, "exported": 91})
    content["truncated"].update(dev={"accuracy": 0.92}, keeps_limit=False)
    notes = " ".join(read(tmp_path, content).notes)
    assert "served model and the truncated teacher do not differ by more than the noise" in notes
    assert "the truncated teacher has dev 0.920, but is over the limit, the student 0.905" in notes


def test_a_run_that_took_too_long_names_the_stage(tmp_path: Path) -> None:
    stages = stage_results(tmp_path / "stages", scores())
    planned = {**SECONDS, "search": 10.0, "export": 40.0}
    late = read_results(settings(str(tmp_path), hours="80m"), TASK, stages, planned)
    assert late.notes[-1] == (
        "The run took 1 h 30 min, more than its 1 h 20 min: the stage search took 1 min 0 s, "
        "planned were 10.0 s."
    )


@pytest.mark.parametrize("count", range(len(STAGES)))
def test_a_run_that_has_not_ended_has_the_results_so_far(tmp_path: Path, count: int) -> None:
    found = read(tmp_path, names=STAGES[:count])
    assert (found.teacher is None) == (count < 1)
    assert (found.search is None) == (count < 4)
    assert len(found.candidates) == max(0, min(3, count - 4))
    assert found.final is None
    assert found.limit["kept"] is None
    left = [row["stage"] for row in found.time["stages"] if row["used_seconds"] is None]
    assert left == list(STAGES[count:])
    json.dumps(found.as_dict())


def test_a_run_without_agora_and_baseline(tmp_path: Path) -> None:
    names = [name for name in STAGES if name not in ("agora", "truncated")]
    found = read(tmp_path, scores({"teacher": 92, "exported": 90}), names)
    assert list(found.candidates) == ["student"]
    assert found.difference("exported", "truncated") is None


@pytest.mark.parametrize(
    ("limit", "measured", "kept"),
    [
        ({"latency_ms": 3.0}, 3.25, False),
        ({"latency_ms": 3.5}, 3.25, True),
        ({"parameters": 14_200_000}, 14_200_000, True),
        ({"parameters": 14_000_000}, 14_200_000, False),
    ],
)
def test_each_limit_is_compared_with_what_was_measured(
    tmp_path: Path, limit: Dict[str, Any], measured: float, kept: bool
) -> None:
    whole = read(tmp_path, speed_up=None, **limit)
    found = whole.limit
    assert (found["measured"], found["kept"]) == (measured, kept)
    assert whole.as_dict()["keeps_limit"] is kept


def test_run_json_is_the_structure(tmp_path: Path) -> None:
    stages = stage_results(tmp_path / "stages", scores())
    found = read_results(settings(str(tmp_path)), TASK, stages, SECONDS, {"steps": 100})
    write_results(found, tmp_path, stages)
    written = read_json(tmp_path / "run.json")
    assert written == json.loads(json.dumps(found.as_dict()))
    assert written["chosen"] == "student"
    assert written["findings"] == {"steps": 100}
    assert written["usage"].startswith("from bort import Predictor\n")
    assert (tmp_path / "report.html").is_file()
    assert (tmp_path / "report.md").is_file()


def test_no_stage_is_no_report(tmp_path: Path) -> None:
    found = read_results(settings(str(tmp_path)), TASK, {}, SECONDS)
    write_results(found, tmp_path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json"]
