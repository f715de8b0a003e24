"""Libraries are told not to report their use, before they are imported."""

from __future__ import annotations

import sys

import pytest

from bort.process.telemetry import switch_off_telemetry

VARIABLES = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


def test_variables_are_set_unless_the_user_has(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    switch_off_telemetry()
    import os

    assert [os.environ[name] for name in VARIABLES] == ["1", "0", "1"]


def test_openvinos_telemetry_package_cannot_be_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    switch_off_telemetry()
    with pytest.raises(ImportError):
        __import__("openvino_telemetry")


def test_what_the_program_has_imported_stays(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino_telemetry", sys)
    switch_off_telemetry()
    assert sys.modules["openvino_telemetry"] is sys
