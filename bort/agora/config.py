"""Settings of Agora; the docstrings separate the paper's choices from ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from bort.agora.balance import BALANCES
from bort.agora.edit_distance import Band
from bort.agora.hyperparameters import (
    PAPER_SETS,
    HyperparameterSets,
    choose_economical,
    grid,
    read_sets,
)
from bort.agora.pruning import DIRECTIONS, EXTENTS, LAST_GROUPS
from bort.agora.socrates import LABELS
from bort.agora.tau import COMBINATIONS, TAUS
from bort.errors import InputError
from bort.settings.config import Config, setting

REPLAYS = ("none", "redraw", "extend", "always")
POINT_SOURCES = ("mistakes", "dev")


@dataclass(frozen=True)
class AgoraConfig(Config):
    """Settings of the loop.

    From the paper: new points are made from the best model's mistakes on the dev set, join the
    training set and stay in it. The hyperparameter sets are sorted by dev score, and the first is
    removed with the sets that share its longest leading values. An iteration may be repeated.
    Everything else is our assumption.

    Differs from the paper: by default new points are made from the whole dev set, which was no
    worse in 12 of 14 measured runs; `sources="mistakes"` is the paper's choice. docs/benchmarks.md
    shows the effect of each choice. For a regression, mistakes and Socrates' accuracy are judged on
    six classes (see `LabelClasses`), for STS-B the rounded values of the paper, while sets are
    ranked by the task's metrics of the exact values.
    """

    seed: int = setting(
        0, "seed of the tau functions, of balancing and of the report split", minimum=0
    )
    direction: str = setting(
        "worst_first", "end of the sorted sets that is pruned", choices=DIRECTIONS
    )
    extent: str = setting(
        "prefix",
        "sets that are pruned: the first and all that share its longest leading values (prefix), "
        "or only the first (worst)",
        choices=EXTENTS,
    )
    last_group: str = setting(
        "one_by_one",
        "how the last sets leave when all of them share leading values: one_by_one, which leaves "
        "one convergent set, or at_once",
        choices=LAST_GROUPS,
    )
    replay: str = setting(
        "redraw",
        "repeat an iteration when its best score falls, with new points drawn again (redraw) "
        "or with more points added (extend); always: add more points whatever the score",
        choices=REPLAYS,
    )
    max_replays: int = setting(1, "maximum number of repetitions of an iteration", minimum=1)
    sources: str = setting(
        "dev",
        "dev examples that new points are made from: only the mistakes, or all (dev)",
        choices=POINT_SOURCES,
    )
    points_per_source: int = setting(4, "new points per dev example", minimum=1)
    max_new_points: int = setting(
        0, "maximum number of new points per iteration; 0: no limit", minimum=0
    )
    balance: str = setting(
        "fill",
        "new points that join: all (none), the same number of each label (downsample), as many as "
        "keep the labels balanced (fill), or in the proportions of the training set (proportional)",
        choices=BALANCES,
    )
    labels: str = setting(
        "hard", "Socrates' labels: hard, or soft for distillation", choices=LABELS
    )
    minimum_confidence: float = setting(
        0.0,
        "drop new points for which Socrates' confidence is lower than this",
        minimum=0.0,
        maximum=1.0,
    )
    taus: Tuple[str, ...] = setting(
        ("substitution",), "functions that make new examples", choices=TAUS
    )
    tau_combination: str = setting(
        "one_of",
        "apply one function drawn at random (one_of), or all in turn (chain)",
        choices=COMBINATIONS,
    )
    tau_share: float = setting(
        0.4,
        "share of the tokens that a function changes (span_shuffle: always up to 4 neighbours)",
        above=0.0,
        maximum=1.0,
    )
    minimum_distance: float = setting(
        0.05,
        "minimum edit distance, over tokens, of a new example from its source, 0 to 1",
        above=0.0,
    )
    maximum_distance: float = setting(
        0.7, "maximum edit distance of a new example from its source", above=0.0, maximum=1.0
    )
    attempts: int = setting(20, "maximum number of calls of tau per new point", minimum=1)
    allow_weak_socrates: bool = setting(
        False,
        "continue if Socrates' dev accuracy is not above 2/3, or its Matthews correlation is not "
        "above 0 (the value of the majority class)",
        speed_only=True,  # it can stop a run, but it changes no result
    )
    halving: int = setting(
        0,
        "economical mode, not in the paper: successive halving by this factor in each iteration; "
        "0 trains every set in full",
        minimum=0,
    )
    halving_rungs: int = setting(
        2, "economical mode: maximum number of short trainings before the full one", minimum=1
    )
    warm_start: bool = setting(
        False,
        "economical mode, not in the paper: start from the best model of the previous iteration",
    )

    def check(self) -> None:
        """Check that the distances form a band and that halving is not 1."""
        self.band  # noqa: B018
        if self.halving == 1:
            raise InputError("halving is 1, allowed are 0 (off) and 2 or more")

    @property
    def band(self) -> Band:
        """The allowed edit distances of a new example from its source."""
        return Band(self.minimum_distance, self.maximum_distance)

    @property
    def is_economical(self) -> bool:
        """Whether a setting that saves trainings departs from the paper."""
        return self.halving > 0 or self.warm_start


@dataclass(frozen=True)
class AgoraSets(Config):
    """The origin of Θ: the paper, a file, flags, or the convergent set of an earlier run."""

    hyperparameters: Optional[str] = setting(
        None, "JSON file of hyperparameter sets, a list or a grid; default: the paper's 240 sets"
    )
    chs: Optional[str] = setting(
        None, "chs.json of an earlier run: use only its convergent hyperparameter set"
    )
    seeds: Optional[Tuple[int, ...]] = setting(None, "seeds; override the paper's")
    lrs: Optional[Tuple[float, ...]] = setting(None, "learning rates; override the paper's")
    weight_decays: Optional[Tuple[float, ...]] = setting(
        None, "weight decays; override the paper's"
    )
    warmup_ratios: Optional[Tuple[float, ...]] = setting(
        None, "warm-up ratios; override the paper's"
    )
    economical_sets: int = setting(
        0,
        "economical mode, not in the paper: number of sets to keep, spread over all values; 0: all",
        minimum=0,
    )

    def check(self) -> None:
        """Check that Θ has only one origin."""
        given = [name for name in ("hyperparameters", "chs") if getattr(self, name) is not None]
        given += [name for name in _AXES if getattr(self, name) is not None][:1]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other")


_AXES = ("seeds", "lrs", "weight_decays", "warmup_ratios")


@dataclass(frozen=True)
class AgoraPaths(Config):
    """Paths and inputs of a run of Agora."""

    task: str = setting(
        ...,
        "name of the task, a task file, or a file of labelled texts",
        aliases=("task_name", "data"),
    )
    timaeus: Optional[str] = setting(
        None,
        "the pre-trained small model: a model folder, a Hugging Face folder, or a .params file "
        "of --architecture; default: model/bort.params",
        aliases=("pretrained_parameters",),
    )
    socrates: Optional[str] = setting(
        None,
        "folder of the model that is fine-tuned on the task and labels new points; the run uses "
        "its task options",
    )
    architecture: str = setting(
        "bort_4_8_768_1024",
        "architecture of a .params file or with --initialise_from",
        aliases=("bort_model",),
    )
    vocab: Optional[str] = setting(
        None,
        "Timaeus' vocabulary (folder, file or name); default: that of its folder, or RoBERTa's",
    )
    sample: bool = setting(
        False,
        "use the small sample of the task, a small Timaeus with random weights and a Socrates "
        "that is fine-tuned first (too weak without --allow_weak_socrates)",
    )
    output_dir: Optional[str] = setting(
        None,
        "folder of the run: trainings, answers, best model, chs.json; default: runs/agora/<task>",
    )
    points: Optional[str] = setting(
        None, "points.jsonl of an earlier run: train on the points that Socrates labelled in it too"
    )
    data_dir: Optional[str] = setting(
        None, "folder of the task's files; default: the usual folders"
    )
    proposer: Optional[str] = setting(
        None, "folder of a masked language model for substitution; default: --timaeus"
    )
    report_file: Optional[str] = setting(
        None, "labelled file for the report score; default: a part of the training data"
    )
    report_share: float = setting(
        0.2, "share of the training data held out for the report score", above=0.0, maximum=0.9
    )
    resume: bool = setting(False, "continue the run in --output_dir; without a training, begin")
    cpu_only: bool = setting(False, "use the CPU even if there is a GPU")
    initialise_from: Optional[str] = setting(
        None,
        "start Timaeus with a slice of the weights of --socrates (socrates) or of another model "
        "folder or Hugging Face folder, in place of --timaeus; --architecture is at most as large",
    )

    def check(self) -> None:
        """Check that there is a Socrates, and one start of Timaeus."""
        if self.timaeus is not None and self.initialise_from is not None:
            raise InputError(
                f"timaeus is {self.timaeus!r} and initialise_from is {self.initialise_from!r}, "
                "allowed is one of them"
            )
        if self.socrates is None and not self.sample:
            raise InputError(
                "socrates is missing: give the folder of a model fine-tuned on the task "
                "(scripts/finetune.py makes one), or use --sample"
            )


def make_sets(config: AgoraSets, seed: int = 0) -> HyperparameterSets:
    """Return Θ as files and flags describe it.

    Args:
        config: the origin of Θ.
        seed: seed of the economical choice.

    Raises:
        InputError: names the file or flag and the value.

    >>> len(make_sets(AgoraSets())), len(make_sets(AgoraSets(seeds=(7,), economical_sets=6)))
    (240, 6)
    """
    path = config.chs or config.hyperparameters
    if path is not None:
        sets = read_sets(path)
        if config.chs is not None and len(sets) != 1:
            raise InputError(
                f"{path}: has {len(sets)} hyperparameter sets, allowed is one convergent set"
            )
    else:
        paper = zip(*(theta.values for theta in PAPER_SETS))
        axes = [getattr(config, name) for name in _AXES]
        sets = grid(*(given or tuple(dict.fromkeys(usual)) for given, usual in zip(axes, paper)))
    if config.economical_sets == 0:
        return sets
    if config.economical_sets > len(sets):
        raise InputError(
            f"economical_sets is {config.economical_sets}, allowed are 0 (all) to {len(sets)}"
        )
    return choose_economical(sets, config.economical_sets, np.random.default_rng(seed))
