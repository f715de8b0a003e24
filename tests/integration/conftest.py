"""Inputs of several commands: a small corpus with its vocabulary, a teacher of four steps."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.integration.commands import ROOT, run


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    command = [sys.executable, ROOT / "scripts" / "prepare_self_test.py"]
    run([*command, "--folder", folder, "--teacher_steps", "4"])
    return folder
