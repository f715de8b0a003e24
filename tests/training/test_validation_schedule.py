"""Tests of the schedule of evaluations against a table made by hand."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.training.validation_schedule import ValidationSchedule

RECIPE = ValidationSchedule(
    validation_begin_proportion=0.05,
    validation_end_proportion=0.01,
    validation_epochs_begin=1,
    validation_epochs=3,
    validation_epochs_end=1,
)


@pytest.mark.parametrize(
    ("position", "occasion", "due"),
    [
        (0.0, 1, True),
        (0.04999, 2, True),
        (0.05, 2, False),  # the border belongs to the middle
        (0.05, 3, True),
        (0.5, 4, False),
        (0.5, 6, True),
        (0.99, 7, False),  # so does this one
        (0.99, 9, True),
        (0.99001, 7, True),
        (1.0, 8, True),
    ],
)
def test_the_recipe(position: float, occasion: int, due: bool) -> None:
    assert RECIPE.is_due(position, occasion) is due


def test_without_settings_every_occasion_is_used() -> None:
    plain = ValidationSchedule()
    assert all(plain.is_due(position, n) for position in (0, 0.5, 1) for n in (1, 2, 3))


def test_beginning_and_end_do_not_overlap() -> None:
    with pytest.raises(InputError, match=r"are 1\.1 together, allowed is at most 1"):
        ValidationSchedule(validation_begin_proportion=0.6, validation_end_proportion=0.5)
