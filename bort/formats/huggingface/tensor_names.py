"""The current names of the tensors in a Hugging Face folder, whatever wrapped or renamed them."""

from __future__ import annotations

from typing import Dict, Mapping

from bort.errors import InputError
from bort.formats.huggingface.tensor_file import Weights

_WRAPPERS = ("_orig_mod.", "module.", "model.")
"""Prefixes that `torch.compile`, `DataParallel` and wrapping modules leave."""

_PARTS_OF_A_PLAIN_MODEL = ("embeddings", "encoder", "pooler")
_OLD_ENDINGS = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
"""Endings of the names of tensors that hold constants, not weights."""

_PARTS_OF_ADAPTERS = ("lora_A", "lora_B", "lora_embedding_A", "adapters", "parametrizations")
DECODERS = {"bert": "cls.predictions.decoder", "roberta": "lm_head.decoder"}
_BIASES = {"bert": "cls.predictions.bias", "roberta": "lm_head.bias"}
WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"


def with_current_names(weights: Weights, model_type: str, *, tied: bool = True) -> Weights:
    """Return weights by their full current names, without buffers.

    Wrapping prefixes are dropped; the names of a plain model, which lack `bert.` or `roberta.`, get
    it; gamma and beta of old files become weight and bias. If the matrix of a tied decoder is
    stored under the decoder's name only, it becomes the token embedding, which it is. The bias of
    the decoder has both of its names.

    Args:
        weights: the tensors as stored.
        model_type: `bert` or `roberta`.
        tied: whether the decoder's matrix is the token embedding.

    Raises:
        InputError: two tensors have one name, or there are adapters.
    """

    def renamed(stored: str) -> str:
        name = _full_name(stored, model_type)
        if set(_PARTS_OF_ADAPTERS) & set(name.split(".")):
            raise InputError(
                f"{weights.path}: {stored!r} belongs to an adapter; merge it into its weights first"
            )
        first = origins.setdefault(name, stored)
        if first != stored:
            raise InputError(f"{weights.path}: {first!r} and {stored!r} are one tensor")
        return name

    origins: Dict[str, str] = {}
    tensors = {renamed(name): array for name, array in weights.tensors.items()}
    others = {renamed(name): dtype for name, dtype in weights.others.items()}
    decoder, embeddings = f"{DECODERS[model_type]}.weight", f"{model_type}.{WORD_EMBEDDINGS}"
    if tied and decoder in tensors and embeddings not in tensors:
        tensors[embeddings] = tensors.pop(decoder)
    own_bias, bias = f"{DECODERS[model_type]}.bias", _BIASES[model_type]
    if own_bias in tensors:
        tensors.setdefault(bias, tensors[own_bias])
    return Weights(
        weights.path, _without_buffers(tensors), _without_buffers(others), weights.converted
    )


def _full_name(name: str, model_type: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name[name.index(".") + 1 :]
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            name = name[: -len(old)] + new
    if name.split(".")[0] in _PARTS_OF_A_PLAIN_MODEL:
        name = f"{model_type}.{name}"
    return name


def _without_buffers(named: Mapping) -> Dict:
    return {name: value for name, value in named.items() if not name.endswith(_BUFFERS)}
