"""The settings of the way from a teacher and a task to a small model."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.engines.protocol import AUTO, ENGINES, FAST
from bort.errors import InputError
from bort.formats.precisions import FP32
from bort.process.threads import check_thread_count
from bort.search.limited_config import LIMITS, LimitConfig
from bort.settings.config import Config, part, setting
from bort.tasks.own.config import OwnDataConfig
from bort.training.arithmetic import AUTO_MATH, EXACT_MATH, FAST_MATH
from bort.training.time_budget import parse_duration

AGORA_AUTO, AGORA_ALWAYS, AGORA_NEVER = "auto", "always", "never"
AGORA_ROWS = 5_000
"""Most training rows with which `--agora auto` makes new examples."""

KEPT_FEATURES_GB = 10.0
"""Most gigabytes of the teacher's features that are kept, and half of the free disk at most. It is
our assumption: 10 GB are the relations of a teacher of width 384 for 2.2 million tokens."""

NEW_EXAMPLES, NEW_OF_EACH = 10_000, 8
"""New examples in all, and of each training example at most. Our assumption."""


@dataclasses.dataclass(frozen=True)
class SmallModelConfig(Config):
    """Settings of one small model: teacher, task, limit, time, and what is served.

    Exactly one of `latency_ms`, `speed_up` and `parameters` is given.
    """

    teacher: str = setting(
        ...,
        "the large model: a model folder or a Hugging Face folder; it is fine-tuned on the task "
        "first unless it was before",
    )
    task_name: str = setting(
        ...,
        "a file of labelled texts (.csv, .tsv, .jsonl), a task file (.json, .yaml), or a task such "
        "as SST-2",
        aliases=("data", "task"),
    )
    output_dir: str = setting(..., "folder of the results; the same command continues in it")
    hours: str = setting(
        ..., "time that all stages together may take: hours, or e.g. 90m, 45s, 1h30m"
    )
    latency_ms: Optional[float] = setting(
        None, "limit: the model takes at most so many milliseconds a text", above=0.0
    )
    speed_up: Optional[float] = setting(
        None, "limit: the model is so many times as fast as the teacher", above=0.0
    )
    parameters: Optional[int] = setting(
        None, "limit: the encoder, without its head, has at most so many parameters", minimum=1
    )
    data_dir: Optional[str] = setting(
        None, "folder of the task's files; default: GluonNLP's cache, or that of a task file"
    )
    report_file: Optional[str] = setting(
        None,
        "labelled file for the final score, in the format of the task's dev file; default: the "
        "report split of an own task, or a part of the training data",
    )
    unlabelled: Optional[str] = setting(
        None,
        "file of further texts without labels, which learn from the teacher alone: .txt, .tsv, "
        ".jsonl, of an own task .csv; default: none",
    )
    max_len: int = setting(128, "longest input in tokens", minimum=8, maximum=1 << 15)
    report_share: float = setting(
        0.1,
        "share of the training examples that are kept for the final score, for a task without a "
        "report split of its own and without --report_file",
        above=0.0,
        maximum=0.5,
    )
    engine: str = setting(
        AUTO,
        "engine that serves the model; auto: the fastest that is installed",
        choices=(AUTO, *ENGINES),
    )
    precision: str = setting(
        FP32,
        "precision in which the model keeps the limit: fp32, and a faster one that serves comes on "
        "top of it; or fast, the fastest one on this processor (bf16 or int8), so that the limit "
        "leaves room for a larger model. The teacher is timed in fp32 in any case",
        choices=(FP32, FAST),
    )
    threads: int = setting(1, "threads of the served model", minimum=1)
    length: Optional[int] = setting(
        None,
        "tokens of the text whose latency is measured; default: 90 % of the training inputs have "
        "no more",
        minimum=1,
        maximum=1 << 15,
    )
    precision_loss: float = setting(
        0.005,
        "largest loss of the dev score, as a fraction, for which a faster precision is served",
        minimum=0.0,
        maximum=1.0,
    )
    agora: str = setting(
        AGORA_AUTO,
        f"make new examples and train on them: with at most {AGORA_ROWS} training rows if the "
        "hours are enough (auto), always, or never",
        choices=(AGORA_AUTO, AGORA_ALWAYS, AGORA_NEVER),
    )
    baseline: bool = setting(
        True,
        "train the baseline too: the teacher cut to the same speed by layers, for as long as the "
        "small model",
    )
    least_steps: int = setting(
        200,
        "hours in which a training makes fewer steps are refused before the start (a training on "
        "few rows may make three epochs instead); 0: any hours in which the teacher answers all "
        "inputs, which short trials need",
        minimum=0,
        speed_only=True,
    )
    lr: Optional[float] = setting(
        None,
        "peak learning rate of the teacher and the super-network; default: 5e-5 times 768 divided "
        "by the teacher's hidden size, from 2e-5 to 2e-4",
        above=0.0,
    )
    student_lr: float = setting(
        2e-4,
        "peak learning rate of the student, also with Agora, and of the truncated teacher",
        above=0.0,
    )
    batch_size: Optional[int] = setting(
        None,
        "inputs in a step; default: 32 with at least 4,000 training rows, else 16",
        minimum=1,
        maximum=1 << 16,
    )
    freeze_embeddings: bool = setting(
        True,
        "keep the embeddings of tokens as the teacher's folder has them, in all trainings; steps "
        "with short inputs are faster",
    )
    math: str = setting(
        AUTO_MATH,
        "arithmetic of all trainings: exact computes in float32; fast computes the products of the "
        "encoder's dense layers in bf16, on a processor with bf16 instructions; auto: fast where "
        "the device trains with it, else exact",
        choices=(AUTO_MATH, EXACT_MATH, FAST_MATH),
    )
    seed: int = setting(0, "seed of all stages", minimum=0)
    gpu: bool = setting(True, "train on a GPU if there is one", speed_only=True)
    own_data: OwnDataConfig = part(OwnDataConfig)

    def check(self) -> None:
        """Check the limit, the hours and the threads."""
        self.limit  # noqa: B018 (checks that there are not two)
        if not self.limit.is_given:
            names = ", ".join(f"--{name}" for name in LIMITS)
            raise InputError(f"a limit is missing, needed is one of {names}")
        self.seconds  # noqa: B018 (checks the duration)
        check_thread_count("threads", self.threads)

    @property
    def inputs_in_a_step(self) -> int:
        """The batch size, which was given or chosen by `with_defaults`."""
        assert self.batch_size is not None, "with_defaults chooses it"
        return self.batch_size

    @property
    def limit(self) -> LimitConfig:
        """The limit."""
        return LimitConfig(self.latency_ms, self.speed_up, self.parameters)

    @property
    def limit_kind_and_value(self) -> Tuple[str, float]:
        """The name of the limit, one of `bort.search.limited_config.LIMITS`, and its value."""
        return next((n, getattr(self, n)) for n in LIMITS if getattr(self, n) is not None)

    @property
    def seconds(self) -> float:
        """The time of all stages together, in seconds."""
        return parse_duration(self.hours)
