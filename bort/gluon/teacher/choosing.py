"""Teachers by the settings of a run, on MXNet or on another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

import mxnet as mx

from bort.engines.choosing import require_engine
from bort.engines.protocol import MXNET
from bort.engines.teacher import teacher_of_folder, teacher_of_network
from bort.errors import InputError
from bort.formats.network_folder import check_rows, check_tokens
from bort.gluon.network.array_network import as_arrays
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.live import load_teacher, load_teacher_network
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import fingerprint_of_model
from bort.process.threads import set_thread_count
from bort.teacher.answers import LiveTeacher
from bort.teacher.first_tokens import FirstTokens
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.vocabulary import Vocabulary


def load_teacher_on(
    source: TeacherSource,
    runtime: TeacherRuntime,
    *,
    vocabulary: Optional[Vocabulary] = None,
    vocabulary_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    dtype: str = "float32",
) -> LiveTeacher:
    """Return a teacher for a student.

    Args:
        source: source of architecture and weights. `teacher_model` is an argument of
            `load_teacher`; engines other than MXNet also take an exported folder.
        runtime: engine and precision. Engines other than MXNet run on the CPU, with the same
            number of threads as MXNet.
        vocabulary: the student's vocabulary. A teacher from a folder may have further rows in its
            token embedding if the vocabulary is its own; their logits are dropped.
        vocabulary_size: rows of the student's token embedding; the number of tokens in the
            vocabulary if None.
        context: see `load_teacher`.
        dtype: number format on MXNet.

    Raises:
        InputError: the engine is not installed, or an error of `load_teacher`.
    """
    if vocabulary is not None and vocabulary_size is None:
        vocabulary_size = len(vocabulary)
    teacher = _load(source, runtime, vocabulary_size, context, dtype)
    if vocabulary is None or not Path(source.teacher_model).is_dir():
        return teacher
    if vocabulary_size != len(vocabulary) or teacher.vocabulary_size <= vocabulary_size:
        return teacher
    check_rows(source.teacher_model, teacher.vocabulary_size, vocabulary)
    return FirstTokens(teacher, vocabulary_size)


def load_feature_teacher_on(
    source: TeacherSource,
    runtime: TeacherRuntime,
    *,
    vocabulary: Vocabulary,
    vocabulary_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    dtype: str = "float32",
    logits: Optional[str] = None,
) -> GluonFeatureTeacher:
    """Return a teacher of features for a student, which any encoder can be.

    Args:
        source: source of architecture and weights; see `load_teacher_network`.
        runtime: engine and precision; MXNet alone gives features.
        vocabulary: the student's vocabulary, which must be the teacher's.
        vocabulary_size: rows of the student's token embedding; the number of tokens in the
            vocabulary if None.
        context: see `load_teacher_network`.
        dtype: number format.
        logits: name and value of the setting that asks for logits too, for the message to a
            teacher without a masked-token decoder; None needs no logits.

    Raises:
        InputError: another engine, another vocabulary, no decoder for the logits, or an error of
            `load_teacher_network`.
    """
    if runtime.teacher_engine != MXNET:
        raise InputError(
            f"teacher_engine is {runtime.teacher_engine!r}, which gives no hidden states and "
            f"attention; allowed with hidden_weight or relation_weight is {MXNET!r}"
        )
    rows = len(vocabulary) if vocabulary_size is None else vocabulary_size
    name = source.teacher_model
    network = load_teacher_network(
        name,
        checkpoint=source.teacher_ckpt_dir,
        random_seed=source.teacher_random_seed,
        vocabulary_size=rows,
        context=context,
        dtype=dtype,
    )
    teacher = GluonFeatureTeacher(network, context)
    if Path(name).is_dir():
        check_tokens(name, teacher.vocabulary_size, vocabulary)
    elif teacher.vocabulary_size != rows:
        raise InputError(
            f"{name}: the teacher's vocabulary has {teacher.vocabulary_size} tokens, the "
            f"student's has {rows}"
        )
    if logits is not None and teacher.network.decoder is None:
        raise InputError(
            f"{name}: has no masked-token decoder, so it gives no logits, and {logits}; allowed is "
            "0 with this teacher"
        )
    if rows < teacher.vocabulary_size:
        teacher.vocabulary_size = rows
    return teacher


def _load(
    source: TeacherSource,
    runtime: TeacherRuntime,
    vocabulary_size: Optional[int],
    context: Optional[mx.Context],
    dtype: str,
) -> LiveTeacher:
    name, checkpoint = source.teacher_model, source.teacher_ckpt_dir
    random_seed = source.teacher_random_seed
    engine, precision = runtime.teacher_engine, runtime.teacher_precision
    if engine == MXNET:
        return load_teacher(
            name,
            checkpoint=checkpoint,
            random_seed=random_seed,
            vocabulary_size=vocabulary_size,
            context=context,
            dtype=dtype,
        )
    require_engine(engine)
    threads = set_thread_count()
    if Path(name).is_dir() and checkpoint is None and random_seed is None:
        return teacher_of_folder(Path(name), engine, precision, threads)

    def network() -> ArrayNetwork:
        # MXNet's copy of the weights is freed when this function returns.
        teacher = load_teacher(
            name,
            checkpoint=checkpoint,
            random_seed=random_seed,
            vocabulary_size=vocabulary_size,
        )
        return as_arrays(teacher.network)

    return teacher_of_network(network(), engine, precision, threads)


def teacher_identity(source: TeacherSource) -> Dict[str, Any]:
    """Return JSON values that identify a teacher without loading it.

    Files and folders stand for their fingerprints, so a teacher that was moved stays the same.
    """
    values = source.as_dict()
    for name in ("teacher_model", "teacher_ckpt_dir"):
        if values[name] is not None and Path(values[name]).exists():
            values[name] = fingerprint_of_model(values[name])
    return values
