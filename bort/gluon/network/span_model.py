"""`BortSpanModel`: a model that finds the span of a text that answers a question."""

from __future__ import annotations

from typing import Any, Optional

from mxnet.gluon import nn

from bort.gluon.network.model import BortModel
from bort.gluon.network.networks import HeadedNetwork
from bort.network.head import PADDED_LOGIT, SPAN, SPAN_OUTPUTS, check_fraction


class BortSpanModel(HeadedNetwork):
    """A dense layer on every token's encoding, which gives the logits of a span's start and end.

    The outputs are (B, L, 2): `[..., 0]` are the logits of a span's first token, `[..., 1]` those
    of its last one. Both are -10,000 at padding, where a softmax over the tokens is exactly 0.

    Source: arXiv 1810.04805, section 4.2.

    Args:
        model: the encoder; its decoder is not used.
        dropout: dropout probability before the dense layer, in [0, 1). BERT has none there.
        prefix: prefix of the Gluon parameter names.
        params: a Gluon parameter dictionary to share with.

    Raises:
        InputError: the dropout is out of its range.
    """

    def __init__(
        self,
        model: BortModel,
        dropout: float = 0.0,
        prefix: Optional[str] = None,
        params: Optional[Any] = None,
    ) -> None:
        super().__init__(model, prefix, params)
        check_fraction("dropout", dropout)
        self.head = SPAN
        self.dropout = dropout
        self.num_classes = SPAN_OUTPUTS
        self.problem_type = SPAN
        with self.name_scope():
            self.qa_outputs = nn.Dense(
                SPAN_OUTPUTS,
                in_units=model.architecture.hidden,
                flatten=False,
                prefix="qa_outputs_",
            )

    def read(self, F: Any, encoded: Any, valid_lengths: Any) -> Any:
        """Return the logits of start and end (B, L, 2); see `HeadedNetwork.read`."""
        if self.dropout:
            encoded = F.Dropout(encoded, p=self.dropout)
        logits = self.qa_outputs(encoded)
        if valid_lengths is None:
            return logits
        return F.SequenceMask(
            logits,
            valid_lengths.astype("float32"),
            use_sequence_length=True,
            value=PADDED_LOGIT,
            axis=1,
        )
