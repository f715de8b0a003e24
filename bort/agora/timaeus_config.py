"""Settings of Timaeus' fine-tuning other than the hyperparameter set."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.agora.hyperparameters import HyperparameterSet
from bort.process.threads import check_thread_count
from bort.settings.config import Config, part, setting
from bort.training.finetuning_config import HEADS, FinetuningConfig
from bort.training.importance_config import ImportanceConfig


@dataclasses.dataclass(frozen=True)
class TimaeusConfig(Config):
    """Settings shared by all trainings of a run; see `FinetuningConfig` for their sources."""

    epochs: int = setting(
        50, "passes over the training data in a full training", minimum=1, maximum=1_000_000
    )
    inputs: Optional[int] = setting(
        None,
        "number of inputs in a full training, in place of --epochs: as the training set grows, "
        "the number of epochs falls, so later trainings take no longer than the first",
        minimum=1,
    )
    batch_size: Optional[int] = setting(
        None, "inputs per micro-batch; default: the task's", minimum=1, maximum=1 << 16
    )
    accumulate: int = setting(1, "micro-batches accumulated per step", minimum=1, maximum=1 << 16)
    max_len: int = setting(
        512, "longest input in tokens", minimum=8, maximum=1 << 15, aliases=("max_seq_length",)
    )
    dropout: float = setting(
        0.1, "dropout of the encoder and the classifier", minimum=0.0, maximum=0.9
    )
    head: str = setting(
        "paper",
        "classifier: one linear layer (two for CoLA), or the release's dense and tanh layers",
        choices=HEADS,
    )
    early_stop: Optional[int] = setting(
        None, "stop after this many epochs without a better dev score; default: never", minimum=1
    )
    temperature: float = setting(2.0, "temperature of soft labels (--labels soft)", above=0.0)
    threads: int = setting(1, "threads per process; start as many ranks as cores", minimum=1)
    batch_size_eval: int = setting(
        32, "inputs per batch in evaluation", minimum=1, maximum=1 << 16, speed_only=True
    )
    ranking: ImportanceConfig = part(ImportanceConfig)

    def check(self) -> None:
        """Raise `InputError` for far more threads than cores."""
        check_thread_count("threads", self.threads)

    def finetuning(
        self, theta: HyperparameterSet, examples: int, budget: float = 1.0
    ) -> FinetuningConfig:
        """Return the settings of one training.

        Args:
            theta: θ.
            examples: number of training examples, at least 1.
            budget: share of the epochs, above 0, at most 1; the warm-up and decay of the learning
                rate scale with it.

        >>> theta = HyperparameterSet(3, 1e-4, 10.0, 0.35)
        >>> TimaeusConfig(epochs=9).finetuning(theta, 100, 1 / 3).epochs
        3
        >>> [TimaeusConfig(inputs=3_000).finetuning(theta, n).epochs for n in (100, 1_000, 9_000)]
        [30, 3, 1]
        """
        epochs = self.epochs if self.inputs is None else self.inputs / examples
        return FinetuningConfig(
            **theta.as_dict(),
            epochs=max(1, round(epochs * budget)),
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            max_len=self.max_len,
            dropout=self.dropout,
            head=self.head,
            early_stop=self.early_stop,
            batch_size_eval=self.batch_size_eval,
            ranking=self.ranking,
        )
