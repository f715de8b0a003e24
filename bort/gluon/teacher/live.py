"""A teacher that runs on MXNet: any encoder of ours, GluonNLP's RoBERTa and BERT included."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, Optional

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.formats.mxnet_params import read_params
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import load_model_folder
from bort.gluon.network.parameters import collect_arrays, load_parameters
from bort.gluon.teacher.zoo import ZOO, zoo_file
from bort.network.model_folder import MODEL_DESCRIPTION_FILE
from bort.storage.files import PathLike
from bort.text.examples import MaskedBatch

IGNORED = ("pooler.", "classifier.")
"""Parts of GluonNLP's BERT files that masked-token answers do not need."""


class GluonTeacher:
    """Implements `bort.teacher.answers.LiveTeacher`: no gradients, no dropout, a compiled graph.

    Args:
        network: as `BortModel`, with a decoder; its gradient buffers are dropped if it has any.
        architecture: gives the size of the vocabulary.
        context: the device that the weights are on.
        fingerprint: of the answers; None computes it from the weights when it is asked for.
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
        """SHA-256 over the names, shapes and numbers of the weights, with the engine."""
        if self._fingerprint is None:
            digest = hashlib.sha256(b"mxnet")
            for name, array in sorted(collect_arrays(self.network).items()):
                digest.update(f"{name} {array.shape} {array.dtype}".encode())
                digest.update(array.data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def answer(self, batch: MaskedBatch) -> mx.nd.NDArray:
        """Logits float32 (B, P, V) at the masked positions, on the teacher's device."""
        arrays = (
            mx.nd.array(batch.input_ids, ctx=self.context, dtype="int32"),
            mx.nd.array(batch.valid_lengths, ctx=self.context, dtype="float32"),
            mx.nd.array(batch.masked_positions, ctx=self.context, dtype="int32"),
        )
        with autograd.pause(train_mode=False):
            logits = self.network(*arrays)[-1]
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
    """Make a teacher from a name, a file or a folder.

    Args:
        name_or_path: a folder written by this toolkit, a name of GluonNLP's zoo (`ZOO`), or, with
            `checkpoint` or `random_seed`, anything that `get_architecture` knows.
        checkpoint: a `.params` file in GluonNLP's layout, or a folder that holds only one; its
            vocabulary's size is taken over.
        random_seed: random weights instead of trained ones, for trials without a download.
        vocabulary_size: of a teacher with random weights; its architecture's if None.
        context: the device; the CPU by default.
        dtype: `float32` or `float16` (for GPUs; never run there).
        root: where GluonNLP keeps its downloads; its own default if None.

    Raises:
        InputError: an unknown name, a missing or unfit file, or no network to download over.
    """
    context = context or mx.cpu()
    if dtype not in ("float32", "float16"):
        raise InputError(f"dtype is {dtype!r}, allowed are float32, float16")
    if not name_or_path:
        raise InputError("the teacher's name is empty")
    if checkpoint is not None and random_seed is not None:
        raise InputError("a teacher takes its weights from a checkpoint or at random, not both")
    if Path(name_or_path).is_dir():
        if checkpoint is not None or random_seed is not None:
            raise InputError(f"{name_or_path}: is a folder with weights; give no other ones")
        network = _from_folder(name_or_path, context)
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
    return GluonTeacher(network, network.architecture, context)


def only_parameters(path: PathLike) -> PathLike:
    """A `.params` file, or the only one in a folder; never the first of several.

    Raises:
        InputError: none or several in the folder.
    """
    if not Path(path).is_dir():
        return path
    found = sorted(Path(path).glob("*.params"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise InputError(f"teacher_ckpt_dir {path}: one .params file is expected, found: {names}")
    return str(found[0])


def _from_folder(folder: str, context: mx.Context) -> BortModel:
    network, _ = load_model_folder(folder, context, grad_req="null")
    if not isinstance(network, BortModel) or network.decoder is None:
        raise InputError(f"{Path(folder) / MODEL_DESCRIPTION_FILE}: has no masked-token decoder")
    return network


def _empty(name: str, path: Optional[PathLike], vocabulary_size: Optional[int] = None) -> BortModel:
    """A network without weights that fits a name, and the vocabulary of a file."""
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
