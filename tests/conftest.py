"""Fixtures and reports of all tests: repeatable seeds, data folders, a list of skipped tests."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sys
import zlib
from pathlib import Path
from typing import Any, List

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

PROJECT_ROOT = Path(__file__).resolve().parent.parent
SEED_VARIABLE = "BORT_TEST_SEED"
SHARED_DATA_VARIABLE = "BORT_SHARED_DATA"
SHARED_DATA_MISSING = "the shared data files are not there"
PARITY_REQUIRED_VARIABLE = "BORT_REQUIRE_PARITY"
PARITY_MISSING = "parity was not checked"

# A busy machine is slow, not wrong. Every run repeats itself; another seed tries other examples.
settings.register_profile(
    "bort",
    deadline=None,
    derandomize=os.environ.get(SEED_VARIABLE, "0") == "0",
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bort")


def pytest_configure(config: pytest.Config) -> None:
    """Fix the seed before workers start: they inherit the variable."""
    wanted = os.environ.get(SEED_VARIABLE, "0")
    if wanted == "random":
        wanted = str(random.SystemRandom().randrange(2**31))
    if not wanted.isdigit():
        raise pytest.UsageError(f"{SEED_VARIABLE} is {wanted!r}, allowed is a number or 'random'")
    os.environ[SEED_VARIABLE] = wanted
    _restore_signals()


def _restore_signals() -> None:
    """Stop ignoring the signals that `nohup` and a shell's background jobs ignore.

    Commands inherit ignored signals and keep ignoring them, so a test of them would wait for ever.
    """
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGQUIT, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Put slow files first: a slow file that begins last would keep one worker busy alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if os.environ[SEED_VARIABLE] != "0":
        for item in items:
            function = getattr(item, "function", None)
            if getattr(function, "is_hypothesis_test", False):
                hypothesis.seed(_seed_of(item))(function)


def pytest_report_header(config: pytest.Config) -> List[str]:
    """Say how to replay this run and whether the shared data is there."""
    seed = os.environ[SEED_VARIABLE]
    folder = shared_data_folder()
    shared = str(folder) if folder.is_dir() else f"{folder} is not there, its tests do not run"
    return [f"seed: {seed} (replay: {SEED_VARIABLE}={seed})", f"shared data: {shared}"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly which tests did not run because the shared data was not there."""
    absent = [
        report.nodeid
        for report in terminalreporter.stats.get("skipped", [])
        if SHARED_DATA_MISSING in str(report.longrepr)
    ]
    if absent:
        terminalreporter.section("did not run")
        terminalreporter.line(
            f"{len(absent)} tests did not run: {SHARED_DATA_MISSING} "
            f"({shared_data_folder()}; {SHARED_DATA_VARIABLE} names another folder)"
        )
        for name in absent:
            terminalreporter.line(f"  {name}")
    unchecked = sum(
        PARITY_MISSING in str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    )
    if unchecked:
        terminalreporter.section("parity")
        terminalreporter.line(
            f"{unchecked} tests did not run: {PARITY_MISSING} against other libraries, which are "
            "not installed here (./run_tests.sh --parity installs and demands them)"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run a test of parity only where the packages are that its marker names."""
    for marker in item.iter_markers("parity"):
        missing = [name for name in marker.args if importlib.util.find_spec(name) is None]
        if missing:
            message = f"{PARITY_MISSING}: {', '.join(missing)} not installed"
            if os.environ.get(PARITY_REQUIRED_VARIABLE) == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)


def shared_data_folder() -> Path:
    """The folder of official data files, whether or not it is there."""
    given = os.environ.get(SHARED_DATA_VARIABLE)
    return Path(given) if given else PROJECT_ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout."""
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def test_data(project_root: Path) -> Path:
    """The tiny inputs that belong to the project."""
    return project_root / "test_data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of official data files; a test that asks for it does not run without it."""
    folder = shared_data_folder()
    if not folder.is_dir():
        pytest.skip(f"{SHARED_DATA_MISSING}: {folder}")
    return folder


def _seed_of(item: pytest.Item) -> int:
    return zlib.crc32(f"{os.environ[SEED_VARIABLE]} {item.nodeid}".encode())


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """Seed every generator for each test, from the run's seed and the test's own name."""
    value = _seed_of(request.node)
    random.seed(value)
    np.random.seed(value)
    if "mxnet" in sys.modules:
        sys.modules["mxnet"].random.seed(value % 2**31)
    return value


@pytest.fixture
def random_generator(seed: int) -> np.random.Generator:
    """A NumPy generator that repeats with the run's seed."""
    return np.random.default_rng(seed)
