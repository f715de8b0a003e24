"""The architecture `<D, A, H, I>` of a model, named presets, and exact counts of its costs."""

from __future__ import annotations

import dataclasses
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.errors import InputError
from bort.storage.files import read_json
from bort.storage.json_fields import shown

LARGEST_SIZE = 2**24
"""Maximum size of an architecture. A larger number means damage: it could fill the memory before it
is compared with weights."""

LARGEST_DEPTH = 2**12
"""Maximum number of layers."""

POST_NORM, PRE_NORM = "post", "pre"
NORMS = (POST_NORM, PRE_NORM)
"""Values of `Architecture.norm`."""


_ITSELF = "architecture: "
"""Start of the messages about sizes."""

_SIZE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, order=True)
class Architecture:
    """A BERT-like encoder `<D, A, H, I>` with its vocabulary and maximum length.

    Source: arXiv 2010.10499, section 3. All sizes are counts from 1 (token types: from 0) to
    `LARGEST_SIZE`, the depth to `LARGEST_DEPTH`.

    Attributes:
        depth: D, number of encoder layers.
        heads: A, attention heads per layer; must divide `qkv`.
        hidden: H, width of the residual stream (GluonNLP calls it `units`).
        intermediate: I, width of the feed-forward layer (GluonNLP calls it `hidden_size`).
        vocabulary_size: V, rows of the token embedding, shared with the decoder.
        maximum_length: S, rows of the position embedding: the longest input in tokens.
        token_types: rows of the token-type embedding, 0 for none (RoBERTa and Bort have none).
        qkv: Q, width of the attention: of query, key and value over all heads (arXiv 2107.13686,
            section 3). 0, the default, stands for `hidden`.
        norm: place of the layer norms. `post`: after the embedding and after every residual
            addition. `pre`: before the attention and before the feed-forward part of every layer,
            and after the last layer (arXiv 2002.04745, Figure 1; MegatronBERT's layout, arXiv
            1909.08053).

    Raises:
        InputError: a size is not an integer in its range, heads do not divide qkv, or norm is
            unknown.

    >>> str(Architecture(4, 8, 1024, 768))
    '<D=4, A=8, H=1024, I=768>'
    >>> Architecture(4, 8, 1024, 768).parameter_count()
    75106304
    >>> str(Architecture(5, 8, 564, 1054, qkv=512))
    '<D=5, A=8, H=564, I=1054, Q=512>'
    >>> str(Architecture(4, 8, 1024, 768, norm="pre"))
    '<D=4, A=8, H=1024, I=768, pre-norm>'
    """

    depth: int
    heads: int
    hidden: int
    intermediate: int
    vocabulary_size: int = 50265
    maximum_length: int = 512
    token_types: int = 0
    qkv: int = 0
    norm: str = POST_NORM

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.name != "norm":
                _check_size(field.name, getattr(self, field.name))
        if self.norm not in NORMS:
            allowed = ", ".join(NORMS)
            raise InputError(f"{_ITSELF}norm is {shown(self.norm)}, allowed are {allowed}")
        if not self.qkv:
            object.__setattr__(self, "qkv", self.hidden)
        if self.qkv % self.heads:
            wide = "hidden" if self.qkv == self.hidden else "qkv"
            raise InputError(
                f"{_ITSELF}heads is {self.heads}, which does not divide {wide} {self.qkv}"
            )

    def __str__(self) -> str:
        sizes = f"D={self.depth}, A={self.heads}, H={self.hidden}, I={self.intermediate}"
        qkv = "" if self.qkv == self.hidden else f", Q={self.qkv}"
        return f"<{sizes}{qkv}, pre-norm>" if self.norm == PRE_NORM else f"<{sizes}{qkv}>"

    @property
    def head_width(self) -> int:
        """The width of one attention head, Q / A."""
        return self.qkv // self.heads

    def parameter_count(self, *, pooler: bool = False, decoder: bool = False) -> int:
        """Return the exact number of trainable parameters.

        `H(V + S + N) + 2H + D(4HQ + 3Q + 2HI + 6H + I)` with N token types; with Q = H, a layer has
        `4H² + 2HI + 9H + I`. A pooler adds `H² + H`. The masked-token decoder adds `H² + 3H + V`: a
        dense layer, a layer norm and a bias per token; its output matrix is the embedding. The
        place of the layer norms does not change the numbers: the one after the embedding moves
        behind the last layer.

        Source: arXiv 2010.10499, Table 1. With `token_types=1` and `pooler=True` this gives the
        printed numbers less 1024·H, a difference that the paper does not explain.
        """
        hidden, intermediate = self.hidden, self.intermediate
        embedding = hidden * (self.vocabulary_size + self.maximum_length + self.token_types)
        attention = 4 * hidden * self.qkv + 3 * self.qkv
        layer = attention + 2 * hidden * intermediate + 6 * hidden + intermediate
        total = embedding + 2 * hidden + self.depth * layer
        if pooler:
            total += hidden**2 + hidden
        if decoder:
            total += hidden**2 + 3 * hidden + self.vocabulary_size
        return total

    def multiply_adds_per_token(self, length: int, *, pooler: bool = False) -> int:
        """Return the multiply-adds of a forward pass for one of `length` tokens in a sequence.

        `D(4HQ + 2HI + 2SQ)` with S the length; the number of heads has no effect. `pooler=True`
        adds the `H²` of arXiv 2010.08512, Lemma 2 (our reading of it). A pooler really runs once
        per sequence, not once per token.

        Raises:
            InputError: `length` is not in 1 to `maximum_length`.
        """
        self._check_length(length)
        hidden, intermediate = self.hidden, self.intermediate
        layer = 4 * hidden * self.qkv + 2 * hidden * intermediate + 2 * length * self.qkv
        return self.depth * layer + (hidden**2 if pooler else 0)

    def multiply_adds_per_prediction(self) -> int:
        """Return the multiply-adds of the masked-token decoder for one position: `H² + HV`."""
        return self.hidden**2 + self.hidden * self.vocabulary_size

    def multiply_adds(self, batch: int, length: int, predictions: int = 0) -> int:
        """Return the multiply-adds of a forward pass over a batch.

        A backward pass through all layers costs twice this number.

        Args:
            batch: number of sequences.
            length: tokens per sequence, 1 to `maximum_length`.
            predictions: masked positions per sequence that the decoder predicts.
        """
        encoder = length * self.multiply_adds_per_token(length)
        return batch * (encoder + predictions * self.multiply_adds_per_prediction())

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as a dictionary, which `from_dict` reads.

        It has qkv only if that is not hidden, and norm only if that is not `post`: older files lack
        these fields, so the file of an architecture that needs neither keeps its bytes.
        """
        values = dataclasses.asdict(self)
        if self.qkv == self.hidden:
            del values["qkv"]
        if self.norm == POST_NORM:
            del values["norm"]
        return values

    def replace(self, **changes: Any) -> Architecture:
        """Return a copy with some fields changed; the copy is checked too.

        A qkv that is equal to hidden follows a change of hidden.
        """
        if self.qkv == self.hidden:
            changes = {"qkv": 0, **changes}
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "architecture") -> Architecture:
        """Build from a mapping of field names to values.

        Raises:
            InputError: a field is unknown or missing; the message begins with `source`.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        missing = sorted({"depth", "heads", "hidden", "intermediate"} - set(values))
        if unknown:
            raise InputError(f"{source}: unknown field {unknown[0]!r}, known are {sorted(known)}")
        if missing:
            raise InputError(f"{source}: field {missing[0]!r} is missing")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{source}: {str(error)[len(_ITSELF) :]}") from error

    def _check_length(self, length: int) -> None:
        if not 1 <= length <= self.maximum_length:
            raise InputError(
                f"architecture: length is {length}, allowed is 1 to {self.maximum_length}"
            )


