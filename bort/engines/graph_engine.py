"""An engine that runs the ONNX graph of `bort.formats.onnx_graph` on any library."""

from __future__ import annotations

from typing import Dict, Optional, Protocol, Sequence

import numpy as np

from bort.engines.protocol import check_inputs, check_positions, check_token_types
from bort.errors import InputError
from bort.formats.onnx_graph import (
    ATTENTION_MASK,
    HIDDEN,
    INPUT_IDS,
    LOGITS,
    MASKED_POSITIONS,
    TOKEN_TYPE_IDS,
)
from bort.network.description import ENCODER, ModelDescription


class Session(Protocol):
    """A graph that is loaded in a library. Several threads may use it at once.

    Attributes:
        inputs: names of the graph's inputs.
        outputs: names of the graph's outputs.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]

    def run(self, feed: Dict[str, np.ndarray], output: str) -> np.ndarray:
        """Return one output as a float32 array that owns its memory."""


class GraphEngine:
    """Implements `bort.engines.protocol.Engine` on a session.

    Args:
        session: the graph.
        description: description of the model.
        name: name of the engine.
        precision: precision of the session.
        source: name of the graph in error messages.

    Raises:
        InputError: the inputs or outputs of the graph do not fit the description.
    """

    def __init__(
        self,
        session: Session,
        description: ModelDescription,
        name: str,
        precision: str,
        source: str,
    ) -> None:
        self.name = name
        self.precision = precision
        self.description = description
        self._session = session
        self._source = source
        needed = {INPUT_IDS, ATTENTION_MASK}
        if description.architecture.token_types:
            needed.add(TOKEN_TYPE_IDS)
        wants_logits = description.purpose != ENCODER
        if not needed <= set(session.inputs) <= needed | {MASKED_POSITIONS} or (
            wants_logits and LOGITS not in session.outputs
        ):
            raise InputError(
                f"{source}: takes {', '.join(session.inputs)} and gives "
                f"{', '.join(session.outputs)}, unlike a graph of this toolkit"
            )

    def answer(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        if self.description.head is None:
            return self.encode(input_ids, lengths, token_types)
        return self._session.run(self._feed(input_ids, lengths, token_types), LOGITS)

    def encode(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        if HIDDEN not in self._session.outputs:
            raise InputError(f"{self._source}: does not give {HIDDEN}; export the model again")
        return self._session.run(self._feed(input_ids, lengths, token_types), HIDDEN)

    def predict_tokens(
        self,
        input_ids: np.ndarray,
        lengths: np.ndarray,
        positions: np.ndarray,
        token_types: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """See `Engine`."""
        feed = self._feed(input_ids, lengths, token_types)
        places = check_positions(self.description, feed[INPUT_IDS], positions)
        if MASKED_POSITIONS in feed:
            feed[MASKED_POSITIONS] = places
            return self._session.run(feed, LOGITS)
        # (B, L, V) -> (B, M, V)
        everywhere = self._session.run(feed, LOGITS)
        return np.take_along_axis(everywhere, places[:, :, None], 1)

    def _feed(
        self, input_ids: np.ndarray, lengths: np.ndarray, token_types: Optional[np.ndarray]
    ) -> Dict[str, np.ndarray]:
        ids, counts = check_inputs(self.description, input_ids, lengths)
        types = check_token_types(self.description, ids, token_types)
        mask = np.arange(ids.shape[1])[None, :] < counts[:, None]
        feed = {INPUT_IDS: ids, ATTENTION_MASK: mask.astype(np.int64)}
        if TOKEN_TYPE_IDS in self._session.inputs:
            feed[TOKEN_TYPE_IDS] = types
        if MASKED_POSITIONS in self._session.inputs:
            # The decoder needs at least one position per row.
            feed[MASKED_POSITIONS] = np.zeros((len(ids), 1), np.int64)
        return feed
