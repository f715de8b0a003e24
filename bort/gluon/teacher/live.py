"""`GluonTeacher`: a teacher on MXNet from a model folder, a file, or GluonNLP's model zoo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.formats.mxnet_params import read_params
from bort.formats.network_folder import description_file
from bort.gluon.network.inputs import input_arrays
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.networks import Network
from bort.gluon.network.parameters import collect_arrays, load_parameters
from bort.gluon.teacher.zoo import ZOO, zoo_file
from bort.network.fingerprint import fingerprint_of
from bort.storage.files import PathLike
from bort.text.examples import MaskedBatch

IGNORED = ("pooler.", "classifier.")
"""Prefixes of parameters in GluonNLP's BERT files that masked-token logits do not need."""


class GluonTeacher:
    """A teacher on MXNet, without gradients and dropout; implements `LiveTeacher`.

    Args:
        network: a model with a decoder; its gradient buffers are freed.
        architecture: architecture of the network.
        context: device of the weights; the CPU by default.
        fingerprint: fingerprint of the answers; None computes it from the weights on first use.
    """

    def __init__(
        self,
        network: BortModel,
        architecture: Architecture,
        context: Optional[mx.Context] = None,
        *,
        fingerprint: Optional[str] = None,
    ) -> None:
        self.network = network
        self.architecture = architecture
        self.vocabulary_size = architecture.vocabulary_size
        self.context = context or mx.cpu()
        self.engine = "mxnet"
        self.precision = str(np.dtype(network.embedding_weight.dtype))
        self._fingerprint = fingerprint
        network.collect_params().setattr("grad_req", "null")
        network.hybridize(static_alloc=True, static_shape=True)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the engine and of names, shapes and values of the weights."""
        if self._fingerprint is None:
            self._fingerprint = fingerprint_of(collect_arrays(self.network), before="mxnet")
        return self._fingerprint

    def answer(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Return the logits float32 (B, P, V) at the masked positions, on the teacher's device."""
        ids, lengths, types = input_arrays(
            self.architecture,
            self.context,
            batch.input_ids,
            batch.valid_lengths,
            batch.token_types,
        )
        positions = mx.nd.array(batch.masked_positions, ctx=self.context, dtype="int32")
        with autograd.pause(train_mode=False):
            logits = self.network(ids, lengths, positions, types)[-1]
            return logits.astype("float32", copy=False)


def load_teacher(
    name_or_path: str,
    *,
    checkpoint: Optional[PathLike] = None,
    random_seed: Optional[int] = None,
    vocabulary_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    dtype: str = "float32",
    root: Optional[PathLike] = None,
) -> GluonTeacher:
    """Return a teacher of logits from a name, a file or a folder.

    The arguments and errors are those of `load_teacher_network`.

    Raises:
        InputError: the network has no masked-token decoder.
    """
    network = load_teacher_network(
        name_or_path,
        checkpoint=checkpoint,
        random_seed=random_seed,
        vocabulary_size=vocabulary_size,
        context=context,
        dtype=dtype,
        root=root,
    )
    if not isinstance(network, BortModel) or network.decoder is None:
        raise InputError(
            f"{description_file(name_or_path)}: has no masked-token decoder, so it gives no "
            "logits; pre-training and super-networks can learn from its last layer "
            "(relation_weight or hidden_weight above 0, teacher_ce_weight 0)"
        )
    return GluonTeacher(network, network.architecture, context)


def load_teacher_network(
    name_or_path: str,
    *,
    checkpoint: Optional[PathLike] = None,
    random_seed: Optional[int] = None,
    vocabulary_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    dtype: str = "float32",
    root: Optional[PathLike] = None,
) -> Network:
    """Return the network of a teacher from a name, a file or a folder, without gradients.

    Args:
        name_or_path: a model folder, a Hugging Face folder, a name of GluonNLP's zoo (`ZOO`), or,
            with `checkpoint` or `random_seed`, any argument of `get_architecture`.
        checkpoint: a `.params` file in GluonNLP's layout, or a folder with exactly one. The size of
            its vocabulary replaces that of the architecture.
        random_seed: seed of random weights, for trials without a download.
        vocabulary_size: size of the vocabulary for random weights; None keeps that of the
            architecture.
        context: the device; the CPU by default.
        dtype: `float32` or `float16`, which needs a GPU and has not been run on one.
        root: folder of GluonNLP's downloads; GluonNLP's default if None.

    Raises:
        InputError: the name is unknown, a file is missing or does not fit, or a download fails.
    """
    context = context or mx.cpu()
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype is {dtype!r}, allowed are float32, float16")
    if not name_or_path:
        raise InputError("the teacher's name is empty")
    if checkpoint is not None and random_seed is not None:
        raise InputError("the teacher has a checkpoint and a random seed, allowed is one, not both")
    if Path(name_or_path).is_dir():
        if checkpoint is not None or random_seed is not None:
            raise InputError(
                f"{name_or_path}: is a folder with weights, so a checkpoint or random seed is not "
                "allowed"
            )
        network, _ = load_model_folder(name_or_path, context, grad_req="null")
    elif random_seed is not None:
        network = _empty(name_or_path, None, vocabulary_size)
        mx.random.seed(random_seed, ctx=context)
        network.initialize(ctx=context)
    else:
        path = checkpoint if checkpoint is not None else zoo_file(name_or_path, root)
        path = only_parameters(path)
        network = _empty(name_or_path, path)
        load_parameters(network, path, context=context, ignore=IGNORED)
    if dtype != "float32":
        network.cast(dtype)
    return network


def only_parameters(path: PathLike) -> PathLike:
    """Return the path of a `.params` file, given its path or a folder with exactly one.

    Raises:
        InputError: the folder holds no such file or several.
    """
    if not Path(path).is_dir():
        return path
    found = sorted(Path(path).glob("*.params"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        hint = "; name it with teacher_model" if description_file(path).is_file() else ""
        raise InputError(
            f"teacher_ckpt_dir {path}: one .params file is expected, found: {names}{hint}"
        )
    return str(found[0])


def _empty(name: str, path: Optional[PathLike], vocabulary_size: Optional[int] = None) -> BortModel:
    """Return an uninitialised network by name, with the vocabulary size of a file if given."""
    architecture = get_architecture(name)
    if vocabulary_size is not None:
        architecture = architecture.replace(vocabulary_size=vocabulary_size)
    if path is not None:
        embedding = read_params(path).get("word_embed.0.weight")
        if embedding is not None and embedding.ndim == 2 and len(embedding):
            architecture = architecture.replace(vocabulary_size=len(embedding))
    options: Dict[str, Any] = {}
    if name in ZOO:
        epsilon = ZOO[name].layer_norm_eps
        options = {"layer_norm_eps": epsilon, "decoder_layer_norm_eps": epsilon}
    network = BortModel(architecture, dropout=0.0, **options)
    network.collect_params().setattr("grad_req", "null")
    return network
