"""The settings that say which network is the teacher and what runs it."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclasses.dataclass(frozen=True)
class TeacherSource(Config):
    """Where the teacher's architecture and weights come from."""

    teacher_model: str = setting("roberta_24_1024_16", "a GluonNLP model or a model folder")
    teacher_ckpt_dir: Optional[str] = setting(
        None, "teacher weights: .params, or a folder that holds one; default: GluonNLP's cache"
    )
    teacher_random_seed: Optional[int] = setting(
        None, "use a teacher of random weights drawn from this seed (to try things out)"
    )


@dataclasses.dataclass(frozen=True)
class TeacherRuntime(Config):
    """What runs the teacher, and in which precision."""

    teacher_engine: str = setting(
        "mxnet", "what runs the teacher", choices=("mxnet", "openvino", "onnxruntime")
    )
    teacher_precision: str = setting(
        "fp32",
        "of a teacher that another engine than mxnet runs: fp32, or fast (bf16 or int8)",
        choices=("fp32", "fast"),
    )

    def check(self) -> None:
        """MXNet has one precision."""
        if self.teacher_engine == "mxnet" and self.teacher_precision != "fp32":
            raise InputError(
                f"teacher_precision is {self.teacher_precision!r}, teacher_engine mxnet allows "
                "'fp32' alone"
            )
