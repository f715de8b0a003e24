"""The settings of the command that fills a cache of a teacher's answers."""

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
    """Settings of one cache; mask settings have the same meaning as in pre-training."""

    data: str = setting(..., "folder of shards, or files of shards (globs, commas)")
    output_dir: str = setting(..., "folder of the cache; a second call continues it")
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    teacher: TeacherSource = part(TeacherSource)
    mask_epochs: int = setting(
        1, "epochs to cover, each with different masks", minimum=1, maximum=1_000_000
    )
    top_k: int = setting(
        64, "largest logits kept per position; 0 keeps all", minimum=0, maximum=1 << 24
    )
    temperatures: Tuple[float, ...] = setting(
        (2.0,), "distillation temperatures that top-k answers support", above=0.0
    )
    cache_dtype: str = setting("float32", "number format of stored logits", choices=DTYPES)
    seed: int = setting(0, "seed of the masks: pre-training's --data_seed or --seed", minimum=0)
    masks: Masks = part(Masks)
    dtype: str = setting(
        "float32",
        "number format of the teacher (float16: GPU)",
        choices=("float32", "float16"),
    )
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    batch_size: int = setting(
        8, "sequences per batch of the teacher", minimum=1, maximum=1 << 16, speed_only=True
    )
    rows_per_part: int = setting(
        ROWS_PER_PART, "sequences per part file; a stop waits until the part is done", minimum=1
    )
    cpu_only: bool = setting(False, "run on the CPU even if there is a GPU", speed_only=True)

    def check(self) -> None:
        """Check that `dtype` is given for MXNet only."""
        if self.teacher_runtime.teacher_engine != "mxnet" and self.dtype != "float32":
            raise InputError(
                f"dtype is {self.dtype!r}, which is for teacher_engine mxnet; "
                "--teacher_precision is for the others"
            )
