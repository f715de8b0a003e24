"""Where a search under a limit gets the errors of its candidates from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Protocol, Sequence

from bort.architecture import Architecture
from bort.ranks import Communicator
from bort.search.surrogates import ErrorModel, Hyperparameters


class ErrorSource(Protocol):
    """A way to measure the errors of candidates, prepared once for all of them.

    Attributes:
        name: what the error is, for tables and figures.
        identity: JSON-ready values that the errors depend on; a resumed search has the same.
        whole: a network whose error is shown beside those of the candidates; None for none.
        reference: the network that speed-ups refer to unless the search names another; `prepare`
            may set it.
        hyperparameters: sets of hyperparameters, Θ, each tried on every candidate.
        seeds: seeds, each tried with every θ.
    """

    name: str
    identity: Mapping[str, Any]
    whole: Optional[Architecture]
    reference: Optional[Architecture]
    hyperparameters: Sequence[Hyperparameters]
    seeds: Sequence[int]

    @property
    def length(self) -> Optional[int]:
        """Tokens of the longest held-out input; None if inputs have no common length."""

    def prepare(
        self,
        folder: Path,
        communicator: Communicator,
        stop_requested: Callable[[], bool],
    ) -> Optional[Callable[[], ErrorModel]]:
        """Prepare what all candidates share; every rank calls it.

        Args:
            folder: folder of the search, which this process holds.
            communicator: the ranks that share the work.
            stop_requested: whether to stop; called regularly.

        Returns:
            A function that builds the model of the error, called when this rank has a candidate
            to measure; None when stopped.
        """

    def noise(self, error: float) -> Optional[float]:
        """Return the standard error of an error on these held-out data; None if not known."""
