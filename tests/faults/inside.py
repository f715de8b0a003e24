"""The inside of a child: counts file operations, dies before one of them, and runs the script.

This module imports only the standard library, since it begins new interpreters too.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import mmap
import os
import signal
import struct
import sys
import threading
import traceback
import types
from typing import Any, List, Sequence

_OPERATIONS = {
    *("os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"),
    *("os.truncate", "shutil.copyfile", "shutil.rmtree", "tempfile.mkdtemp", "tempfile.mkstemp"),
    "fcntl.flock",
}
"""Python's audit events of file operations; opening for writing and syncing are counted too."""
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that wait until a command has its first handlers."""
_STARTUP = "bort.process.startup"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    """Run a script as the command line says: four words of the plan, then the command."""
    plan, command = sys.argv[1:5], sys.argv[5:]
    run(plan, command)


def run(plan: Sequence[str], command: List[str]) -> None:
    """Run a command and end this process.

    Args:
        plan: path of the counter, number of the operation to die before (0: none), the signal, and
            "1" if the limit of file sizes kills.
        command: a script and its flags, or "-m", a module and its flags.
    """
    path, operation, number, dies_when_large = plan[0], int(plan[1]), int(plan[2]), plan[3] == "1"
    if dies_when_large:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.path.insert(1, _root())
    _install_first_handlers()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
    _count_operations(path, operation, number)
    status = _run(command)
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


def _run(command: List[str]) -> int:
    if command[0] == "-m":
        script = os.path.join(_root(), *command[1].split(".")) + ".py"
        sys.argv, sys.path[0] = [script, *command[2:]], os.getcwd()
    else:
        script = os.path.join(_root(), command[0])
        sys.argv, sys.path[0] = [script, *command[1:]], os.path.dirname(script)
    module = types.ModuleType("__main__")
    module.__file__ = script
    sys.modules["__main__"] = module
    try:
        with open(script, encoding="utf-8") as stream:
            code = compile(stream.read(), script, "exec")
        exec(code, module.__dict__)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _install_first_handlers() -> None:
    """Import what every script imports first, as a script; a forked child has it already."""
    scope = {"__name__": "__main__", "sys": sys, "importlib": importlib}
    if _STARTUP in sys.modules:
        exec(f"importlib.reload(sys.modules[{_STARTUP!r}])", scope)
    else:
        exec(f"import {_STARTUP}", scope)


def _root() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _count_operations(path: str, operation: int, number: int) -> None:
    with open(path, "r+b") as stream:
        counter = mmap.mmap(stream.fileno(), 8)
    pack, owner, sync = struct.Struct("q"), os.getpid(), os.fsync
    done = 0

    def advance() -> None:
        nonlocal done
        if os.getpid() != owner:
            return  # a worker that was forked
        done += 1
        counter[:] = pack.pack(done)
        if done == operation:
            os.kill(owner, number)

    def watch(event: str, arguments: Any) -> None:
        if event == "open":
            name, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and name != os.devnull:
                advance()
        elif event in _OPERATIONS:
            advance()

    def counted_sync(descriptor: int) -> None:
        advance()
        sync(descriptor)

    os.fsync = counted_sync  # type: ignore[assignment]
    sys.addaudithook(watch)
