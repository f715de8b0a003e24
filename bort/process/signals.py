"""`stopped_by_signals`: SIGINT, SIGTERM and SIGHUP unwind the work of a command."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Dict, Iterator, Optional

from bort.process.startup import ENDING_SIGNALS, end_at_once

_SECONDS_TO_CLEAN = 3.0
_SECONDS_TO_RAISE_AGAIN = 0.05


class Stopped(KeyboardInterrupt):
    """A signal asks the process to end; blocks that clean up run as after Ctrl-C.

    Attributes:
        number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(ENDING_SIGNALS[number])
        self.number = number


class Stops:
    """The signals of a process that asked it to end.

    Attributes:
        number: number of the first one; None before it.
    """

    def __init__(self) -> None:
        self.number: Optional[int] = None
        self._received = 0.0

    def handle(self, number: int, frame: Optional[FrameType]) -> None:
        """Raise `Stopped` on the first signal; end at once if SIGINT comes again after a while."""
        if self.number is None:
            self.number, self._received = number, time.monotonic()
            raise Stopped(number)
        if number == signal.SIGINT and time.monotonic() - self._received > _SECONDS_TO_CLEAN:
            end_at_once(number)

    def raise_again(self, number: int, frame: Optional[FrameType]) -> None:
        """Raise `Stopped` for the first signal once more."""
        assert self.number is not None
        raise Stopped(self.number)

    def unraisable(self, ignored: Any) -> None:
        """Raise `Stopped` a moment later if the interpreter had to drop it, as in a destructor."""
        if self.number is None or not issubclass(ignored.exc_type, Stopped):
            sys.__unraisablehook__(ignored)
        elif hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_RAISE_AGAIN)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[Stops]:
    """Turn signals that ask the process to end into `Stopped`, until the block ends.

    Signals that the process ignores stay ignored. The block may install other handlers; those of
    before come back at its end. Outside the main thread nothing happens.
    """
    stops = Stops()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before: Dict[int, Any] = {
        number: handler
        for number in ENDING_SIGNALS
        for handler in [signal.getsignal(number)]
        if handler not in (signal.SIG_IGN, None)
    }
    hook = sys.unraisablehook
    sys.unraisablehook = stops.unraisable
    for number in before:
        signal.signal(number, stops.handle)
    alarm = getattr(signal, "SIGALRM", None)
    if alarm is not None:
        before[alarm] = signal.signal(alarm, stops.raise_again)
    try:
        yield stops
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        sys.unraisablehook = hook
