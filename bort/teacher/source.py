"""The settings of a teacher: its weights, and the engine that runs it."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclasses.dataclass(frozen=True)
class TeacherSource(Config):
    """Settings for the source of a teacher's architecture and weights."""

    teacher_model: str = setting(
        "roberta_24_1024_16", "a GluonNLP model, a model folder or a Hugging Face folder"
    )
    teacher_ckpt_dir: Optional[str] = setting(
        None, "teacher weights: .params, or a folder that holds one; default: GluonNLP's cache"
    )
    teacher_random_seed: Optional[int] = setting(
        None, "seed of a teacher with random weights, which needs no download (for trials)"
    )


@dataclasses.dataclass(frozen=True)
class TeacherRuntime(Config):
    """Settings for the engine of a teacher and its precision."""

    teacher_engine: str = setting(
        "mxnet", "engine that runs the teacher", choices=("mxnet", "openvino", "onnxruntime")
    )
    teacher_precision: str = setting(
        "fp32",
        "precision of the teacher on engines other than mxnet: fp32; fast (bf16 or int8 where "
        "that is faster); bf16 or int8: that or an error",
        choices=("fp32", "fast", "bf16", "int8"),
    )

    def check(self) -> None:
        """Check that MXNet runs in its only precision."""
        if self.teacher_engine == "mxnet" and self.teacher_precision != "fp32":
            raise InputError(
                f"teacher_precision is {self.teacher_precision!r}, teacher_engine mxnet allows "
                "only 'fp32'"
            )
