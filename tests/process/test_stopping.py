"""Stop requests: by signal, by file, by the death of the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from bort.process.stopping import LAUNCHER_VARIABLE, STOP_FILE_VARIABLE, StopRequest


def test_nothing_is_requested_by_itself(monkeypatch):
    monkeypatch.delenv(STOP_FILE_VARIABLE, raising=False)
    monkeypatch.delenv(LAUNCHER_VARIABLE, raising=False)
    assert not StopRequest().requested()


def test_the_stop_file(monkeypatch, tmp_path):
    monkeypatch.setenv(STOP_FILE_VARIABLE, str(tmp_path / "stop"))
    request = StopRequest()
    assert not request.requested()
    (tmp_path / "stop").touch()
    assert request.requested()


def test_the_death_of_the_launcher(monkeypatch):
    launcher = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setenv(LAUNCHER_VARIABLE, str(launcher.pid))
    request = StopRequest()
    assert not request.requested()
    launcher.communicate(b"\n")
    assert request.requested()


def test_a_signal_is_remembered():
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        request = StopRequest().install()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.requested()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
