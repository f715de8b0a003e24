"""The error of a candidate as a sub-network of a super-network, without training it."""

from __future__ import annotations

import gc
import math
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.engines.choosing import open_network, require_engine
from bort.engines.protocol import MXNET
from bort.formats.precisions import FP32
from bort.gluon.engine import set_openmp_threads
from bort.gluon.super_network.evaluation import PartScorer
from bort.network.array_network import ArrayNetwork
from bort.ranks import Communicator
from bort.search.surrogates import Hyperparameters, Trial
from bort.super_network.extraction import extracted_network
from bort.super_network.folder import SuperNetwork
from bort.super_network.scores import MASKED_TOKEN_LOSS
from bort.tasks.metrics import mean_score


class SubNetworkErrors:
    """Errors of sub-networks on held-out data; implements `ErrorSource` and `ErrorModel`.

    The error is the masked-token loss in nats, or 1 minus the mean of a task's official metrics.
    The weights of the super-network are read once, by the first candidate.

    Args:
        source: the super-network.
        scorer: scores a network on held-out data.
        engine: engine that computes the scores.
        precision: precision of the scores; that of the deployed model, so that errors and
            latencies belong to the same graph.
        threads: threads of the engine.
        gpu: index of the GPU that MXNet computes on; the CPU if None.
        items: number of scored examples of a task, for `noise`; None if not known.

    Raises:
        InputError: the engine is not installed.
    """

    hyperparameters: Sequence[Hyperparameters] = (Hyperparameters(),)
    seeds: Sequence[int] = (0,)

    def __init__(
        self,
        source: SuperNetwork,
        scorer: PartScorer,
        *,
        engine: str = MXNET,
        precision: str = FP32,
        threads: int = 1,
        gpu: Optional[int] = None,
        items: Optional[int] = None,
    ) -> None:
        require_engine(engine)
        self._source, self._scorer = source, scorer
        self._engine, self._precision = engine, precision
        self._threads, self._gpu, self._items = threads, gpu, items
        self._network: Optional[ArrayNetwork] = None
        self.whole: Optional[Architecture] = source.whole
        self.reference: Optional[Architecture] = source.whole
        task = scorer.identity.get("task")
        self.name = (
            "masked-token loss of the sub-network"
            if task is None
            else f"1 - mean metric of the sub-network on {task}"
        )
        self.identity: Mapping[str, Any] = {
            "super_network": source.fingerprint,
            **scorer.identity,
            "error_engine": engine,
            "error_precision": precision,
        }

    @property
    def length(self) -> Optional[int]:
        """Tokens of the longest held-out input."""
        return self._scorer.longest

    def prepare(
        self,
        folder: Path,
        communicator: Communicator,
        stop_requested: Callable[[], bool],
    ) -> Optional[Callable[[], SubNetworkErrors]]:
        """Return a function that returns this object; see `ErrorSource`."""

        def ready() -> SubNetworkErrors:
            if self._engine == MXNET:
                set_openmp_threads(self._threads)  # timing may have changed the number
            return self

        return ready

    def error(self, trial: Trial) -> float:
        """Return the error of a candidate; see `ErrorModel`.

        Raises:
            InputError: the candidate does not fit into the super-network.
        """
        if self._network is None:
            self._network = self._source.read_network()
        part = extracted_network(self._source, self._network, trial.architecture, metrics={})
        engine = open_network(part, self._engine, self._precision, self._threads, self._gpu)
        gc.collect()  # Gluon's blocks refer to each other: this frees the network before
        metrics = self._scorer.score(engine)
        loss = metrics.get(MASKED_TOKEN_LOSS)
        return 1.0 - mean_score(metrics) if loss is None else float(loss)

    def noise(self, error: float) -> Optional[float]:
        """Return √(e(1 − e)/n), the standard error of a share on n examples; see `ErrorSource`."""
        if not self._items or not 0 <= error <= 1:
            return None
        return math.sqrt(error * (1 - error) / self._items)
