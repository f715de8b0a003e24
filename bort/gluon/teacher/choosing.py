"""The teacher that the settings of a run ask for, on MXNet or on another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import mxnet as mx

from bort.engines.choosing import require_engine
from bort.engines.protocol import MXNET
from bort.engines.teacher import teacher_of_folder, teacher_of_network
from bort.gluon.network.array_network import as_arrays
from bort.gluon.teacher.live import load_teacher
from bort.network.array_network import ArrayNetwork
from bort.process.threads import set_thread_count
from bort.teacher.answers import LiveTeacher
from bort.teacher.source import TeacherRuntime, TeacherSource


def load_teacher_on(
    source: TeacherSource,
    runtime: TeacherRuntime,
    *,
    vocabulary_size: Optional[int] = None,
    context: Optional[mx.Context] = None,
    dtype: str = "float32",
) -> LiveTeacher:
    """Make a teacher.

    Args:
        source: where its architecture and weights come from; `teacher_model` is what
            `load_teacher` takes, or for another engine also an exported folder.
        runtime: what runs it; engines other than MXNet run on the CPU, with as many threads as
            MXNet has.
        vocabulary_size, context: see `load_teacher`.
        dtype: in which MXNet runs it.

    Raises:
        InputError: as `load_teacher`; the engine is not installed.
    """
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
        # MXNet's copy of the weights is gone when this returns.
        teacher = load_teacher(
            name,
            checkpoint=checkpoint,
            random_seed=random_seed,
            vocabulary_size=vocabulary_size,
        )
        return as_arrays(teacher.network)

    return teacher_of_network(network(), engine, precision, threads)
