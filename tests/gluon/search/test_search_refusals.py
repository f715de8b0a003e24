"""Tests of searches that are resumed with something else, or on damaged files."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bort.errors import InputError
from bort.search.surrogates import Hyperparameters
from bort.storage.locks import hold_folder
from tests.gluon.search.search_samples import SEARCH, SPACE, Teacher, make_plan, search
from tests.gluon.training.run_samples import contents


def test_a_folder_with_another_search_is_refused_and_left_alone(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    before = (plan.folder / "ranking.json").read_bytes()
    with pytest.raises(InputError, match="already holds a search"):
        search(plan)
    other = dataclasses.replace(plan, config=dataclasses.replace(SEARCH, train_steps=4))
    with pytest.raises(
        InputError, match=r"search\.json: train_steps is 4, the search .* started with 3"
    ):
        search(other, resume=True)
    space = dataclasses.replace(plan, space=dataclasses.replace(SPACE, hiddens=(8,)))
    with pytest.raises(InputError, match=r"hiddens is \[8\], the search"):
        search(space, resume=True)
    assert (plan.folder / "ranking.json").read_bytes() == before
    with hold_folder(plan.folder), pytest.raises(InputError, match="another process is using"):
        search(plan, resume=True)
    assert search(make_plan(tmp_path / "nothing"), resume=True) == search(plan, resume=True)


def test_another_teacher_is_refused_and_changes_nothing(tmp_path):
    plan = make_plan(tmp_path, teacher_identity={"teacher_model": "one"})
    asked = []
    assert search(plan, stop_requested=lambda: asked.append(1) or len(asked) > 8) is None
    before = contents(plan.folder)
    other = dataclasses.replace(plan, teacher_identity={"teacher_model": "two"})
    with pytest.raises(InputError, match="teacher_model is 'two', the search .* with 'one'"):
        search(other, resume=True)
    assert contents(plan.folder) == before
    older = dataclasses.replace(plan, teacher_identity=None)
    assert search(older, resume=True) == search(make_plan(tmp_path / "whole"))


def test_a_search_older_than_a_setting_is_resumed_with_its_default(tmp_path):
    thetas = (Hyperparameters(lr=0.1),)
    plan = make_plan(tmp_path, hyperparameters=thetas)
    expected = search(plan)
    path = plan.folder / "search.json"
    recorded = json.loads(path.read_text())
    del recorded["settings"]["error"], recorded["space"]["even_depth"]
    del recorded["hyperparameters"][0]["clip"]
    path.write_text(json.dumps(recorded))
    assert search(plan, resume=True) == expected
    for name, value in (("error", "kl"), ("train_steps", 4)):
        other = dataclasses.replace(plan, config=dataclasses.replace(SEARCH, **{name: value}))
        with pytest.raises(InputError, match=f"{name} is {value!r}, the search to resume"):
            search(other, resume=True)
    other = dataclasses.replace(plan, hyperparameters=(Hyperparameters(lr=0.1, clip=2.0),))
    with pytest.raises(InputError, match="hyperparameters is"):
        search(other, resume=True)


def test_answers_of_another_teacher_are_refused(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    other = make_plan(tmp_path / "other", teacher=Teacher(seed=1), answers=plan.answers)
    with pytest.raises(InputError, match=r"teacher_answers.*teacher"):
        search(other)


def test_a_damaged_result_is_named(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    path = plan.folder / "results-rank0.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["{}", *lines[1:]]) + "\n")
    with pytest.raises(InputError, match=r"results-rank0\.jsonl, line 1"):
        search(plan, resume=True)


def test_text_that_is_too_long_for_the_teacher_is_refused(tmp_path):
    class Short(Teacher):
        def __call__(self):
            teacher = super().__call__()
            teacher.architecture = teacher.architecture.replace(maximum_length=16)
            return teacher

    with pytest.raises(InputError, match="up to 24 tokens long, the teacher takes at most 16"):
        search(make_plan(tmp_path, teacher=Short()))
