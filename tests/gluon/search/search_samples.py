"""A small search on toy text, for tests."""

from __future__ import annotations

import dataclasses

from bort.gluon.search.plan import SearchPlan
from bort.gluon.search.run import run_search
from bort.ranks import SingleProcess
from bort.search.space import SearchSpace
from bort.search.surrogates import Hyperparameters
from tests.gluon.pretraining.test_trainer import make_teacher
from tests.gluon.search.test_candidate_error import CONFIG, toy_text

SPACE = SearchSpace((2,), (2, 4), (8, 16), (4, 8, 12), vocabulary_size=60, maximum_length=24)
SEARCH = dataclasses.replace(CONFIG, epsilon=3)


class Teacher:
    """A loader of the teacher that counts its calls."""

    def __init__(self, seed: int = 9) -> None:
        self.seed = seed
        self.loaded = 0

    def __call__(self):
        self.loaded += 1
        return make_teacher(self.seed)


def make_plan(folder, config=SEARCH, teacher=None, **changes):
    values = {
        "config": config,
        "space": SPACE,
        "hyperparameters": (Hyperparameters(),),
        "text": toy_text(),
        "folder": folder / "search",
        "answers": folder / "search" / "teacher_answers",
        "latencies": folder / "search" / "latencies.json",
        "teacher": teacher or Teacher(),
    }
    return SearchPlan(**{**values, **changes})


def search(plan, **options):
    return run_search(plan, SingleProcess(), **options)
