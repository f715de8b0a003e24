"""What the command that fills a cache of a teacher's answers is told."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.errors import InputError
from bort.settings.config import Config, part, setting
from bort.teacher.cache import DTYPES
from bort.teacher.filling import ROWS_PER_PART
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.masking_config import Masks


@dataclasses.dataclass(frozen=True)
class TeacherCacheConfig(Config):
    """Settings of one cache; those of the masks mean the same as in pre-training."""

    data: str = setting(..., "folder of shards, or files of shards (globs, commas)")
    output_dir: str = setting(..., "folder of the cache; a second call continues in it")
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    teacher: TeacherSource = part(TeacherSource)
    mask_epochs: int = setting(1, "passes over the data, each with masks of its own", minimum=1)
    top_k: int = setting(64, "largest logits kept a position; 0 keeps all", minimum=0)
    temperatures: Tuple[float, ...] = setting(
        (2.0,), "temperatures at which top-k answers can be used", above=0.0
    )
    cache_dtype: str = setting("float32", "of the logits that are kept", choices=DTYPES)
    seed: int = setting(0, "seed of the masks: pre-training's --data_seed or --seed", minimum=0)
    masks: Masks = part(Masks)
    dtype: str = setting(
        "float32", "in which the teacher runs; float16 needs a GPU", choices=("float32", "float16")
    )
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    batch_size: int = setting(8, "sequences asked about at once", minimum=1, speed_only=True)
    rows_per_part: int = setting(
        ROWS_PER_PART, "sequences a part file; a stop waits for the part", minimum=1
    )
    cpu_only: bool = setting(False, "do not use a GPU even if there is one", speed_only=True)

    def check(self) -> None:
        """Another engine runs on the CPU, in its own precision."""
        if self.teacher_runtime.teacher_engine != "mxnet" and self.dtype != "float32":
            raise InputError(
                f"dtype is {self.dtype!r}, which is for teacher_engine mxnet; "
                "--teacher_precision is for the others"
            )
