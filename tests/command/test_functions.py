"""Commands as functions: flags, results, errors, signals, messages, help."""

from __future__ import annotations

import inspect
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

import bort
from bort.command import functions
from bort.command.functions import CommandFunction, _words_of, command_function
from bort.command.subcommands import SUBCOMMANDS, Subcommand
from bort.errors import InputError, WorkError

ANY = Subcommand("any", "scripts/any.py", "do anything", "any", positional=("data",))


def test_a_command_returns_what_it_prints(tmp_path: Path):
    file = tmp_path / "text.txt"
    found = bort.generate_english(output_file=file, num_documents=np.int64(2), seed=None)
    assert found["output_file"] == str(file)
    assert (found["documents"], found["bytes"]) == (2, file.stat().st_size)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"num_documents": "many"}, "argument --num_documents: invalid int value: 'many'"),
        ({"documents": 2}, "unrecognized arguments: --documents=2"),
        ({"num_documents": object}, "num_documents is <class 'object'>, allowed are texts, "),
        ({"num_documents": []}, "num_documents is [], allowed is at least one value"),
    ],
)
def test_a_refused_flag_is_an_input_error(flags: Any, message: str, tmp_path: Path, capfd):
    with pytest.raises(InputError) as raised:
        bort.generate_english(output_file=tmp_path / "text.txt", **flags)
    assert str(raised.value).startswith(message)
    assert capfd.readouterr() == ("", "")


def test_a_refused_file_is_the_commands_own_line():
    with pytest.raises(InputError, match=r"^nowhere\.csv: "):
        bort.describe_task(data="nowhere.csv")


def test_flags_are_words():
    one = SUBCOMMANDS["stages"]._replace(function="stages")
    assert _words_of(one, {"command": "gc", "store": Path("s"), "dry_run": True}) == [
        *("gc", "--dry_run", "--store=s")
    ]
    assert _words_of(one, {"dry_run": False, "debug": True}) == ["--debug"]
    assert _words_of(SUBCOMMANDS["demo"], {"quick": False}) == ["--json", "--quick=false"]
    found = _words_of(
        ANY, {"lengths": (2, 4), "rate": np.float32(0.5), "data": Path("a"), "x": None}
    )
    assert found == ["a", "--lengths", "2", "4", "--rate=0.5"]


