"""Commands whose interpreters a test changes: they wait at a moment, or run code after an import.

A test that looks at a command from outside comes too late on a busy machine: the command may have
ended. Here the command itself waits, so that a kill or a signal always finds it where it must.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, Union

ROOT = Path(__file__).resolve().parents[2]

_MOMENT = """
import glob

def is_reached(pattern, count, of_lines):
    paths = glob.glob(pattern)
    if not of_lines:
        return len(paths) >= count
    found = 0
    for path in paths:
        with open(path, "rb") as stream:
            found += stream.read().count(b"\\n")
    return found >= count
"""

_AFTER_IMPORT = """
import importlib.util, sys

def after_import(name, action):
    class Finder:
        @staticmethod
        def find_spec(found, path=None, target=None):
            if found != name:
                return None
            sys.meta_path.remove(Finder)
            spec = importlib.util.find_spec(name)
            execute = spec.loader.exec_module
            def execute_and_act(module):
                execute(module)
                action(module)
            spec.loader.exec_module = execute_and_act
            return spec
    sys.meta_path.insert(0, Finder)
"""

_WAIT = """
import os, select, signal, threading

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND
CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}

def wait_at(*moment):
    state = {"is_busy": False, "has_waited": False}
    # Each signal that has a handler writes a byte, also before the moment is noticed.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def look():
        if state["is_busy"] or state["has_waited"]:
            return
        if threading.current_thread() is not threading.main_thread():
            return  # the main thread waits at its own next change
        if os.path.basename(sys.argv[0]) in ("launch.py", "horovodrun", "-c"):
            return  # they start the command, and pass signals on
        state["is_busy"] = True
        try:
            if is_reached(*moment):
                state["has_waited"] = True
                wait_for_signal()
        finally:
            state["is_busy"] = False

    def wait_for_signal():
        stop, parent = os.environ.get("BORT_STOP_FILE"), os.getppid()
        while not select.select([reader], [], [], 0.05)[0]:
            # A rank gets no signal but a file.
            if stop is not None and os.path.exists(stop) or os.getppid() != parent:
                break

    def watch(event, arguments):
        flags = arguments[2] if event == "open" else 0
        if event in CHANGES or isinstance(flags, int) and flags & WRITING:
            look()

    sync = os.fsync
    def sync_and_look(descriptor):
        sync(descriptor)
        look()

    os.fsync = sync_and_look
    sys.addaudithook(watch)
"""

PROCESSOR_CLOCK = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
# These modules keep the clock that they know.
import concurrent.futures, multiprocessing.connection, queue, selectors, subprocess, threading, time

def count_from_start(module):
    module.seconds_since_start = time.process_time

time.monotonic = time.perf_counter = time.process_time
after_import("bort.process.lifetime", count_from_start)
"""
"""Code with which a command counts the seconds of the processor, on one thread, in place of those
that pass. So it does the same work in its time on a busy machine, and on one that stops."""

_scope: Dict[str, object] = {}
exec(_MOMENT, _scope)


@dataclass(frozen=True)
class Moment:
    """A moment of a command: there are so many files, or lines in them.

    Attributes:
        pattern: paths of the files, with wildcards.
        count: least number of files or lines.
        of_lines: whether lines are counted.
    """

    pattern: Union[str, Path]
    count: int = 1
    of_lines: bool = False

    @property
    def _words(self) -> tuple:
        return (str(self.pattern), self.count, self.of_lines)

    def __call__(self) -> bool:
        """Whether the moment has come."""
        return bool(_scope["is_reached"](*self._words))  # type: ignore[operator]

    @property
    def code(self) -> str:
        """Code that lets a command wait at the moment for a signal, or for a kill."""
        return f"{_MOMENT}{_WAIT}\nwait_at{self._words!r}\n"


@contextlib.contextmanager
def customised(code: str) -> Iterator[Dict[str, str]]:
    """Yield the environment of a command whose interpreters run some code before anything else.

    The code has a function `after_import(name, action)`, which calls an action with a module as
    soon as that is imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(_AFTER_IMPORT + code, encoding="utf-8")
        known = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        path = os.pathsep.join(dict.fromkeys([folder, str(ROOT), *known]))
        yield {**os.environ, "PYTHONPATH": path}
