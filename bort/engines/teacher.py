"""A teacher that runs on an inference engine, from weights in memory or from a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Optional

import numpy as np

from bort.engines.choosing import open_source, require_engine
from bort.engines.protocol import Engine
from bort.engines.sources import Source, read_source, source_of_network
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.network.description import MASKED_LM
from bort.network.fingerprint import fingerprint_of
from bort.storage.files import sha256_of_file
from bort.text.examples import MaskedBatch


class EngineTeacher:
    """A `bort.teacher.answers.LiveTeacher`: the encoder, and the decoder at masked positions.

    Args:
        engine: runs the network.
        weights: SHA-256 of the weights.
    """

    def __init__(self, engine: Engine, weights: str) -> None:
        self.architecture = engine.description.architecture
        self.vocabulary_size = self.architecture.vocabulary_size
        self.engine = engine.name
        self.precision = engine.precision
        self._engine = engine
        self._weights = weights

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, engine and precision."""
        text = f"{self.engine} {self.precision} {self._weights}"
        return hashlib.sha256(text.encode()).hexdigest()

    def answer(self, batch: MaskedBatch) -> np.ndarray:
        """Return the logits at the masked positions, float32 (B, P, V)."""
        return self._engine.predict_tokens(
            batch.input_ids, batch.valid_lengths, batch.masked_positions, batch.token_types
        )


def teacher_of_network(
    network: ArrayNetwork, engine: str, precision: str, threads: Optional[int] = None
) -> EngineTeacher:
    """Return a teacher of weights in memory; see `bort.engines.choosing.open_engine`.

    Raises:
        InputError: the engine is not installed, or the network has no decoder.
    """
    return _teacher(source_of_network(network, "the teacher"), engine, precision, threads)


def teacher_of_folder(
    folder: Path, engine: str, precision: str, threads: Optional[int] = None
) -> EngineTeacher:
    """Return a teacher from any folder that `bort.engines.sources.read_source` reads.

    Raises:
        InputError: as in `read_source`; the engine is not installed; the model has no decoder.
    """
    require_engine(engine)
    return _teacher(read_source(folder), engine, precision, threads)


def _teacher(source: Source, engine: str, precision: str, threads: Optional[int]) -> EngineTeacher:
    if source.description.purpose != MASKED_LM:
        raise InputError(f"{source.name}: has no masked-token decoder")
    weights = _fingerprint(source)
    return EngineTeacher(open_source(source, engine, precision, threads), weights)


def _fingerprint(source: Source) -> str:
    """Return the SHA-256 of the names, shapes and values of weights, or of a graph's files."""
    arrays = {} if source.network is None else source.network.arrays
    files = () if source.graph is None else source.graph.files
    return fingerprint_of(arrays, after="".join(map(sha256_of_file, files)))
