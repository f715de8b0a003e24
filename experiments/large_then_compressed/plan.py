"""The settings of the experiment "train large, then compress"."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from bort.architecture import Architecture, get_architecture
from bort.engines.protocol import ONNXRUNTIME, OPENVINO
from bort.errors import InputError
from bort.network.sub_network import check_fits
from bort.settings.config import Config, setting
from bort.super_network.config import SuperNetworkConfig
from bort.super_network.sampling import SANDWICH, SamplingConfig
from bort.tasks.records import get_task
from bort.training.finetuning_config import FinetuningConfig
from bort.training.objective import WITHOUT_TEACHER
from bort.training.pretraining_config import PretrainingConfig
from data.generated_tasks.tasks import FORMAT_OF_TASK, GENERATED_TASKS
from experiments.demo.plan import GENERATED, DemoConfig

BERT_STEPS, BERT_SEQUENCES, BERT_LENGTH = 10**6, 256, 512
"""The pre-training of BERT: steps, sequences in a step, tokens in a sequence (arXiv 1810.04805)."""


def matching_epochs(batch_size: int, length: int, epoch_steps: int) -> int:
    """Return the number of whole epochs in which a model sees as many tokens as BERT did.

    It is ⌊10⁶·256·512 / (batch·length) / steps of an epoch⌋.

    Args:
        batch_size: sequences in a step.
        length: tokens in a sequence.
        epoch_steps: steps in an epoch.

    >>> matching_epochs(128, 128, 10_000), matching_epochs(64, 128, 10_000)
    (800, 1600)
    """
    steps = BERT_STEPS * BERT_SEQUENCES * BERT_LENGTH // (batch_size * length)
    return steps // epoch_steps


@dataclasses.dataclass(frozen=True)
class LargeConfig(Config):
    """Settings of the experiment: text, models, task, compression and measurement.

    Source: arXiv 2002.11794. The sizes of `experiments/settings/train_large_paper.yaml` are those
    of its reproduction in StagedML.
    """

    corpus: str = setting(GENERATED, f"{GENERATED}, or the path of text files (globs, commas)")
    documents: int = setting(24_000, "documents of generated English", minimum=200)
    vocabulary_size: int = setting(1_500, "tokens in the vocabulary", minimum=300)
    max_seq_length: int = setting(96, "tokens per sequence", minimum=16, maximum=512)
    held_out_share: float = setting(
        0.03, "share of the documents held out from training", above=0.0, maximum=0.5
    )
    scored_examples: int = setting(384, "held-out sequences that are scored", minimum=8)
    architectures: Tuple[str, ...] = setting(
        ("2-4-128-256", "6-4-128-256"),
        "models to pre-train, depth-heads-hidden-intermediate; the largest one is compressed to "
        "the sizes of the others",
    )
    batch_sizes: Tuple[int, ...] = setting(
        (16, 8), "sequences per step of each model; one value is that of all", minimum=1
    )
    chunk_steps: Tuple[int, ...] = setting(
        (300,), "steps between two fine-tunings of each model; one value is that of all", minimum=1
    )
    chunks: int = setting(5, "parts of each pre-training, with a fine-tuning after each", minimum=1)
    seeds: int = setting(3, "runs of everything", minimum=1, maximum=1_000)
    seed: int = setting(0, "seed of the data and of the first run", minimum=0)
    lr: float = setting(1e-3, "peak learning rate of pre-training", above=0.0)
    warmup_ratio: float = setting(
        0.1, "share of all steps of a pre-training for the warm-up", minimum=0.0, maximum=1.0
    )
    warmup_steps: Optional[int] = setting(
        None, "steps of the warm-up; default: --warmup_ratio of all steps", minimum=0
    )
    dropout: float = setting(0.0, "dropout probability in pre-training", minimum=0.0, maximum=0.9)
    initializer_range: float = setting(
        0.06, "standard deviation of random initial weights", above=0.0
    )
    ckpt_interval: int = setting(
        100, "steps of pre-training between checkpoints", minimum=1, speed_only=True
    )
    task: str = setting(
        "acceptability", "a generated task (scripts/generate_tasks.py), or the name of a GLUE task"
    )
    data_dir: Optional[str] = setting(
        None, "folder of a GLUE task's data in the official layout; none for a generated task"
    )
    train_size: int = setting(2_000, "training examples of a generated task", minimum=8)
    dev_size: int = setting(
        500, "dev examples of a generated task, which choose the best epoch", minimum=8
    )
    report_size: int = setting(
        2_000, "examples of a generated task that choose nothing and are reported", minimum=8
    )
    choice_share: float = setting(
        0.05,
        "share of a GLUE task's training examples that choose the best epoch instead of its dev "
        "set, which is reported",
        above=0.0,
        maximum=0.5,
    )
    finetune_epochs: int = setting(3, "epochs of each fine-tuning", minimum=1)
    finetune_lr: float = setting(4e-4, "peak learning rate of fine-tuning", above=0.0)
    finetune_batch_size: int = setting(32, "inputs per step of fine-tuning", minimum=1)
    finetune_warmup_ratio: float = setting(
        0.1, "share of fine-tuning for the warm-up", minimum=0.0, maximum=1.0
    )
    finetune_dropout: float = setting(
        0.1, "dropout probability in fine-tuning", minimum=0.0, maximum=0.9
    )
    super_network_steps: int = setting(
        200, "steps in which the largest model learns to be sliced", minimum=1
    )
    super_network_lr: float = setting(5e-4, "peak learning rate of these steps", above=0.0)
    engine: str = setting(
        ONNXRUNTIME, "engine of the exported models", choices=(ONNXRUNTIME, OPENVINO)
    )
    latency_batch: int = setting(1, "sequences per batch in the timing", minimum=1)
    latency_repeats: int = setting(25, "least number of timed runs of a model", minimum=3)
    processes: Optional[int] = setting(
        None, "stages that run at a time; default: one for each core", minimum=1, speed_only=True
    )
    gpu: bool = setting(False, "train on a GPU if there is one", speed_only=True)

    def check(self) -> None:
        """Check the models against each other, and that the task has data."""
        sizes = [_architecture(name) for name in self.architectures]
        if len(set(sizes)) < len(sizes) or len(sizes) < 2:
            raise InputError(
                f"architectures is {list(self.architectures)}, allowed are 2 or more different ones"
            )
        large = _architecture(self.large)
        for name, one in zip(self.architectures, sizes):
            check_fits(large, one, f"architectures: {name}", self.large)
        for field in ("batch_sizes", "chunk_steps"):
            given = len(getattr(self, field))
            if given not in (1, len(sizes)):
                raise InputError(
                    f"{field} has {given} values, allowed are 1 or {len(sizes)}, one for each of "
                    "architectures"
                )
        if self.is_generated != (self.data_dir is None):
            wanted = "none" if self.is_generated else "the folder of its data"
            raise InputError(
                f"data_dir is {self.data_dir!r}, allowed with task {self.task!r} is {wanted}"
            )
        get_task(self.task_format)

    @property
    def is_generated(self) -> bool:
        """Whether the task is a generated one."""
        return self.task in GENERATED_TASKS

    @property
    def task_format(self) -> str:
        """The name of the task's record."""
        return FORMAT_OF_TASK.get(self.task, self.task)

    @property
    def large(self) -> str:
        """The largest of the architectures."""
        return max(self.architectures, key=lambda name: _architecture(name).parameter_count())

    @property
    def smaller(self) -> Tuple[str, ...]:
        """The other architectures."""
        return tuple(name for name in self.architectures if name != self.large)

    def text(self) -> DemoConfig:
        """Return the settings of the corpus, its vocabulary and its shards."""
        return DemoConfig(
            corpus=self.corpus,
            documents=self.documents,
            vocabulary_size=self.vocabulary_size,
            max_seq_length=self.max_seq_length,
            held_out_share=self.held_out_share,
            scored_examples=self.scored_examples,
            seed=self.seed,
        )

    def batch_size(self, model: str) -> int:
        """Return the sequences per step of a model."""
        return _of_model(self.batch_sizes, self.architectures.index(model))

    def steps(self, model: str) -> int:
        """Return the steps of a model between two fine-tunings."""
        return _of_model(self.chunk_steps, self.architectures.index(model))

    def pretraining(self, model: str, seed: int, chunk: int) -> PretrainingConfig:
        """Return the settings of one part of a pre-training; all parts have one schedule.

        Models of one seed see the examples in the same order, as far as their batch sizes allow.

        Args:
            model: the architecture.
            seed: number of the run, from 0.
            chunk: number of the part, from 1.
        """
        steps = self.steps(model)
        return PretrainingConfig(
            seed=self.seed + seed,
            data_seed=self.seed + seed,
            num_steps=self.chunks * steps,
            stop_at_step=chunk * steps,
            batch_size=self.batch_size(model),
            batch_size_eval=32,
            lr=self.lr,
            warmup_ratio=self.warmup_ratio,
            warmup_steps=self.warmup_steps,
            dropout=self.dropout,
            initializer_range=self.initializer_range,
            objective=WITHOUT_TEACHER,
            eval_interval=steps,
            log_interval=min(50, steps),
            ckpt_interval=self.ckpt_interval,
            keep_checkpoints=1,
        )

    def slicing(self, seed: int) -> SuperNetworkConfig:
        """Return the settings of the training that makes the large model fit to be sliced."""
        pretraining = PretrainingConfig(
            seed=self.seed + seed,
            data_seed=self.seed + seed + 1_000,
            num_steps=self.super_network_steps,
            batch_size=self.batch_size(self.large),
            lr=self.super_network_lr,
            warmup_ratio=0.1,
            dropout=self.dropout,
            initializer_range=self.initializer_range,
            objective=WITHOUT_TEACHER,
            log_interval=min(50, self.super_network_steps),
            ckpt_interval=self.ckpt_interval,
            keep_checkpoints=1,
        )
        return SuperNetworkConfig(pretraining, SamplingConfig(SANDWICH, random_samples=1))

    def finetuning(self, seed: int) -> FinetuningConfig:
        """Return the settings of every fine-tuning of a run."""
        return FinetuningConfig(
            seed=self.seed + seed,
            epochs=self.finetune_epochs,
            lr=self.finetune_lr,
            lr_floor=0.0,
            weight_decay=0.01,
            warmup_ratio=self.finetune_warmup_ratio,
            batch_size=self.finetune_batch_size,
            dropout=self.finetune_dropout,
            max_len=self.max_seq_length,
            keep_checkpoints=1,
        )

    def architecture(self, model: str, vocabulary_size: int) -> Architecture:
        """Return the sizes of a model with the vocabulary and the length of the text."""
        return _architecture(model).replace(
            vocabulary_size=vocabulary_size, maximum_length=self.max_seq_length
        )


def read_settings(path: Path, values: Mapping[str, Any]) -> LargeConfig:
    """Return the settings of a file.

    Args:
        path: the file, which errors name.
        values: its content.

    Raises:
        InputError: a setting is unknown or has a value that is not allowed.
    """
    if not isinstance(values, dict):
        raise InputError(f"{path}: holds no settings, allowed are lines such as `seeds: 3`")
    try:
        return LargeConfig.from_dict(values, str(path))
    except InputError as error:
        raise error if str(path) in str(error) else InputError(f"{path}: {error}") from error


def _architecture(name: str) -> Architecture:
    return get_architecture(name)


def _of_model(values: Tuple[int, ...], place: int) -> int:
    return values[place] if len(values) > 1 else values[0]
