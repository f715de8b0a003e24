"""Progress of long work: a bar with an ETA on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Dict, Optional

log = logging.getLogger(__name__)


class Progress:
    """A bar with an ETA on a terminal; elsewhere a plain line every few seconds.

    Args:
        total: number of units in all; None if unknown, which shows no ETA.
        what: title.
        unit: name of a unit.
        done: number of units that are already done.
        enabled: whether this process shows anything.
        is_bound: whether the total is an upper bound, which `recount` may lower.
        seconds_between_lines: interval of the plain lines.
    """

    def __init__(
        self,
        total: Optional[int],
        what: str,
        *,
        unit: str = "step",
        done: int = 0,
        enabled: bool = True,
        is_bound: bool = False,
        seconds_between_lines: float = 15.0,
    ) -> None:
        self._what, self._total, self._done, self._first = what, total, done, done
        self._enabled = enabled
        self._unit = unit
        self._at_most = "at most " if is_bound else ""
        self._between = seconds_between_lines
        self._began = self._spoke = time.monotonic()
        self._bar: Any = None
        if enabled and sys.stderr.isatty():
            from tqdm import tqdm  # 13 ms of each command that shows no bar

            tqdm.monitor_interval = 0  # no monitor thread: processes may fork while a bar is shown
            self._bar = tqdm(
                total=total,
                initial=done,
                desc=f"{what} (at most)" if is_bound else what,
                unit=unit,
                dynamic_ncols=True,
                leave=True,
            )

    def advance(self, count: int = 1, **numbers: float) -> None:
        """Advance by `count` units, and show `numbers` next to the bar."""
        self._done += count
        shown = {name: f"{value:.4g}" for name, value in numbers.items()}
        if self._bar is not None:
            if shown:
                self._bar.set_postfix(shown, refresh=False)
            self._bar.update(count)
            return
        now = time.monotonic()
        finished = count > 0 and self._total is not None and self._done >= self._total
        if self._enabled and (now - self._spoke >= self._between or finished):
            self._spoke = now
            log.info("%s", self._line(now, shown))

    def recount(self, total: int, found: int = 0) -> None:
        """Change the total, and add `found` units that were done before; the ETA excludes them."""
        is_changed = total != self._total
        self._total = total
        self._done += found
        self._first += found
        if self._bar is not None:
            self._bar.total = total
            self._bar.initial += found
            self._bar.n += found
            self._bar.last_print_n += found
            if is_changed:
                self._bar.refresh()
        elif self._enabled and is_changed and self._done >= total:
            log.info("%s", self._line(time.monotonic(), {}))

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, now: float, shown: Dict[str, str]) -> str:
        rate = (self._done - self._first) / max(1e-9, now - self._began)
        numbers = "".join(f", {name} {value}" for name, value in shown.items())
        if self._total is None:
            return (
                f"{self._what}: {self._done}, {now - self._began:.0f} s, "
                f"{rate:.0f} {self._unit}s a second{numbers}"
            )
        units = max(0, self._total - self._done)  # an estimated total may be too small
        left = "?" if units > 0 and rate <= 0 else f"{units / rate if rate > 0 else 0.0:.0f}"
        if left != "?":
            left = self._at_most + left
        return (
            f"{self._what}: {self._done}/{self._at_most}{max(self._total, self._done)}, "
            f"{now - self._began:.0f} s, {left} s left{numbers}"
        )


class RowProgress:
    """A `Progress` of work that reports its own total and how much of it is done.

    Args:
        what: title.
        enabled: whether this process shows anything.
        unit: name of a unit.
    """

    def __init__(self, what: str, enabled: bool = True, unit: str = "row") -> None:
        self._what = what
        self._unit = unit
        self._enabled = enabled
        self._progress: Optional[Progress] = None
        self._done = 0

    def show(self, done: int, total: int) -> None:
        """Show `done` of `total` rows; the ETA excludes rows done before the first call."""
        if self._progress is None:
            self._progress = Progress(
                total, self._what, unit=self._unit, done=done, enabled=self._enabled
            )
        else:
            self._progress.advance(done - self._done)
        self._done = done

    def close(self) -> None:
        """Close the bar."""
        if self._progress is not None:
            self._progress.close()
