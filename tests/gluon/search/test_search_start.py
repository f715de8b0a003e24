"""Tests of searches whose candidates start from a teacher's weights."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.teacher_start import TeacherStart
from tests.formats.parity import make_network, write_network
from tests.gluon.search.search_samples import SEARCH, SPACE, Teacher, make_plan, search
from tests.gluon.training.run_samples import contents


@pytest.fixture
def start_folder(tmp_path):
    sizes = Architecture(3, 4, 32, 16, vocabulary_size=60, maximum_length=24)
    write_network(tmp_path / "start", make_network(sizes, decoder=True))
    return str(tmp_path / "start")


def started(tmp_path, folder, config=SEARCH, **changes):
    return make_plan(tmp_path, config, start=TeacherStart(folder, config.ranking), **changes)


def errors_of(result):
    return [one.error for one in result.ranking]


def test_candidates_start_from_a_teacher_that_is_ranked_once(tmp_path, start_folder, monkeypatch):
    whole = search(started(tmp_path / "whole", start_folder))
    plain = search(make_plan(tmp_path / "plain"))
    assert errors_of(whole) != errors_of(plain)
    stops = iter([False] * 5)
    assert search(started(tmp_path, start_folder), stop_requested=lambda: next(stops, True)) is None
    assert (tmp_path / "search" / "importance.json").exists()
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures again"),
    )
    resumed = search(started(tmp_path, start_folder), resume=True)
    assert errors_of(resumed) == errors_of(whole)


def test_a_search_from_another_start_is_refused(tmp_path, start_folder):
    search(started(tmp_path, start_folder))
    write_network(
        tmp_path / "other",
        make_network(Architecture(3, 4, 32, 16, 60, 24), decoder=True, seed=1),
    )
    order = SEARCH.replace(importance="order")
    for plan, message in (
        (make_plan(tmp_path), "initialise_from is None, the search to resume started with"),
        (started(tmp_path, str(tmp_path / "other")), "initialise_from differs from that of"),
        (started(tmp_path, start_folder, order), "importance is 'order', the search to resume"),
    ):
        with pytest.raises(InputError, match=message):
            search(plan, resume=True)


def test_a_search_without_a_start_stays_the_same_search(tmp_path):
    search(make_plan(tmp_path))
    path = tmp_path / "search" / "search.json"
    record = json.loads(path.read_text())
    for name in ("importance", "importance_batches"):
        del record["settings"][name]
    del record["initialise_from"]
    path.write_text(json.dumps(record))
    search(make_plan(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiddens": (8, 40)}, "space: <D=2, A=2, H=40, I=4>: student: hidden is 40, allowed is"),
        ({"hiddens": (24,)}, "so a head is 12 wide, allowed is at most 8"),
        ({"maximum_length": 30}, "maximum_length is 30, allowed is at most 24"),
    ],
)
def test_a_space_that_does_not_fit_its_start_leaves_nothing(
    tmp_path, start_folder, changes, message
):
    teacher = Teacher()
    plan = started(
        tmp_path, start_folder, space=dataclasses.replace(SPACE, **changes), teacher=teacher
    )
    with pytest.raises(InputError, match=message):
        search(plan)
    assert not contents(tmp_path / "search")
    assert teacher.loaded == 0
