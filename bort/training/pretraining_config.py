"""The settings of pre-training, named as in the original release where it has them."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.errors import InputError
from bort.settings.config import Config, part, setting
from bort.teacher.source import TeacherRuntime, TeacherSource
from bort.text.batch_plan import Accumulation
from bort.text.masking_config import TrainingMasks
from bort.training.arithmetic import check_math_fits, math_setting
from bort.training.divergence import DivergenceCheck
from bort.training.importance_config import ImportanceConfig
from bort.training.objective import FeatureObjective, Objective, check_weights
from bort.training.recipes import DEFAULT_RECIPE, RECIPES, describe_recipe
from bort.training.schedule import SCHEDULES, Decay, LearningRates
from bort.training.time_budget import TimeBudgetConfig
from bort.training.validation_schedule import ValidationSchedule


@dataclasses.dataclass(frozen=True)
class PretrainingConfig(Config):
    """Settings of one pre-training run.

    The defaults are those of the original release where it states them: the objective, learning
    rate 1e-4, weight decay 0.01, epsilon 1e-6, clipping at 1, warm-up over 1 % of the steps, 2 M
    steps. arXiv 2010.10499 does not state them.
    """

    seed: int = setting(0, "seed of initial weights and dropout", minimum=0)
    data_seed: Optional[int] = setting(
        None, "seed of the order of examples and of the masks; default: --seed", minimum=0
    )
    num_steps: int = setting(2_000_000, "optimizer steps", minimum=1, maximum=10**9)
    batch_size: int = setting(
        8,
        "sequences per rank and micro-batch (tokens with --use_avg_len)",
        minimum=1,
        maximum=1 << 20,
    )
    accumulate: int = setting(
        1, "micro-batches whose gradients make one step", minimum=1, maximum=1 << 16
    )
    batch_ramp_steps: int = setting(
        0,
        "steps in which the number of micro-batches grows evenly from one to --accumulate",
        minimum=0,
        maximum=10**9,
    )
    batch_ramp_share: float = setting(
        0.0,
        "share of the run, of the time with --hours, in which it grows in this way instead",
        minimum=0.0,
        maximum=1.0,
    )
    use_avg_len: bool = setting(False, "count --batch_size in tokens, per length bucket")
    num_buckets: int = setting(
        1, "length buckets; 1 pads every row to the longest", minimum=1, maximum=1 << 12
    )
    optimizer: str = setting(
        "bertadam",
        "optimizer: bertadam, adamw (with bias correction) or sgd, which is meant for the search",
        choices=("bertadam", "adamw", "sgd"),
    )
    lr: float = setting(1e-4, "peak learning rate", above=0.0, aliases=("learning_rate",))
    schedule: str = setting(
        "linear",
        "learning rate after the warm-up: linear (the release), noam (the paper), constant, exp "
        "and step (see --decay_rate), triangle (rises to the middle and falls, without warm-up)",
        choices=SCHEDULES,
    )
    decay_rate: float = setting(
        0.5, "exp, step: factor on the learning rate", above=0.0, maximum=0.999999
    )
    decay_share: float = setting(
        0.25, "exp, step: share of the run after which the factor applies", above=0.0
    )
    warmup_ratio: float = setting(
        0.01, "share of the steps in which the learning rate rises", minimum=0.0, maximum=1.0
    )
    warmup_steps: Optional[int] = setting(
        None,
        "steps in which the learning rate rises; default: --warmup_ratio of the steps, which also "
        "holds if this is more than all steps",
        minimum=0,
    )
    weight_decay: float = setting(
        0.01, "weight decay of BERTAdam: w -= lr * (m / (sqrt(v) + eps) + decay * w)", minimum=0.0
    )
    adam_epsilon: float = setting(1e-6, "epsilon of BERTAdam", above=0.0)
    adam_beta2: float = setting(
        0.999, "beta2 of BERTAdam, the decay of the second moment", above=0.0, maximum=0.9999999
    )
    clip: float = setting(1.0, "largest global norm of the gradient; 0 does not clip", minimum=0.0)
    dropout: float = setting(0.1, "dropout probability of the student", minimum=0.0, maximum=0.9)
    initializer_range: float = setting(
        0.02, "standard deviation of random initial weights; narrow models may need more", above=0.0
    )
    pad_vocabulary_to_multiple_of: int = setting(
        1,
        "compute a multiple of this many outputs, which a GPU does faster with 8; those beyond the "
        "vocabulary are cut off, in training alone",
        minimum=1,
        maximum=1 << 12,
        speed_only=True,
    )
    budget: TimeBudgetConfig = part(TimeBudgetConfig)
    ranking: ImportanceConfig = part(ImportanceConfig)
    objective: Objective = part(Objective)
    features: FeatureObjective = part(FeatureObjective)
    masks: TrainingMasks = part(TrainingMasks)
    mask_epochs: Optional[int] = setting(
        None, "epochs after which the masks repeat; default: never", minimum=1
    )
    dtype: str = setting(
        "float32",
        "number format; float16 needs a GPU and uses dynamic loss scaling",
        choices=("float32", "float16"),
    )
    math: str = math_setting()
    teacher_runtime: TeacherRuntime = part(TeacherRuntime)
    batch_size_eval: int = setting(
        8, "evaluation sequences per rank", minimum=1, maximum=1 << 16, speed_only=True
    )
    log_interval: int = setting(10, "steps between recorded metrics", minimum=1, speed_only=True)
    ckpt_interval: int = setting(250, "steps between checkpoints", minimum=1, speed_only=True)
    eval_interval: int = setting(
        1000,
        "steps between evaluations; one more at the end",
        minimum=1,
        speed_only=True,
    )
    keep_checkpoints: int = setting(3, "newest checkpoints to keep", minimum=1, speed_only=True)
    stop_at_step: Optional[int] = setting(
        None,
        "end after this step, with an evaluation, a checkpoint and the model; the learning rate "
        "stays planned for --num_steps, and --resume goes on",
        minimum=1,
        maximum=10**9,
        speed_only=True,
    )
    validation: ValidationSchedule = part(ValidationSchedule)
    divergence: DivergenceCheck = part(DivergenceCheck)

    def check(self) -> None:
        """Check that there is something to learn from, and masked tokens for losses on them."""
        self.budget.check_warmup(self.warmup_steps)
        check_math_fits(self.math, self.dtype)
        if self.batch_ramp_steps and self.batch_ramp_share:
            raise InputError(
                f"batch_ramp_steps is {self.batch_ramp_steps} and batch_ramp_share is "
                f"{self.batch_ramp_share}, allowed is one of them"
            )
        if self.budget.hours is not None and self.stop_at_step is not None:
            raise InputError(
                f"stop_at_step is {self.stop_at_step} and hours is {self.budget.hours!r}; with "
                "hours, early_exit_time_marker ends a run early"
            )
        check_weights(self.objective, self.features)
        objective = self.objective
        if self.masks.mask_probability == 0:
            for name in ("mlm_weight", "teacher_ce_weight"):
                weight = getattr(objective, name)
                if weight > 0:
                    raise InputError(
                        f"mask_probability is 0.0 and {name} is {weight!r}; without masked tokens "
                        f"{name} must be 0"
                    )

    @property
    def order_seed(self) -> int:
        """The seed of the order of examples and of the masks."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def accumulation(self) -> Accumulation:
        """The number of micro-batches of each step."""
        return Accumulation(self.accumulate, self.batch_ramp_steps, self.batch_ramp_share)

    @property
    def decay(self) -> Decay:
        """The decay of the schedules `exp` and `step`."""
        return Decay(self.decay_rate, self.decay_share)

    def learning_rates(self) -> LearningRates:
        """Return the learning rates of the steps of a new run."""
        return LearningRates(
            schedule=self.schedule,
            peak=self.lr,
            total_steps=self.num_steps,
            warmup_ratio=self.warmup_ratio,
            warmup_steps=self.warmup_steps,
            decay=self.decay,
        )

    def describe(self, recipe: str, ranks: int) -> str:
        """Return a line with the settings of a recipe and the size of a step.

        Args:
            recipe: name of the recipe.
            ranks: number of ranks.
        """
        rows = self.batch_size * self.accumulate * ranks
        unit = "tokens" if self.use_avg_len else "sequences"
        return f"{describe_recipe(recipe)}; a step has {rows} {unit} here"

    def mask_epoch(self, epoch: int) -> int:
        """Return the epoch whose masks an epoch uses; epochs are counted from 0."""
        return epoch if self.mask_epochs is None else epoch % self.mask_epochs


