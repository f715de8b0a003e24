"""Tests of the settings of a search under a limit."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from bort.errors import InputError
from bort.search.config import SearchConfig
from bort.search.limited_config import (
    LimitConfig,
    LimitedSearchPaths,
    check_without_limit,
    fill_defaults,
)


def test_a_limit_is_made_of_the_flag_that_is_given() -> None:
    assert LimitConfig(latency_ms=10).limit().most == 0.01
    assert LimitConfig(speed_up=4).limit(0.02).most == 0.005
    found = LimitConfig(parameters=1000, band_least=0.5).limit(None, 5000)
    assert (found.most, found.least, found.reach, found.reference) == (1000, 500, 1000, 5000)


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (LimitConfig(), "a limit is missing, needed is one of latency_ms, speed_up, parameters"),
        (LimitConfig(speed_up=2), "speed_up is 2.0, which needs a teacher or a super-network"),
    ],
)
def test_a_limit_that_cannot_be_made_is_refused(limit: LimitConfig, message: str) -> None:
    with pytest.raises(InputError, match=message):
        limit.limit()


def test_two_limits_are_refused() -> None:
    with pytest.raises(InputError, match=r"latency_ms is 3.0 and speed_up is 2.0, allowed is one"):
        LimitConfig(latency_ms=3, speed_up=2)


def parsed(**given: Any) -> argparse.Namespace:
    flags = dict.fromkeys(
        "strategy error teacher_model latency_ms speed_up parameters super_network tasks".split()
    )
    return argparse.Namespace(**{**flags, **given})


@pytest.mark.parametrize(
    ("given", "strategy", "error"),
    [
        ({}, "fptas", "cross_entropy"),
        ({"parameters": 5}, "evolved", "cross_entropy"),
        ({"latency_ms": 5.0, "super_network": "s"}, "evolved", "super_network"),
        ({"speed_up": 5.0, "super_network": "s", "tasks": ["RTE"]}, "evolved", "finetuned"),
        ({"parameters": 5, "strategy": "prior", "error": "kl"}, "prior", "kl"),
    ],
)
def test_defaults_depend_on_the_limit_and_the_candidates(
    given: Any, strategy: str, error: str
) -> None:
    flags = parsed(**given)
    fill_defaults(flags)
    assert (flags.strategy, flags.error) == (strategy, error)
    assert flags.teacher_model == "roberta_24_1024_16"


@pytest.mark.parametrize(
    ("config", "paths", "message"),
    [
        (SearchConfig(strategy="prior"), LimitedSearchPaths(), "strategy is 'prior', which needs"),
        (SearchConfig(error="finetuned"), LimitedSearchPaths(), "error is 'finetuned', which"),
        (SearchConfig(), LimitedSearchPaths(super_network="s"), "super_network is 's', which"),
        (SearchConfig(), LimitedSearchPaths(latency_table="t"), "latency_table is 't', which"),
    ],
)
def test_what_needs_a_limit_is_refused_without_one(
    config: SearchConfig, paths: LimitedSearchPaths, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check_without_limit(config, paths)
