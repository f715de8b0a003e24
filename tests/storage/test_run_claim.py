"""The rule that decides whether two runs are the same, and folders that belong to one run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.storage.files import read_json, write_json
from bort.storage.run_claim import (
    Difference,
    check_same_run,
    claim_folder,
    differences,
    is_begun,
)
from tests.gluon.training.run_samples import contents

DEFAULTS: Dict[str, Any] = {"settings": {"lr": 0.1, "taus": ("a",)}, "sets": {"clip": 1.0}}


def test_a_setting_that_is_newer_than_the_run_had_its_default() -> None:
    now = {"settings": {"lr": 0.1, "taus": ("a",)}, "sets": [{"seed": 1, "clip": 1.0}]}
    for then in (
        {"settings": {"lr": 0.1, "taus": ["a"]}, "sets": [{"seed": 1, "clip": 1.0}]},
        {"settings": {"lr": 0.1}, "sets": [{"seed": 1}]},
        {"sets": [{"seed": 1}]},
    ):
        assert list(differences(then, now, DEFAULTS)) == []
    changed = {"settings": {"lr": 0.2, "taus": ("a", "b")}, "sets": [{"seed": 1, "clip": 2.0}]}
    assert [found.name for found in differences({"sets": [{"seed": 1}]}, changed, DEFAULTS)] == [
        "lr",
        "taus",
        "sets",
    ]


def test_a_new_setting_without_a_default_was_none() -> None:
    assert list(differences({}, {"data": None}, {})) == []
    for then, now in ((False, 0), (True, 1), ([1, True], [1, 1]), ([], {"a": None}), (0, {})):
        assert list(differences({"x": then}, {"x": now}, {})) == [Difference("x", then, now)]
    assert list(differences({"x": [{"a": 1}, 2]}, {"x": [{"a": 1.0}, 2.0]}, {})) == []
    assert list(differences({}, {"data": "x"}, {})) == [Difference("data", None, "x")]
    assert list(differences({}, {"data": {"train": "x"}}, {})) == [Difference("train", None, "x")]
    assert list(differences({"data": 3}, {"data": {"a": 1}}, {})) == [
        Difference("data", 3, {"a": 1})
    ]


def test_a_setting_that_is_no_more_is_not_compared() -> None:
    assert list(differences({"old": 1, "lr": 0.1}, {"lr": 0.1}, {})) == []


def test_what_may_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    then, now = {"steps": 4, "lr": 1.0}, {"steps": 8, "lr": 1.0}
    with caplog.at_level(logging.INFO):
        check_same_run("run", "run", then, now, {}, {"steps": "the schedule changes"})
    assert caplog.messages == ["steps was 4 and is 8 now: the schedule changes"]
    with pytest.raises(InputError, match="^run: steps is 8, the run to resume started with 4$"):
        check_same_run("run", "run", then, now, {})


def test_other_data_are_named_by_the_beginnings_of_their_fingerprints() -> None:
    for name in ("data", "vocabulary"):
        then, now = {name: "a" * 64}, {name: "b" * 64}
        with pytest.raises(InputError) as refused:
            check_same_run("run", "run", then, now, {})
        assert str(refused.value) == (
            f"run: {name} differs from that of the run to resume: its fingerprint is "
            "'bbbbbbbbbbbb', the run to resume started with 'aaaaaaaaaaaa'"
        )
    with pytest.raises(InputError, match="vocabulary is 'x', the run to resume started with 'y'"):
        check_same_run("run", "run", {"vocabulary": "y"}, {"vocabulary": "x"}, {})
    with pytest.raises(InputError, match="data is 'x', the run to resume started with None"):
        check_same_run("run", "run", {}, {"data": "x"}, {})


def test_a_folder_belongs_to_one_run(tmp_path: Path) -> None:
    def claim(folder: Path, resume: bool, **settings: Any) -> None:
        claim_folder(folder, "search.json", settings, "search", resume, defaults={"error": "kl"})

    folder = tmp_path / "run"
    claim(folder, True, lr=0.1)
    with pytest.raises(InputError, match="already holds a search"):
        claim(folder, False, lr=0.1)
    claim(folder, True, lr=0.1, error="kl")
    assert read_json(folder / "search.json") == {"lr": 0.1}, "it tells how the run began"
    with pytest.raises(InputError, match=r"search\.json: error is 'chance', .* started with 'kl'"):
        claim(folder, True, lr=0.1, error="chance")
    write_json(tmp_path / "file", {})
    with pytest.raises(InputError, match="is a file"):
        claim(tmp_path / "file", False)


def test_a_run_without_results_is_replaced(tmp_path: Path) -> None:
    def claim(resume: bool, **settings: Any) -> None:
        claim_folder(
            tmp_path,
            "search.json",
            settings,
            "search",
            resume,
            results=("results-*", "answers/*"),
            remains=("half-*",),
        )

    (tmp_path / "half-0").touch()
    claim(False, lr=0.1)
    assert (tmp_path / "half-0").exists(), "the folder held no run before"
    for resume in (False, True):
        claim(resume, lr=0.2 + resume)
        assert read_json(tmp_path / "search.json") == {"lr": 0.2 + resume}
        assert not (tmp_path / "half-0").exists()
        (tmp_path / "half-0").touch()
    (tmp_path / "answers").mkdir()
    assert not is_begun(tmp_path, "search.json", ("results-*", "answers/*"))
    (tmp_path / "answers" / "part").touch()
    assert is_begun(tmp_path, "search.json", ("results-*", "answers/*"))
    before = contents(tmp_path)
    with pytest.raises(InputError, match="already holds a search"):
        claim(False, lr=0.2)
    with pytest.raises(InputError, match=r"lr is 0\.3, the search to resume started with 1\.2"):
        claim(True, lr=0.3)
    claim(True, lr=1.2)
    assert contents(tmp_path) == before


def test_results_without_their_settings_are_not_taken_for_those_of_a_new_run(
    tmp_path: Path,
) -> None:
    def claim(resume: bool) -> None:
        patterns = ("results-*", "answers/*")
        claim_folder(tmp_path, "a.json", {"lr": 0.1}, "search", resume, results=patterns)

    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "part").touch()
    claim(False)
    (tmp_path / "a.json").unlink()
    (tmp_path / "results-rank0.jsonl").touch()
    for resume in (False, True):
        with pytest.raises(InputError, match=r"a\.json: is missing, so the settings of the search"):
            claim(resume)
    assert not (tmp_path / "a.json").exists()


def test_a_setting_that_older_runs_do_not_record_is_compared_if_it_is_recorded(
    tmp_path: Path,
) -> None:
    def claim(resume: bool, **settings: Any) -> None:
        claim_folder(tmp_path, "a.json", settings, "search", resume, unrecorded=("teacher",))

    claim(False, lr=0.1)
    claim(True, lr=0.1, teacher="new")
    write_json(tmp_path / "a.json", {"lr": 0.1, "teacher": "x"})
    with pytest.raises(InputError, match="teacher is 'new', the search to resume .* with 'x'"):
        claim(True, lr=0.1, teacher="new")
