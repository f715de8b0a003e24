"""Every setting of fine-tuning, with the release's names where it had one."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Optional

from bort.settings.config import Config, setting

HEADS = ("paper", "release")


@dataclasses.dataclass(frozen=True)
class FinetuningConfig(Config):
    """Settings of one fine-tuning.

    From arXiv 2010.10499 and its author: length 512, batch 8 (16 for SST-2, QNLI, QQP, MNLI; see
    the table of tasks), BERTAdam, gradients clipped at 1, linear warm-up and linear decay to a
    floor of 1e-7, dropout 0.1 on the classifier. Learning rate, weight decay and warm-up are
    members of the paper's Θ; which ones its scores come from is not known, so that the choice of
    these three, and 50 epochs (50–100 were used on small tasks), is an assumption of ours.
    """

    seed: int = setting(0, "seed of the classifier's weights, the order and dropout", minimum=0)
    epochs: int = setting(50, "passes over the training data", minimum=1)
    ramp_up_epochs: Optional[int] = setting(
        None,
        "epochs that warm-up and decay are planned for; further ones run at the floor; "
        "default: --epochs",
        minimum=1,
    )
    batch_size: Optional[int] = setting(
        None, "inputs a rank and micro-batch; default: the task's", minimum=1
    )
    accumulate: int = setting(1, "micro-batches whose gradients make one step", minimum=1)
    max_len: int = setting(512, "longest input in tokens", minimum=8, aliases=("max_seq_length",))
    num_buckets: int = setting(4, "length buckets", minimum=1)
    lr: float = setting(1e-4, "peak learning rate", above=0.0, aliases=("learning_rate",))
    lr_floor: float = setting(1e-7, "lowest learning rate after the warm-up", minimum=0.0)
    warmup_ratio: float = setting(
        0.35, "share of the planned steps in which the rate rises", minimum=0.0, maximum=1.0
    )
    weight_decay: float = setting(
        10.0, "of BERTAdam: w -= lr * (m / (sqrt(v) + eps) + decay * w)", minimum=0.0
    )
    adam_epsilon: float = setting(1e-6, "epsilon of BERTAdam", above=0.0)
    clip: float = setting(1.0, "largest global norm of the gradient", above=0.0)
    dropout: float = setting(0.1, "of encoder and classifier", minimum=0.0, maximum=0.9)
    head: str = setting(
        "paper", "one linear layer (two for CoLA), or the release's dense-tanh one", choices=HEADS
    )
    early_stop: Optional[int] = setting(
        None, "end after this many epochs without a better dev score; default: never", minimum=1
    )
    optimizer: str = setting("bertadam", "how weights are updated", choices=("bertadam", "sgd"))
    dtype: str = setting(
        "float32", "float16 needs a GPU; dynamic loss scaling", choices=("float32", "float16")
    )
    batch_size_eval: int = setting(32, "inputs a rank in evaluation", minimum=1, speed_only=True)
    log_interval: int = setting(10, "steps between records", minimum=1, speed_only=True)
    ckpt_interval: int = setting(
        1000, "steps between checkpoints, beside one an epoch", minimum=1, speed_only=True
    )
    keep_checkpoints: int = setting(2, "newest checkpoints kept", minimum=1, speed_only=True)

    @property
    def planned_epochs(self) -> int:
        """Epochs of the schedule."""
        return self.epochs if self.ramp_up_epochs is None else self.ramp_up_epochs


@dataclasses.dataclass(frozen=True)
class FinetuningPaths(Config):
    """What a fine-tuning reads and writes."""

    task_name: str = setting(..., "task, such as CoLA or MultiRC", aliases=("task",))
    pretrained_parameters: Optional[str] = setting(
        None,
        "where to start: a model folder, or a .params file of --architecture; default: "
        "model/bort.params",
    )
    architecture: str = setting("bort_4_8_768_1024", "of a .params file", aliases=("bort_model",))
    vocab: Optional[str] = setting(
        None,
        "vocabulary (folder, file or name); default: the model folder's, or RoBERTa's",
    )
    data_dir: Optional[str] = setting(
        None, "data in the official layout; default: the folders that GluonNLP caches in"
    )
    sample: bool = setting(
        False, "use the small example of the task that comes along, and a model made on the spot"
    )
    output_dir: Optional[str] = setting(
        None, "folder of the run; default: runs/finetune/<task>", aliases=("ckpt_dir",)
    )
    report_share: float = setting(
        0.0,
        "keep out of training what scripts/run_agora.py carves for its report split with this "
        "--report_share, so that a Socrates has not learnt it",
        minimum=0.0,
        maximum=0.9,
    )
    report_seed: int = setting(0, "--seed of that run of Agora", minimum=0)
    cache_dir: Optional[str] = setting(
        None, "folder that keeps tokenised sets; default: none is kept"
    )
    preset: str = setting(
        "paper",
        "defaults: the paper's, or the values of the original release's script",
        choices=("paper", "release"),
    )
    resume: bool = setting(False, "continue the run in --output_dir from its newest checkpoint")
    seeds: int = setting(1, "runs with further seeds, for a mean and its deviation", minimum=1)
    gpu: bool = setting(True, "use a GPU if there is one")
    no_distributed: bool = setting(False, "accepted for the release's sake; ranks make it so")


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "release": {
        "lr": 5e-5,
        "weight_decay": 110.0,
        "warmup_ratio": 0.45,
        "seed": 2,
        "early_stop": 200,
        "head": "release",
    },
}
"""Named sets of settings: the defaults, and the values of the original release's script."""