@dataclasses.dataclass(frozen=True)
class PretrainingPaths(Config):
    """The files and folders that a pre-training run reads and writes."""

    data: str = setting(..., "folder of shards, or files of shards (globs, commas)")
    data_eval: Optional[str] = setting(None, "the same for the evaluation data")
    ckpt_dir: str = setting("ckpt_dir", "folder of the run: checkpoints, metrics, the model")
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: the one stored with the shards"
    )
    architecture: str = setting(
        "bort_4_8_768_1024",
        "student: a preset, depth-heads-hidden-intermediate[-qkv][-pre], or a .json file",
        aliases=("model",),
    )
    initial_model: Optional[str] = setting(
        None,
        "start from this model (model folder, Hugging Face folder or .params) instead of random "
        "weights",
    )
    initialise_from: Optional[str] = setting(
        None,
        "start with a slice of the weights of the teacher (teacher) or of another model folder or "
        "Hugging Face folder with the same vocabulary; --architecture is at most as large",
    )
    teacher: TeacherSource = part(
        TeacherSource,
        help={
            "teacher_model": "a GluonNLP model, a model folder, a Hugging Face folder, or none "
            "(self-supervised)"
        },
    )
    teacher_cache: Optional[str] = setting(
        None, "cache written by scripts/cache_teacher_answers.py, used instead of a teacher"
    )
    recipe: str = setting(
        DEFAULT_RECIPE,
        "defaults of the training flags: those of the paper, or a published recipe, which the "
        "command prints",
        choices=tuple(RECIPES),
    )
    replay: Optional[str] = setting(
        None,
        "metrics.jsonl of a run with --hours: repeat its steps, with their learning rates, without "
        "a clock; all other settings must be those of that run, without --hours",
    )
    dry_run: bool = setting(
        False, "with --hours: make a trial, print what the time buys, and end; writes nothing"
    )
    resume: bool = setting(
        False,
        "continue the run in --ckpt_dir from its newest checkpoint; without one, start at step 0",
    )
    start_step: Optional[int] = setting(
        None, "continue from the checkpoint of this step", minimum=0
    )
    cpu_only: bool = setting(False, "run on the CPU even if there is a GPU")

    def check(self) -> None:
        """Check that neither two starts nor a cache and a teacher network are given."""
        if self.dry_run and (self.resume or self.replay is not None):
            name = "resume" if self.resume else "replay"
            raise InputError(f"dry_run and {name} are both given, allowed is one of them")
        if self.initial_model is not None and self.initialise_from is not None:
            raise InputError(
                f"initial_model is {self.initial_model!r} and initialise_from is "
                f"{self.initialise_from!r}, allowed is one of them"
            )
        if self.teacher_cache is None:
            return
        teacher = self.teacher
        given = {
            "teacher_ckpt_dir": teacher.teacher_ckpt_dir,
            "teacher_random_seed": teacher.teacher_random_seed,
            "teacher_model": "none" if teacher.teacher_model.lower() == "none" else None,
        }
        for name, value in given.items():
            if value is not None:
                raise InputError(
                    f"teacher_cache is {self.teacher_cache!r} and {name} is {value!r}, "
                    "allowed is one of them"
                )
