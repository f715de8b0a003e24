"""States of stages, and the fields that made them run again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.errors import InputError
from bort.stages.listing import (
    NO_FIELD,
    NOT_YET,
    Change,
    changes,
    finished_results,
    stage_states,
    status_table,
    stored_results,
    why,
    why_table,
)
from bort.stages.plan import read_experiment
from bort.stages.running import run_stages
from bort.stages.stage import Stage, StageWork
from bort.stages.store import Store
from bort.storage.locks import hold_file
from tests.stages.graphs import DESCENDANTS, Runs, six_stages


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    path.write_text("text")
    return path


@pytest.fixture
def store(tmp_path: Path, corpus: Path) -> Store:
    store = Store(tmp_path / "store")
    run_stages("base", six_stages(Runs(), corpus), store)
    return store


def states(store: Store) -> Dict[str, str]:
    return {one.name: one.state for one in stage_states(store, read_experiment(store, "base"))}


def reasons(store: Store) -> Dict[str, List[Change]]:
    experiment = read_experiment(store, "base")
    return {one.stage: list(one.changes) for one in why(store, experiment)}


CHANGES: Dict[str, Any] = {
    "a value": ({"settings": {"size": 2}}, Change("settings.size", "1", "2")),
    "a type": ({"settings": {"size": 1.0}}, Change("settings.size", "1", "1.0")),
    "inside": (
        {"settings": {"options": {"rate": 0.25}}},
        Change("settings.options.rate", "0.5", "0.25"),
    ),
    "a new field": ({"settings": {"seed": 0}}, Change("settings.seed", NO_FIELD, "0")),
    "a lost field": (
        {"settings": {"options": {}}},
        Change("settings.options.rate", "0.5", NO_FIELD),
    ),
    "a version": ({"versions": 2}, Change("version", "1", "2")),
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("name", DESCENDANTS)
def test_why_names_the_field_and_both_values(
    store: Store, corpus: Path, name: str, what: str
) -> None:
    before = {one.name: one for one in stage_states(store, read_experiment(store, "base"))}
    assert not any(reasons(store).values())
    change, expected = CHANGES[what]
    stages = six_stages(Runs(), corpus, **{field: {name: new} for field, new in change.items()})
    run_stages("base", stages, store, only=["text"])  # all others are planned alone
    planned = reasons(store)
    run_stages("base", stages, store)
    after = {one.name: one for one in stage_states(store, read_experiment(store, "base"))}
    for stage, found in reasons(store).items():
        if stage not in DESCENDANTS[name]:
            assert found == planned[stage] == []
        elif stage == name:
            assert found == [expected]
            assert expected in planned[stage]
        else:
            changed = {f"inputs.{k}": i for k, i in after[stage].inputs.items()}
            changed = {k: i for k, i in changed.items() if i in DESCENDANTS[name]}
            digests = {k: after[stage].of["inputs"][k[7:]] for k in changed}
            assert {one.field: one.now for one in found} == {
                k: f'"{digest}"' for k, digest in digests.items()
            }
            assert all(
                one.then == f'"{before[stage].of["inputs"][one.field[7:]]}"' for one in found
            )
            if name != "text":
                assert {one.now for one in planned[stage]} == {NOT_YET}


def test_why_names_a_changed_source(store: Store, corpus: Path) -> None:
    corpus.write_text("other")
    run_stages("base", six_stages(Runs(), corpus), store)
    assert [one.field for one in reasons(store)["text"]] == ["sources.corpus"]


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ({"a": [1]}, {"a": [1.0]}, [("a", "[1]", "[1.0]")]),
        ({"a": True}, {"a": 1}, [("a", "true", "1")]),
        ({"a": None}, {}, [("a", "null", NO_FIELD)]),
        ({"a": {}}, {"a": []}, [("a", "{}", "[]")]),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, []),
    ],
)
def test_changes_are_as_exact_as_keys(then: Any, now: Any, expected: Any) -> None:
    assert [tuple(one) for one in changes(then, now)] == expected


def test_states_of_stages(store: Store, corpus: Path) -> None:
    assert set(states(store).values()) == {"done"}
    wide = six_stages(Runs(), corpus, {"answers": {"size": 2}})
    run_stages("base", wide, store, only=["teacher"])
    assert states(store)["answers"] == "missing"
    assert states(store)["student-0"] == "waiting"
    assert states(store)["student-1"] == "done"
    assert states(store)["report"] == "waiting"
    states_by_name = {one.name: one for one in stage_states(store, read_experiment(store, "base"))}
    key = str(states_by_name["answers"].key)
    (store.work / key).mkdir()
    assert states(store)["answers"] == "interrupted"
    with hold_file(store.lock_of(key)):
        assert states(store)["answers"] == "running"
    assert states(store)["answers"] == "interrupted"
    rows = status_table(list(states_by_name.values())).splitlines()
    assert rows[3].split() == ["base", "answers", "missing", key[:12], "-", "-"]
    assert rows[4].split() == ["base", "student-0", "waiting", "-", "-", "-"]
    assert len(rows) == 7


def test_the_table_of_reasons_shortens_digests(store: Store, corpus: Path) -> None:
    run_stages("base", six_stages(Runs(), corpus, {"student-1": {"size": 2}}), store)
    experiment = read_experiment(store, "base")
    table = why_table(why(store, experiment))
    lines = [line.split() for line in table.splitlines()]
    assert lines[1][3:] == ["no", "other", "result", "-", "-"]
    assert lines[5] == ["base", "student-1", "done", "settings.size", "1", "2"]
    assert lines[6][3] == "inputs.second"
    assert [len(word) for word in lines[6][4:]] == [12, 12]


def test_a_result_is_found_by_name(store: Store, corpus: Path) -> None:
    experiment = read_experiment(store, "base")
    found = finished_results(store, experiment, ["text"])
    assert {name: one.record["name"] for name, one in found.items()} == {"text": "text"}
    assert list(finished_results(store, experiment)) == DESCENDANTS["text"]
    assert list(stored_results(store, experiment)) == DESCENDANTS["text"]
    with pytest.raises(InputError, match="stage is 'x', experiment base has text"):
        finished_results(store, experiment, ["x"])
    run_stages("base", six_stages(Runs(), corpus, {"report": {"size": 2}}), store, only=["text"])
    assert "report" not in stored_results(store, read_experiment(store, "base"))
    with pytest.raises(InputError, match="stage report has no result yet; run experiment base"):
        finished_results(store, read_experiment(store, "base"), ["report"])


def test_a_stage_that_runs_sees_itself_running(store: Store) -> None:
    seen: List[str] = []

    def look(work: StageWork) -> None:
        seen.append(states(store)["looking"])

    run_stages("base", [Stage("looking", look)], store)
    assert seen == ["running"]
