"""`ReopeningEngine`: an engine that opens its model again in a forked process."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, Callable, Optional

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import WorkError
from bort.process.forks import ForkLock, in_forked_children, never_destroy
from bort.storage.folder_state import folder_state


class ReopeningEngine:
    """Implements `bort.engines.protocol.Engine` by another engine, also in forked processes.

    The threads of OpenVINO, ONNX Runtime and MXNet do not survive a fork. In a forked process the
    first call opens the model again, from its folder.

    Args:
        engine: the engine of this process.
        folder: folder of the model; None for a model in memory, which forked processes refuse.
        reopen: opens the folder again.
        source: name of the model in error messages.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Optional[Path],
        reopen: Callable[[], Engine],
        source: str,
    ) -> None:
        self.name = engine.name
        self.precision = engine.precision
        self.description = engine.description
        self._engine = engine
        self._process = os.getpid()
        self._folder = None if folder is None else folder.absolute()
        self._state = None if folder is None else folder_state(folder)
        self._reopen = reopen
        self._source = source
        self._lock = ForkLock()
        _engines.add(self)

    def answer(self, *inputs: Any, **named: Any) -> np.ndarray:
        """See `Engine`."""
        return self._here().answer(*inputs, **named)

    def encode(self, *inputs: Any, **named: Any) -> np.ndarray:
        """See `Engine`."""
        return self._here().encode(*inputs, **named)

    def predict_tokens(self, *inputs: Any, **named: Any) -> np.ndarray:
        """See `Engine`."""
        return self._here().predict_tokens(*inputs, **named)

    def keep(self) -> None:
        """Never destroy the engine that was opened so far."""
        never_destroy(self._engine)

    def _here(self) -> Engine:
        """Return the engine of this process.

        Raises:
            WorkError: the process was forked, and the model cannot be opened again.
        """
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._engine = self._opened_again()
                    self.name, self.precision = self._engine.name, self._engine.precision
                    self._process = os.getpid()
        return self._engine

    def _opened_again(self) -> Engine:
        if self._folder is None:
            raise WorkError(
                f"{self._source}: was opened from memory before this process was forked, and "
                f"{self.name} does not survive a fork; open the model in this process"
            )
        if folder_state(self._folder) != self._state:
            raise WorkError(
                f"{self._folder}: has changed since the model was opened, so this forked process "
                "cannot open it again"
            )
        return self._reopen()


def _keep_all() -> None:
    for engine in list(_engines):
        engine.keep()


_engines: weakref.WeakSet[ReopeningEngine] = weakref.WeakSet()
in_forked_children(_keep_all)
