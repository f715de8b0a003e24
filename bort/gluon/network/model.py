"""`BortModel`: token embedding, encoder and masked-token decoder."""

from __future__ import annotations

import warnings
from typing import Any, Dict, Optional, Tuple

import mxnet as mx
from mxnet.gluon import HybridBlock, nn

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.activation import Activation
from bort.gluon.network.encoder import Encoder, LayerNorm
from bort.network.activations import DEFAULT_ACTIVATION
from bort.network.memory import check_memory

INITIAL_SPREAD = 0.02
"""Standard deviation of initial weights."""


class BortModel(HybridBlock):
    """A BERT-like encoder of any architecture, with a masked-token decoder tied to the embedding.

    Structural parameter names are those of the original release and of GluonNLP's RoBERTa and
    BERT, so their `.params` files load unchanged. `model.initialize()` draws weights from
    N(0, 0.02²) and sets biases to 0; call `mx.random.seed` first for reproducible weights.

    Source: arXiv 2010.10499, section 3; the decoder is RoBERTa's (arXiv 1907.11692).

    Args:
        architecture: sizes of the network; `token_types` above 0 adds a token-type embedding.
        dropout: dropout probability after the embedding, in the attention, and before every
            residual addition; in [0, 1).
        use_decoder: whether to build the masked-token decoder.
        use_pooler: whether to build a pooler: tanh of a dense layer on the first token.
        layer_norm_eps: ε of the layer norms in the encoder.
        decoder_layer_norm_eps: ε of the decoder's layer norm. The original release uses 1e-12
            (inferred from its outputs); GluonNLP 0.10 and Hugging Face use one ε for all.
        activation: a name of `bort.network.activations`.
        tied_decoder: whether the decoder's matrix is the token embedding.
        prefix: prefix of the Gluon parameter names.
        params: a Gluon parameter dictionary to share with.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        dropout: float = 0.1,
        use_decoder: bool = True,
        use_pooler: bool = False,
        layer_norm_eps: float = 1e-5,
        decoder_layer_norm_eps: float = 1e-12,
        activation: str = DEFAULT_ACTIVATION,
        tied_decoder: bool = True,
        prefix: Optional[str] = None,
        params: Optional[Any] = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is {dropout!r}, allowed is 0 to below 1")
        check_memory(architecture)
        self.architecture = architecture
        self.dropout = dropout
        self.layer_norm_eps = layer_norm_eps
        self.decoder_layer_norm_eps = decoder_layer_norm_eps
        self.activation = activation
        self.tied_decoder = tied_decoder
        self._graphs: Dict[Tuple[bool, ...], Dict[str, Any]] = {}
        size, hidden = architecture.vocabulary_size, architecture.hidden
        with self.name_scope():
            self.encoder = Encoder(architecture, dropout, layer_norm_eps, activation)
            self.word_embed = _embedding(size, hidden, "word_embed_")
            self.token_type_embed = None
            if architecture.token_types:
                types = architecture.token_types
                self.token_type_embed = _embedding(types, hidden, "token_type_embed_")
            self.pooler = None
            if use_pooler:
                self.pooler = nn.Dense(
                    hidden, in_units=hidden, flatten=False, activation="tanh", prefix="pooler_"
                )
            self.decoder: Any = None
            if use_decoder:
                tied = self.word_embed[0].collect_params() if tied_decoder else None
                self.decoder = nn.HybridSequential(prefix="decoder_")
                with self.decoder.name_scope():
                    self.decoder.add(nn.Dense(hidden, in_units=hidden, flatten=False))
                    self.decoder.add(Activation(activation))
                    self.decoder.add(LayerNorm(hidden, decoder_layer_norm_eps))
                    self.decoder.add(nn.Dense(size, in_units=hidden, flatten=False, params=tied))

    @property
    def embedding_weight(self) -> mx.gluon.Parameter:
        """The token embedding (V, H), which a tied decoder shares as its output matrix."""
        return self.word_embed[0].weight

    @property
    def decoder_weight(self) -> mx.gluon.Parameter:
        """The output matrix (V, H) of the decoder."""
        return self.decoder[3].weight

    def initialize(
        self,
        init: Any = None,
        ctx: Any = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Draw initial weights from N(0, 0.02²), or with `init` if it is given."""
        init = mx.init.Normal(INITIAL_SPREAD) if init is None else init
        super().initialize(init, ctx, verbose, force_reinit)

    def __call__(
        self,
        input_ids: Any,
        valid_lengths: Any = None,
        masked_positions: Any = None,
        token_types: Any = None,
    ) -> Any:
        """Encode token ids, and predict tokens at the masked positions.

        Args:
            input_ids: int32 (B, L), L up to the architecture's maximum length.
            valid_lengths: int or float (B,), number of tokens in every row that are not padding;
                None means that there is no padding.
            masked_positions: int32 (B, P), positions to predict; None predicts nothing.
            token_types: int32 (B, L); None means type 0. Ignored without a token-type embedding.

        Returns:
            `encoded` (B, L, H), zero at padding; with a pooler `(encoded, pooled (B, H))`. With
            masked positions, the logits (B, P, V) are the last element: `(encoded, logits)`.

        Raises:
            InputError: L is above the maximum length, or the model has no decoder for the masked
                positions.
        """
        longest = self.architecture.maximum_length
        if isinstance(input_ids, mx.nd.NDArray) and input_ids.shape[1] > longest:
            raise InputError(f"input is {input_ids.shape[1]} tokens long, allowed are {longest}")
        if masked_positions is not None and self.decoder is None:
            raise InputError("masked positions are given to a model built with use_decoder=False")
        return super().__call__(input_ids, valid_lengths, masked_positions, token_types)

    def hybrid_forward(
        self,
        F: Any,
        input_ids: Any,
        valid_lengths: Any = None,
        masked_positions: Any = None,
        token_types: Any = None,
    ) -> Any:
        """See `__call__`."""
        encoded = self.encode(F, self.word_embed(input_ids), input_ids, valid_lengths, token_types)
        outputs = [encoded]
        if self.pooler is not None:
            first = F.slice_axis(encoded, axis=1, begin=0, end=1)
            outputs.append(self.pooler(first.reshape((0, -1))))
        if masked_positions is not None:
            outputs.append(self.decode(F, encoded, input_ids, masked_positions))
        return tuple(outputs) if len(outputs) > 1 else encoded

    def encode(
        self, F: Any, embedded: Any, input_ids: Any, valid_lengths: Any, token_types: Any = None
    ) -> Any:
        """Return the encoding (B, L, H) of embedded tokens (B, L, H); it is zero at padding."""
        return self.encode_with_attention(F, embedded, input_ids, valid_lengths, token_types)[0]

    def encode_with_attention(
        self, F: Any, embedded: Any, input_ids: Any, valid_lengths: Any, token_types: Any = None
    ) -> Any:
        """Return (encoded, query, key, value): the encoding and the last layer's attention.

        The query, key and value (B, L, Q) are those before scaling. Unused ones cost nothing in a
        compiled graph.
        """
        if self.token_type_embed is not None:
            token_types = F.zeros_like(input_ids) if token_types is None else token_types
            embedded = embedded + self.token_type_embed(token_types)
        if valid_lengths is None:
            valid_lengths = F.ones_like(input_ids).astype("float32").sum(axis=1)
        return self.encoder(embedded, valid_lengths)

    def decode(self, F: Any, encoded: Any, input_ids: Any, masked_positions: Any) -> Any:
        """Return the logits (B, P, V) at the masked positions (B, P) of `encoded` (B, L, H)."""
        return self.decoder[3](self.prepare(F, encoded, input_ids, masked_positions))

    def prepare(self, F: Any, encoded: Any, input_ids: Any, masked_positions: Any) -> Any:
        """Return the input (B, P, H) of the decoder's last layer, whose logits are W x + b."""
        # Row b of the batch begins at b·L in the flat list of tokens: (B, L) -> (B, 1)
        numbers = F.contrib.arange_like(input_ids.astype("float32")).reshape_like(input_ids)
        starts = F.slice_axis(numbers, axis=1, begin=0, end=1).astype("int32")
        rows = F.broadcast_add(masked_positions.astype("int32"), starts)
        # (B·L, H) -> (B, P, H)
        chosen = F.take(encoded.reshape((-3, 0)), rows, axis=0)
        for layer in list(self.decoder)[:3]:
            chosen = layer(chosen)
        return chosen

    def _call_cached_op(self, *args: Any) -> Any:
        # Gluon keeps one compiled graph per block, for the arguments of its first call. A model is
        # called with and without masked positions, so keep one graph for each set of arguments.
        key = tuple(argument is None for argument in args)
        kept = ("_cached_graph", "_cached_op", "_cached_op_args", "_in_format", "_out_format")
        for name in kept:
            if key in self._graphs:
                setattr(self, name, self._graphs[key][name])
        if key not in self._graphs:
            super()._clear_cached_op()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*is not used by any computation.*")
                self._build_cache(*args)
            self._graphs[key] = {name: getattr(self, name) for name in kept}
        return super()._call_cached_op(*args)

    def _clear_cached_op(self) -> None:
        self._graphs = {}
        super()._clear_cached_op()


def _embedding(rows: int, hidden: int, prefix: str) -> HybridBlock:
    embedding = nn.HybridSequential(prefix=prefix)
    with embedding.name_scope():
        embedding.add(nn.Embedding(rows, hidden))
    return embedding