def run_code(code: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call a command function whose process runs this code."""

    def command(subcommand: Subcommand) -> List[str]:
        return [sys.executable, "-c", code]

    monkeypatch.setattr(functions, "_command_of", command)
    return CommandFunction(ANY)()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('text')", "bort any ended with the status 0 and printed 'text\\n', no JSON"),
        ("raise SystemExit(3)", "bort any ended with the status 3 and printed '', no JSON"),
        ("import os; os.kill(os.getpid(), 9)", "bort any was ended by signal 9"),
    ],
)
def test_a_command_that_fails_is_a_work_error(code: str, message: str, monkeypatch):
    with pytest.raises(WorkError) as raised:
        run_code(code, monkeypatch)
    assert str(raised.value).startswith(message)


ERROR = """
import bort.process.startup
from bort.process.command import make_parser, run_command
from bort.errors import WorkError

def work(parsed):
    raise WorkError("the disk is full")

run_command(make_parser(""), work, [])
"""


def test_a_commands_error_comes_with_its_kind_and_is_not_shown_twice(monkeypatch, capfd):
    with pytest.raises(WorkError, match="^the disk is full$"):
        run_code(ERROR, monkeypatch)
    assert capfd.readouterr().err == ""


def test_a_result_with_a_status_of_failure_is_returned(monkeypatch):
    assert run_code("print('{\"failed\": 1}'); raise SystemExit(1)", monkeypatch) == {"failed": 1}


def test_messages_go_to_standard_error_as_it_is_now(monkeypatch, capfd):
    code = "import sys; print('a line', file=sys.stderr); print('{}')"
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    assert run_code(code, monkeypatch) == {}
    assert capfd.readouterr().err.endswith("a line\n")
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stderr", replaced)
    assert run_code(code, monkeypatch) == {}
    assert replaced.getvalue() == "a line\n"


INTERRUPTED = """
import os, signal, sys, time

count = 0
def stop(number, frame):
    global count
    count += 1

signal.signal(signal.SIGINT, stop)
open(sys.argv[1], "w").close()
end = time.monotonic() + 900
while not count and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)  # a second signal would be counted
open(sys.argv[1], "w").write(str(count))
print("{}")
"""


def call_and_signal(file: Path, number: int, handler: Any, code: str, monkeypatch) -> None:
    """Call a command that runs this code; send this process a signal when the file is there."""
    command = [sys.executable, "-c", code, str(file)]
    monkeypatch.setattr(functions, "_command_of", lambda subcommand: command)

    has_ended = threading.Event()

    def send() -> None:
        while not file.exists():
            if has_ended.wait(0.01):
                return
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    before = signal.signal(number, handler)
    try:
        thread.start()
        CommandFunction(ANY)()
    finally:
        has_ended.set()
        thread.join()
        signal.signal(number, before)


def test_an_interruption_is_passed_on_once_and_raised_at_the_commands_end(tmp_path, monkeypatch):
    file = tmp_path / "count"
    with pytest.raises(KeyboardInterrupt):
        call_and_signal(file, signal.SIGINT, signal.default_int_handler, INTERRUPTED, monkeypatch)
    assert file.read_text() == "1"


def test_an_interruption_while_the_process_starts_is_passed_on(tmp_path, monkeypatch):
    file = tmp_path / "count"
    command = [sys.executable, "-c", INTERRUPTED, str(file)]

    class InterruptedStart(subprocess.Popen):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            while not file.exists() and self.poll() is None:
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(functions, "_command_of", lambda subcommand: command)
    monkeypatch.setattr(subprocess, "Popen", InterruptedStart)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            CommandFunction(ANY)()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert file.read_text() == "1"


WAITING = """
import os, sys, time
with open(sys.argv[1] + ".new", "w") as stream:
    stream.write(str(os.getpid()))
os.replace(sys.argv[1] + ".new", sys.argv[1])
time.sleep(10_000)
"""


def test_another_error_of_a_handler_ends_the_command(tmp_path, monkeypatch):
    def handle(number: int, frame: Any) -> None:
        raise TimeoutError

    file = tmp_path / "process"
    with pytest.raises(TimeoutError):
        call_and_signal(file, signal.SIGALRM, handle, WAITING, monkeypatch)
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_help_has_every_flag_of_the_command():
    function = bort.finetune
    assert function is command_function("finetune") is bort.finetune
    text = inspect.getdoc(function)
    assert text is not None
    assert text.startswith("Fine-tune a model on a named task or on labelled texts.\n")
    assert "\n    task_name (str): task, such as CoLA" in text
    assert "\n    preset (one of " in text
    signature = inspect.signature(function)
    assert signature.parameters["task_name"].annotation is str
    assert signature.parameters["task_name"].default is inspect.Parameter.empty
    assert "debug" not in signature.parameters
    assert "json" not in inspect.signature(bort.run_demo).parameters
    assert "process of its own" in str(CommandFunction.__doc__)
    assert "bort finetune" in repr(function)


def test_help_of_every_function_is_made():
    for name in ("run_grid", "extract_wikipedia", "train_large_then_compress", "pretrain"):
        function = command_function(name)
        assert name == function.__name__
        assert inspect.getdoc(function)
        assert len(inspect.signature(function).parameters) >= 2


def test_a_command_finds_the_library_that_this_process_has(monkeypatch):
    root = str(Path(bort.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert functions._environment()["PYTHONPATH"] == os.pathsep.join([root, "elsewhere"])
    monkeypatch.setenv("PYTHONPATH", root)
    assert functions._environment()["PYTHONPATH"] == root
    monkeypatch.delenv("PYTHONPATH")
    monkeypatch.setattr(functions.site, "getsitepackages", lambda: [root])
    assert "PYTHONPATH" not in functions._environment()
