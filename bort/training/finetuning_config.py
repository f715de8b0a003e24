"""The settings of fine-tuning, named as in the original release where it has them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Mapping, Optional

from bort.errors import InputError
from bort.settings.config import Config, part, setting
from bort.tasks.own.task_file import is_data_file, is_task_file
from bort.teacher.keeping_features import KeptFeaturesConfig
from bort.teacher.source import TeacherRuntime
from bort.training.arithmetic import check_math_fits, math_setting
from bort.training.importance_config import ImportanceConfig
from bort.training.objective import FeatureObjective, TaskObjective
from bort.training.time_budget import TimeBudgetConfig

HEADS = ("paper", "release")
_PAPER, _OWN_TASK = "paper", "own"


@dataclasses.dataclass(frozen=True)
class EvaluationRuntime(Config):
    """Settings for the engine that computes dev scores, and its precision."""

    eval_engine: str = setting(
        "mxnet",
        "engine that runs the model on the dev sets; others load the weights again after each "
        "epoch",
        choices=("mxnet", "auto", "openvino", "onnxruntime"),
    )
    eval_precision: str = setting(
        "fp32",
        "precision on the dev sets on engines other than mxnet: fp32; fast (bf16 or int8 where "
        "that is faster); bf16 or int8: that or an error",
        choices=("fp32", "fast", "bf16", "int8"),
    )

    def check(self) -> None:
        """Check that MXNet runs in its only precision."""
        if self.eval_engine == "mxnet" and self.eval_precision != "fp32":
            raise InputError(
                f"eval_precision is {self.eval_precision!r}, eval_engine mxnet allows only 'fp32'"
            )


@dataclasses.dataclass(frozen=True)
class FinetuningConfig(Config):
    """Settings of one fine-tuning run.

    These defaults are from arXiv 2010.10499 and its author: length 512, batch size 8 (16 for SST-2,
    QNLI, QQP and MNLI; see the table of tasks), BERTAdam, gradients clipped at 1, linear warm-up,
    linear decay to a floor of 1e-7, dropout 0.1 on the classifier. The learning rate, weight decay
    and warm-up are members of the paper's Θ; the paper does not say which members its scores come
    from, so the choice of these three is our assumption. So are the 50 epochs (the author used
    50–100 on small tasks).
    """

    seed: int = setting(
        0, "seed of the classifier's initial weights, the order of examples and dropout", minimum=0
    )
    epochs: int = setting(50, "passes over the training data", minimum=1, maximum=1_000_000)
    ramp_up_epochs: Optional[int] = setting(
        None,
        "epochs that the learning-rate schedule is planned for; later epochs run at --lr_floor; "
        "default: --epochs",
        minimum=1,
    )
    batch_size: Optional[int] = setting(
        None,
        "inputs per rank and micro-batch; default: set by the task",
        minimum=1,
        maximum=1 << 16,
    )
    accumulate: int = setting(
        1, "micro-batches whose gradients make one step", minimum=1, maximum=1 << 16
    )
    max_len: int = setting(
        512, "longest input in tokens", minimum=8, maximum=1 << 15, aliases=("max_seq_length",)
    )
    num_buckets: int = setting(4, "length buckets", minimum=1, maximum=1 << 12)
    lr: float = setting(1e-4, "peak learning rate", above=0.0, aliases=("learning_rate",))
    lr_floor: float = setting(1e-7, "lowest learning rate after the warm-up", minimum=0.0)
    warmup_ratio: float = setting(
        0.35,
        "share of the planned steps for the warm-up",
        minimum=0.0,
        maximum=1.0,
    )
    warmup_steps: Optional[int] = setting(
        None,
        "steps of the warm-up; default: --warmup_ratio of the planned steps, which also holds if "
        "this is more than all planned steps",
        minimum=0,
    )
    weight_decay: float = setting(
        10.0, "weight decay of BERTAdam: w -= lr * (m / (sqrt(v) + eps) + decay * w)", minimum=0.0
    )
    adam_epsilon: float = setting(1e-6, "epsilon of BERTAdam", above=0.0)
    adam_beta2: float = setting(
        0.999, "beta2 of BERTAdam, the decay of the second moment", above=0.0, maximum=0.9999999
    )
    clip: float = setting(1.0, "largest global norm of the gradient; 0 does not clip", minimum=0.0)
    dropout: float = setting(
        0.1, "dropout probability of encoder and classifier", minimum=0.0, maximum=0.9
    )
    freeze_embeddings: bool = setting(
        False,
        "keep the embeddings of tokens as they are at the start, which makes the steps of a "
        "small network with short inputs faster; needs weights to start from",
    )
    head: str = setting(
        "paper",
        "classifier head: paper is one linear layer (two for CoLA), release a tanh layer and a "
        "linear layer",
        choices=HEADS,
    )
    best_metric: Optional[str] = setting(
        None,
        "dev metric that chooses the best epoch and that --early_stop waits for, such as f1, or "
        "accuracy/dev_mismatched of a task with several dev sets; default: the mean of all",
    )
    early_stop: Optional[int] = setting(
        None, "stop after this many epochs without a better dev score; default: never", minimum=1
    )
    optimizer: str = setting("bertadam", "optimizer", choices=("bertadam", "adamw", "sgd"))
    dtype: str = setting(
        "float32",
        "number format; float16 needs a GPU and uses dynamic loss scaling",
        choices=("float32", "float16"),
    )
    math: str = math_setting()
    batch_size_eval: int = setting(
        32, "inputs per rank in evaluation", minimum=1, maximum=1 << 16, speed_only=True
    )
    log_interval: int = setting(10, "steps between recorded metrics", minimum=1, speed_only=True)
    ckpt_interval: int = setting(
        1000, "steps between checkpoints, in addition to one per epoch", minimum=1, speed_only=True
    )
    keep_checkpoints: int = setting(2, "newest checkpoints to keep", minimum=1, speed_only=True)
    objective: TaskObjective = part(TaskObjective)
    ranking: ImportanceConfig = part(ImportanceConfig)
    features: FeatureObjective = part(FeatureObjective)
    kept: KeptFeaturesConfig = part(KeptFeaturesConfig)
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    evaluation: EvaluationRuntime = part(EvaluationRuntime)
    budget: TimeBudgetConfig = part(TimeBudgetConfig)

    def check(self) -> None:
        """Check that a timed run has no warm-up in steps, and that settings fit each other."""
        self.budget.check_warmup(self.warmup_steps)
        self.kept.check_needed(self.features.features)
        check_math_fits(self.math, self.dtype)

    @property
    def planned_epochs(self) -> int:
        """The number of epochs that the learning-rate schedule is planned for."""
        return self.epochs if self.ramp_up_epochs is None else self.ramp_up_epochs


@dataclasses.dataclass(frozen=True)
class FinetuningPaths(Config):
    """The files and folders that a fine-tuning run reads and writes."""

    task_name: str = setting(
        ...,
        "task, such as CoLA or MultiRC, a task file (.json, .yaml), or a file of labelled texts "
        "(.csv, .tsv, .jsonl)",
        aliases=("task", "data"),
    )
    pretrained_parameters: Optional[str] = setting(
        None,
        "initial weights: a model folder, a Hugging Face folder, or a .params file of "
        "--architecture; default: model/bort.params, or with --teacher random weights of "
        "--architecture",
    )
    architecture: str = setting(
        "bort_4_8_768_1024",
        "architecture of .params files and random weights",
        aliases=("bort_model",),
    )
    vocab: Optional[str] = setting(
        None,
        "vocabulary (folder, file or name); default: that of the model folder, or RoBERTa's",
    )
    data_dir: Optional[str] = setting(
        None, "folder of the data in the official layout; default: GluonNLP's cache"
    )
    sample: bool = setting(
        False,
        "use the small data set of the task in this repository (an own task keeps its own), and a "
        "small random model",
    )
    output_dir: Optional[str] = setting(
        None, "folder of the run; default: runs/finetune/<task>", aliases=("ckpt_dir",)
    )
    report_share: float = setting(
        0.0,
        "leave out the training examples that scripts/run_agora.py takes for its report split with "
        "this --report_share, so that Socrates does not learn them",
        minimum=0.0,
        maximum=0.9,
    )
    report_seed: int = setting(0, "--seed of that Agora run", minimum=0)
    cache_dir: Optional[str] = setting(
        None, "folder for tokenised data sets; default: they are not stored"
    )
    preset: Optional[str] = setting(
        None,
        "defaults of the other flags: those of the paper, of the original release's script, of "
        "BERT's fine-tuning on SQuAD, or for own tasks of some hundred to some thousand rows; "
        "default: own for an own task, paper for others",
        choices=(_PAPER, "release", "squad", _OWN_TASK),
    )
    replay: Optional[str] = setting(
        None,
        "metrics.jsonl of a run with --hours: repeat its steps, with their learning rates, without "
        "a clock; all other settings must be those of that run, without --hours",
    )
    resume: bool = setting(
        False,
        "continue the run in --output_dir from its newest checkpoint; without one, start at step 0",
    )
    seeds: int = setting(
        1,
        "number of runs, each with another seed; they share --hours equally",
        minimum=1,
        maximum=10_000,
    )
    gpu: bool = setting(True, "use a GPU if there is one")
    no_distributed: bool = setting(False, "has no effect; accepted because the release has it")
    teacher: Optional[str] = setting(
        None,
        "model that was fine-tuned on the same task, whose outputs the model learns from as well "
        "(--soft_weight): a model folder or a Hugging Face folder; with --soft_weight 0 any "
        "encoder, for --hidden_weight or --relation_weight; default: none",
    )
    unlabelled: Optional[str] = setting(
        None,
        "file of further inputs without labels, which learn from --teacher alone: .txt (a text a "
        "line), .tsv (columns, or a header with the task's fields), .jsonl, of an own task .csv; "
        "default: none",
    )
    initialise_from: Optional[str] = setting(
        None,
        "start with a slice of the weights of --teacher (teacher) or of another model folder or "
        "Hugging Face folder; --architecture is at most as large",
    )

    def check(self) -> None:
        """Check that unlabelled inputs have a teacher, and that there is one start."""
        if self.pretrained_parameters is not None and self.initialise_from is not None:
            raise InputError(
                f"pretrained_parameters is {self.pretrained_parameters!r} and initialise_from is "
                f"{self.initialise_from!r}, allowed is one of them"
            )
        if self.unlabelled is not None and self.teacher is None:
            raise InputError("unlabelled is given without teacher, whose outputs it learns from")

    @property
    def preset_values(self) -> Mapping[str, Any]:
        """The values of `FinetuningConfig` whose flags are not given."""
        is_own = is_task_file(self.task_name) or is_data_file(self.task_name)
        return FINETUNING_PRESETS[self.preset or (_OWN_TASK if is_own else _PAPER)]

    def folder_to_continue(self, seed: int) -> Optional[str]:
        """Return the folder whose run a resumed command continues; None for that of a default.

        Args:
            seed: seed of the first of several runs.
        """
        if self.output_dir is None or self.seeds == 1:
            return self.output_dir
        places = [seed_folder(Path(self.output_dir), seed + n) for n in range(self.seeds)]
        return str(max(filter(Path.exists, places), key=places.index, default=places[0]))


def seed_folder(folder: Path, seed: int) -> Path:
    """Return the folder of the run of one of several seeds."""
    return folder / f"seed-{seed}"


FINETUNING_PRESETS: Mapping[str, Mapping[str, Any]] = {
    _PAPER: {},
    "release": {
        "lr": 5e-5,
        "weight_decay": 110.0,
        "warmup_ratio": 0.45,
        "seed": 2,
        "early_stop": 200,
        "head": "release",
    },
    "squad": {
        "max_len": 384,
        "epochs": 4,
        "batch_size": 16,
        "lr": 3e-5,
        "lr_floor": 0.0,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
    },
    _OWN_TASK: {
        "max_len": 128,
        "epochs": 10,
        "batch_size": 16,
        "lr": 5e-5,
        "lr_floor": 0.0,
        "warmup_ratio": 0.1,
        "weight_decay": 0.01,
        "optimizer": "adamw",
        "head": "release",
    },
}
"""Settings by name: `paper` keeps the defaults, `release` has those of the original script.

`squad` has those of BERT on SQuAD (arXiv 1810.04805, appendix A.3, and its script: windows of 384
tokens, warm-up over a tenth of the steps, weight decay 0.01), with 4 epochs and batches of 16.
`own` has those of BERT (the same appendix) with 10 epochs and AdamW. An own task is small, and the
first hundreds of steps of BERTAdam, which has no bias correction, are too large (arXiv 2006.05987).
docs/own-tasks.md has a measurement.
"""
