"""`BortSpanModel`: a model that finds the span of a text that answers a question."""

from __future__ import annotations

import warnings
from typing import Any, Optional

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from bort.gluon.network.model import INITIAL_SPREAD, BortModel
from bort.network.head import PADDED_LOGIT, SPAN, SPAN_OUTPUTS, check_fraction


class BortSpanModel(HybridBlock):
    """A dense layer on every token's encoding, which gives the logits of a span's start and end.

    Source: arXiv 1810.04805, section 4.2.

    Args:
        model: the encoder; its decoder is not used.
        dropout: dropout probability before the dense layer, in [0, 1). BERT has none there.
        prefix: prefix of the Gluon parameter names.
        params: a Gluon parameter dictionary to share with.

    Attributes:
        bort: the encoder.
        head: kind of the head, `span`.
        num_classes: outputs per token, 2.

    Raises:
        InputError: the dropout is out of its range.
    """

    head = SPAN
    num_classes = SPAN_OUTPUTS

    def __init__(
        self,
        model: BortModel,
        dropout: float = 0.0,
        prefix: Optional[str] = None,
        params: Optional[Any] = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        check_fraction("dropout", dropout)
        self.dropout = dropout
        self.bort = model
        with self.name_scope():
            self.qa_outputs = nn.Dense(
                SPAN_OUTPUTS,
                in_units=model.architecture.hidden,
                flatten=False,
                prefix="qa_outputs_",
            )

    def initialize(
        self,
        init: Any = None,
        ctx: Any = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Draw the initial weights that are not set yet from N(0, 0.02²), or with `init`."""
        init = mx.init.Normal(INITIAL_SPREAD) if init is None else init
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*already initialized.*")
            super().initialize(init, ctx, verbose, force_reinit)

    def __call__(self, input_ids: Any, valid_lengths: Any = None, token_types: Any = None) -> Any:
        """Return the logits of start and end for token ids (B, L); see `BortModel.__call__`.

        Returns:
            (B, L, 2): `[..., 0]` are the logits of a span's first token, `[..., 1]` those of its
            last token. Both are -10,000 at padding, where a softmax over the tokens is exactly 0.
        """
        return super().__call__(input_ids, valid_lengths, token_types)

    def hybrid_forward(
        self, F: Any, input_ids: Any, valid_lengths: Any = None, token_types: Any = None
    ) -> Any:
        """See `__call__`."""
        return self.answer_with_attention(F, input_ids, valid_lengths, token_types)[0]

    def answer_with_attention(
        self, F: Any, input_ids: Any, valid_lengths: Any = None, token_types: Any = None
    ) -> Any:
        """Return (logits, encoded, query, key, value); see `BortModel.encode_with_attention`."""
        embedded = self.bort.word_embed(input_ids)
        encoded, *attention = self.bort.encode_with_attention(
            F, embedded, input_ids, valid_lengths, token_types
        )
        read = F.Dropout(encoded, p=self.dropout) if self.dropout else encoded
        # (B, L, H) -> (B, L, 2)
        logits = self.qa_outputs(read)
        if valid_lengths is not None:
            logits = F.SequenceMask(
                logits,
                valid_lengths.astype("float32"),
                use_sequence_length=True,
                value=PADDED_LOGIT,
                axis=1,
            )
        return (logits, encoded, *attention)
