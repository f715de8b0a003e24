"""Tests of shared measuring: the results of one process, resuming, nothing measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional

import numpy as np
import pytest

from bort.errors import InputError
from bort.ranks import SingleProcess
from bort.search.driver import drive, search_with
from bort.search.measuring import SharedMeasurements
from bort.search.ranking import SearchResult
from bort.search.store import TrialStore
from bort.search.surrogates import Hyperparameters, Trial
from tests.ranks_samples import on_ranks
from tests.search.instances import MAXIMUM, Climber, KnownError, KnownLatency, line, planted

SPACE = line(30)
VALUES = [float(100 - abs(n - 3)) for n in range(30)]
SETS = {"hyperparameters": (Hyperparameters(),), "seeds": (0, 1)}


def climber() -> Climber:
    return Climber(SPACE, np.random.default_rng(1))


def run(
    folder: Path,
    ranks: Any,
    errors: KnownError,
    stop_requested: Callable[[], bool] = lambda: False,
    total: int = 60,
) -> Optional[SearchResult]:
    latency = KnownLatency({})
    measure = SharedMeasurements(
        folder,
        ranks,
        MAXIMUM,
        times=lambda candidates: {a: latency.latency(a) for a in candidates},
        errors=lambda: errors,
        total=total,
        stop_requested=stop_requested,
    )
    return drive(climber(), measure, MAXIMUM, **SETS)


def expected() -> SearchResult:
    return search_with(climber(), MAXIMUM, planted(SPACE, VALUES), KnownLatency({}), **SETS)


def test_ranks_make_the_result_of_one_process_and_share_the_trials(tmp_path: Path) -> None:
    models = [planted(SPACE, VALUES) for _ in range(3)]
    results = on_ranks(3, lambda ranks: run(tmp_path, ranks, models[ranks.rank]))
    assert results == [expected()] * 3
    asked = [trial for model in models for trial in model.asked]
    assert len(asked) == len(set(asked)) == 2 * len(expected().ranking)
    assert all(model.asked for model in models)


def test_more_trials_than_planned_leave_no_time_below_0(tmp_path: Path, caplog: Any) -> None:
    with caplog.at_level("INFO"):
        run(tmp_path, SingleProcess(), planted(SPACE, VALUES), total=1)
    shown = [line.split()[1].rstrip(",") for line in caplog.messages if line.startswith("trials")]
    assert shown
    for done, total in (numbers.split("/") for numbers in shown):
        assert int(done) <= int(total)


@pytest.mark.parametrize("after", [1, 4, 7])
def test_a_stopped_search_is_told_again_what_was_kept(tmp_path: Path, after: int) -> None:
    errors = planted(SPACE, VALUES)
    assert run(tmp_path, SingleProcess(), errors, lambda: len(errors.asked) >= after) is None
    assert len(errors.asked) == after
    assert run(tmp_path, SingleProcess(), errors) == expected()
    assert len(errors.asked) == len(set(errors.asked)) == 2 * len(expected().ranking)


def test_the_stop_of_one_rank_stops_all(tmp_path: Path) -> None:
    models = [planted(SPACE, VALUES) for _ in range(2)]
    results = on_ranks(
        2,
        lambda ranks: run(
            tmp_path, ranks, models[ranks.rank], lambda: ranks.rank == 1 and bool(models[1].asked)
        ),
    )
    assert results == [None, None]
    assert run(tmp_path, SingleProcess(), planted(SPACE, VALUES)) == expected()


def test_a_stop_while_times_are_measured_trains_nothing(tmp_path: Path) -> None:
    errors = planted(SPACE, VALUES)
    measure = SharedMeasurements(
        tmp_path,
        SingleProcess(),
        MAXIMUM,
        times=lambda candidates: None,
        errors=lambda: errors,
        total=60,
        stop_requested=lambda: False,
    )
    assert drive(climber(), measure, MAXIMUM, **SETS) is None
    assert errors.asked == []


def test_the_model_is_not_made_when_every_result_is_kept(tmp_path: Path) -> None:
    run(tmp_path, SingleProcess(), planted(SPACE, VALUES))
    made: List[KnownError] = []
    latency = KnownLatency({})
    measure = SharedMeasurements(
        tmp_path,
        SingleProcess(),
        MAXIMUM,
        times=lambda candidates: {a: latency.latency(a) for a in candidates},
        errors=lambda: made.append(planted(SPACE, VALUES)) or made[-1],
        total=60,
        stop_requested=lambda: False,
    )
    assert drive(climber(), measure, MAXIMUM, **SETS) == expected()
    assert made == []


def test_an_error_that_is_not_positive_is_not_kept(tmp_path: Path) -> None:
    class Bad(KnownError):
        def error(self, trial: Trial) -> float:
            return float("nan")

    good = planted(SPACE, VALUES)
    with pytest.raises(InputError, match="the error of <D=2"):
        run(tmp_path, SingleProcess(), Bad(good.w_of, good.latency, MAXIMUM))
    assert TrialStore(tmp_path, 0).load() == {}
