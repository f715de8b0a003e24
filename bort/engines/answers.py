"""The answers of an engine to batches, for `bort.text.asking`."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np

from bort.engines.protocol import Engine
from bort.errors import BortError, WorkError
from bort.text.asking import Compute, PaddedInputs


def engine_answers(engine: Engine) -> Compute:
    """Return the function from a batch to the outputs of an engine's model; see `Engine.answer`."""
    return lambda batch: run_engine(engine, engine.answer, batch)


def run_engine(
    engine: Engine,
    compute: Callable[..., np.ndarray],
    batch: PaddedInputs,
    positions: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Return what a method of an engine returns for a batch.

    Args:
        engine: the engine.
        compute: `engine.answer`, `engine.encode` or, with positions, `engine.predict_tokens`.
        batch: the inputs.
        positions: int (B, M), the positions to predict; None for the other methods.

    Raises:
        WorkError: the engine's library raised an error.
    """
    _, ids, lengths, types = batch
    given = (ids, lengths) if positions is None else (ids, lengths, positions)
    try:
        return compute(*given, types)
    except (BortError, MemoryError):
        raise
    except Exception as error:  # each library raises types of its own
        raise WorkError(f"engine {engine.name} failed: {error}") from error
