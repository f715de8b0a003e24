"""Ends a command in one line when a signal arrives while it imports the library or exits.

Scripts import this module before anything else. It opens closed standard streams, and it installs
handlers that end the process at once: nothing has to be cleaned up yet. `run_command` has handlers
of its own while the command works. A script of the toolkit finds the toolkit's other folders, from
wherever it is called.

Nothing can be done before Python runs the first line of a script, in its first 20 to 50
milliseconds: SIGINT then shows a traceback of Python's own start, or ends the process as other
programs.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys

from bort import TYPE_CHECKING
from bort.process.standard_streams import open_standard_streams
from bort.process.toolkit import is_of_toolkit, put_toolkit_first

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, Dict, NoReturn, Optional

ERROR_FILE_VARIABLE = "BORT_ERROR_FILE"
"""Name of a file for the error of the first rank that fails, which then does not go to stderr."""

LAUNCHED_VARIABLE = "BORT_LAUNCHED_AT"
"""Name of the variable with the start of the launcher; see `bort.process.lifetime`."""

ENDING_SIGNALS = {
    number: word
    for name, word in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    for number in [getattr(signal, name, None)]
    if number is not None
}
"""The signals that ask a command to end, and the word for each; the exit status is 128 + number."""


def end_at_once(number: int, frame: Optional[FrameType] = None) -> None:
    """End the process without cleaning up."""
    if error_file() is None:
        try:
            os.write(2, f"error: {ENDING_SIGNALS[number]}\n".encode())
        except OSError:
            pass
    os._exit(128 + number)


def exit_with(status: int) -> NoReturn:
    """Exit, in a command without the slow end of its libraries, during which signals kill."""
    global _status
    _status = status
    sys.exit(status)


def _leave() -> None:
    """End the process as the last of the functions that run on exit."""
    if _status is not None:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                pass
        os._exit(_status)


def error_file() -> Optional[str]:
    """Return the file for the error of this process, None for standard error."""
    return _error_file if _has_begun else os.environ.get(ERROR_FILE_VARIABLE)


def begin_command() -> None:
    """Prepare this process, which is a command: its streams, signals and environment.

    The environment loses what was meant for this process alone and not for those that it starts.
    """
    global _has_begun, _error_file, launched_at
    if _has_begun:
        return
    _error_file = os.environ.pop(ERROR_FILE_VARIABLE, None)
    _has_begun = True
    atexit.register(_leave)
    open_standard_streams()
    for number in ENDING_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # such as SIGHUP under nohup
            signal.signal(number, end_at_once)
    # An empty variable counts as not set; the OpenMP library would print a warning.
    if os.environ.get("OMP_NUM_THREADS") == "":
        del os.environ["OMP_NUM_THREADS"]
    launched_at = os.environ.pop(LAUNCHED_VARIABLE, None)


def _importing_command() -> Optional[Dict[str, Any]]:
    """Return the globals of the program if it imports this module itself, and None otherwise.

    A program that imports the library keeps its own handlers, and so does a script that
    `multiprocessing` imports into a process that it spawned.
    """
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") != "__main__":
        return None
    return frame.f_globals


_status: Optional[int] = None
_has_begun = False
_error_file: Optional[str] = None

launched_at: Optional[str] = None
"""The start of the launcher of this process, which its own processes do not inherit."""

_program = _importing_command()
if _program is not None:
    begin_command()
    if "__file__" in _program and is_of_toolkit(_program["__file__"]):
        put_toolkit_first()