def _check_size(name: str, value: Any) -> None:
    least = 0 if name in ("token_types", "qkv") else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{_ITSELF}{name} is {value!r}, allowed is an integer of at least {least}")
    most = LARGEST_DEPTH if name == "depth" else LARGEST_SIZE
    if value > most:
        raise InputError(f"{_ITSELF}{name} is {value}, allowed is at most {most}")


def _presets() -> Dict[str, Architecture]:
    uncased: Dict[str, Any] = {"vocabulary_size": 30522, "token_types": 2}
    cased: Dict[str, Any] = {"vocabulary_size": 28996, "token_types": 2}
    table: Dict[str, Architecture] = {
        # Names of the release: the last two numbers are intermediate, then hidden.
        "bort_4_8_768_1024": Architecture(4, 8, 1024, 768),
        "bort_2_16_512_1024": Architecture(2, 16, 1024, 512),
        # As printed in the paper: hidden, then intermediate. The heads of A2 and A3 are not known.
        "bort_printed_4_8_768_1024": Architecture(4, 8, 768, 1024),
        "bort_printed_4_4_512_1024": Architecture(4, 4, 512, 1024),
        "bort_printed_4_8_512_1024": Architecture(4, 8, 512, 1024),
        "bort_printed_4_16_512_1024": Architecture(4, 16, 512, 1024),
        "roberta_12_768_12": Architecture(12, 12, 768, 3072),
        "roberta_24_1024_16": Architecture(24, 16, 1024, 4096),
        "bert_12_768_12": Architecture(12, 12, 768, 3072, **uncased),
        "bert_24_1024_16": Architecture(24, 16, 1024, 4096, **uncased),
        "bert_12_768_12_cased": Architecture(12, 12, 768, 3072, **cased),
        "bert_24_1024_16_cased": Architecture(24, 16, 1024, 4096, **cased),
        "bert_of_theseus": Architecture(6, 12, 768, 3072, **uncased),
        "tinybert_4": Architecture(4, 12, 312, 1200, **uncased),
        "bert_mini": Architecture(4, 4, 256, 1024, **uncased),
        "bert_small": Architecture(4, 8, 512, 2048, **uncased),
        # Pre-norm. Both pad the vocabulary of BERT with rows without a token: MegatronBERT (arXiv
        # 1909.08053, the 345 million parameters of NVIDIA's release) and academic-budget BERT
        # (arXiv 2104.07705).
        "megatron_bert_24_1024_16_cased": Architecture(
            24, 16, 1024, 4096, 29056, token_types=2, norm=PRE_NORM
        ),
        "academic_bert_24_1024_16": Architecture(
            24, 16, 1024, 4096, 30528, token_types=2, norm=PRE_NORM
        ),
    }
    return table


