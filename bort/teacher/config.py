"""What the command that fills a cache of a teacher's answers is told."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.teacher.answers import check_teacher_engine
from bort.teacher.cache import DTYPES
from bort.teacher.filling import ROWS_PER_PART
from bort.training.pretraining_config import PretrainingConfig


@dataclasses.dataclass(frozen=True)
class TeacherCacheConfig(Config):
    """Settings of one cache; those of the masks mean the same as in pre-training."""

    data: str = setting(..., "folder of shards, or files of shards (globs, commas)")
    output_dir: str = setting(..., "folder of the cache; a second call continues in it")
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    teacher_model: str = setting("roberta_24_1024_16", "a GluonNLP model or a model folder")
    teacher_ckpt_dir: Optional[str] = setting(
        None, "teacher weights: .params, or a folder that holds one; default: GluonNLP's cache"
    )
    teacher_random_seed: Optional[int] = setting(
        None, "use a teacher of random weights drawn from this seed (to try things out)"
    )
    mask_epochs: int = setting(1, "passes over the data, each with masks of its own", minimum=1)
    top_k: int = setting(64, "largest logits kept a position; 0 keeps all", minimum=0)
    temperatures: Tuple[float, ...] = setting(
        (2.0,), "temperatures at which top-k answers can be used", above=0.0
    )
    cache_dtype: str = setting("float32", "of the logits that are kept", choices=DTYPES)
    seed: int = setting(0, "seed of the masks: pre-training's --data_seed or --seed", minimum=0)
    mask_probability: float = setting(
        0.15, "share of the tokens that is predicted", above=0.0, maximum=1.0
    )
    max_predictions: int = setting(80, "most predictions a sequence", minimum=1)
    whole_word_mask: bool = setting(False, "hide whole words")
    dtype: str = setting(
        "float32", "in which the teacher runs; float16 needs a GPU", choices=("float32", "float16")
    )
    teacher_engine: str = setting(
        "mxnet", "what runs the teacher", choices=("mxnet", "openvino", "onnxruntime")
    )
    teacher_precision: str = setting(
        "fp32",
        "of a teacher that another engine than mxnet runs: fp32, or fast (bf16 or int8)",
        choices=("fp32", "fast"),
    )
    batch_size: int = setting(8, "sequences asked about at once", minimum=1, speed_only=True)
    rows_per_part: int = setting(
        ROWS_PER_PART, "sequences a part file; a stop waits for the part", minimum=1
    )
    cpu_only: bool = setting(False, "do not use a GPU even if there is one", speed_only=True)

    def check(self) -> None:
        """Another engine runs on the CPU, in its own precision."""
        check_teacher_engine(self.teacher_engine, self.teacher_precision)
        if self.teacher_engine != "mxnet" and self.dtype != "float32":
            raise InputError(
                f"dtype is {self.dtype!r}, which is for teacher_engine mxnet; "
                "--teacher_precision is for the others"
            )

    @property
    def masks(self) -> PretrainingConfig:
        """Pre-training settings that draw the same masks."""
        return PretrainingConfig(
            seed=self.seed,
            mask_epochs=self.mask_epochs,
            mask_probability=self.mask_probability,
            max_predictions=self.max_predictions,
            whole_word_mask=self.whole_word_mask,
        )