PRESETS: Mapping[str, Architecture] = _presets()
"""Named architectures. `bort_4_8_768_1024` is the released checkpoint (hidden 1024, intermediate
768); `bort_printed_4_8_768_1024` is the orientation printed in the paper (hidden 768)."""

TABLE_2_MILLIONS: Tuple[Tuple[str, str, float], ...] = (
    ("Bort as printed", "bort_printed_4_8_768_1024", 56.14),
    ("A2, A3 of Table 1", "bort_printed_4_8_512_1024", 35.20),
    ("TinyBERT-4", "tinybert_4", 14.5),
    ("BERT-of-Theseus", "bert_of_theseus", 66.0),
    ("BERT-Mini", "bert_mini", 11.3),
    ("BERT-Small", "bert_small", 29.1),
    ("BERT-base", "bert_12_768_12", 110.0),
    ("BERT-large", "bert_24_1024_16", 340.0),
    ("RoBERTa-large", "roberta_24_1024_16", 355.0),
)
"""Rows (title, preset, parameters printed in arXiv 2010.10499 in millions)."""


def get_architecture(name: str, like: Optional[Architecture] = None) -> Architecture:
    """Return an architecture by preset name, by `D-A-H-I[-Q][-pre]`, or from a JSON file.

    `-pre` stands for pre-norm. A JSON file holds the fields of `Architecture`, or has them under
    the key `architecture`.

    Args:
        name: see above.
        like: an architecture whose other fields, such as the maximum length, `D-A-H-I` takes; None
            for the defaults.

    Raises:
        InputError: the name is unknown (the message lists the known ones) or the file is bad.

    >>> get_architecture("4-8-1024-768") == PRESETS["bort_4_8_768_1024"]
    True
    """
    if name in PRESETS:
        return PRESETS[name]
    *parts, last = name.split("-")
    norm = PRE_NORM if last == PRE_NORM else POST_NORM
    if norm == POST_NORM:
        parts.append(last)
    if len(parts) in (4, 5) and all(_SIZE.fullmatch(part) for part in parts):
        names = ("depth", "heads", "hidden", "intermediate", "qkv")
        sizes: Dict[str, Any] = dict(zip(names, map(int, parts)))
        if norm == PRE_NORM:
            sizes["norm"] = norm
        if like is None:
            return Architecture(**sizes)
        return dataclasses.replace(like, **{"qkv": 0, **sizes})
    if name.endswith(".json") or os.path.isfile(name):
        values = read_json(name)
        if isinstance(values, dict) and isinstance(values.get("architecture"), dict):
            values = values["architecture"]
        if not isinstance(values, dict):
            raise InputError(f"{name}: holds no architecture (a JSON object is expected)")
        return Architecture.from_dict(values, source=name)
    raise InputError(
        f"architecture: {name!r} is unknown; known are {', '.join(sorted(PRESETS))}, "
        "or depth-heads-hidden-intermediate[-qkv][-pre] such as 4-8-1024-768, or a .json file"
    )
