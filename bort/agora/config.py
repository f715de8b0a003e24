"""Every setting of Agora: what the paper leaves open has a name, what is ours says so."""

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
    """How the loop runs.

    From the paper: new points are made from the best model's dev mistakes, join the training set
    and stay; the sets are sorted by dev score and those that share the longest leading values with
    the first leave; an iteration may be repeated. Everything else is an assumption of ours.

    Differs from the paper: new points are made from the whole dev set by default, which was no
    worse in 12 of 14 measured runs; `sources="mistakes"` is the paper's way. What each choice did
    is in docs/benchmarks.md. Of a regression, mistakes and Socrates' agreement are judged on
    rounded values, as in the paper; sets are ranked by the task's own metrics of the values as they
    are.
    """

    seed: int = setting(0, "seed of tau, of what balancing drops, of the report split", minimum=0)
    direction: str = setting(
        "worst_first", "which end of the sorted sets is pruned", choices=DIRECTIONS
    )
    extent: str = setting(
        "prefix",
        "what is pruned: the first set with those that share its longest leading values (prefix), "
        "or the first alone (worst)",
        choices=EXTENTS,
    )
    last_group: str = setting(
        "one_by_one",
        "how the last sets leave that all share leading values: one by one, so that one is left "
        "standing, or at once",
        choices=LAST_GROUPS,
    )
    replay: str = setting(
        "redraw",
        "repeat an iteration when its best score falls, with its new points drawn again (redraw) "
        "or with more added (extend); always: add more and repeat whatever the score",
        choices=REPLAYS,
    )
    max_replays: int = setting(1, "repetitions of an iteration, at most", minimum=1)
    sources: str = setting(
        "dev", "dev examples that new points are made from: mistakes or all", choices=POINT_SOURCES
    )
    points_per_source: int = setting(4, "new points from each of them", minimum=1)
    max_new_points: int = setting(0, "new points an iteration, at most; 0: no bound", minimum=0)
    balance: str = setting(
        "fill",
        "which new points join: none (all), downsample (as many of each label), fill (so that no "
        "label outgrows the others), proportional (as in the training set)",
        choices=BALANCES,
    )
    labels: str = setting("hard", "Socrates' labels: hard, or soft to distil from", choices=LABELS)
    minimum_confidence: float = setting(
        0.0, "new points of which Socrates is less sure are dropped", minimum=0.0, maximum=1.0
    )
    taus: Tuple[str, ...] = setting(
        ("substitution",), "functions that make new examples", choices=TAUS
    )
    tau_combination: str = setting(
        "one_of", "one function is drawn, or all are applied in turn", choices=COMBINATIONS
    )
    tau_share: float = setting(
        0.4,
        "share of the tokens that a function changes (span_shuffle: always up to 4 neighbours)",
        above=0.0,
        maximum=1.0,
    )
    minimum_distance: float = setting(
        0.05, "smallest allowed edit distance of a new example, over tokens, 0 to 1", above=0.0
    )
    maximum_distance: float = setting(
        0.7, "largest allowed edit distance of a new example", above=0.0, maximum=1.0
    )
    attempts: int = setting(20, "calls of tau for each new point, at most", minimum=1)
    allow_weak_socrates: bool = setting(
        False,
        "go on although Socrates' dev accuracy is not above 2/3, or its Matthews correlation not "
        "above 0, which is that of the majority class",
        speed_only=True,  # it stops a run or does not, and changes no result
    )
    halving: int = setting(
        0,
        "economical mode, not the paper's: successive halving by this factor inside an iteration; "
        "0 trains every set in full",
        minimum=0,
    )
    halving_rungs: int = setting(
        2, "economical mode: short trainings before the full one, at most", minimum=1
    )
    warm_start: bool = setting(
        False, "economical mode, not the paper's: start from the best model of the iteration before"
    )

    def check(self) -> None:
        """The distances make a band; a factor of 1 halves nothing."""
        self.band  # noqa: B018
        if self.halving == 1:
            raise InputError("halving is 1, allowed are 0 (off) and 2 or more")

    @property
    def band(self) -> Band:
        """Similar enough, but not too similar."""
        return Band(self.minimum_distance, self.maximum_distance)

    @property
    def is_economical(self) -> bool:
        """Whether anything differs from the paper to save trainings."""
        return self.halving > 0 or self.warm_start


@dataclass(frozen=True)
class AgoraSets(Config):
    """Where Θ comes from: the paper, a file, flags, a former run's convergent set."""

    hyperparameters: Optional[str] = setting(
        None, "JSON file of hyperparameter sets, a list or a grid; default: the paper's 240"
    )
    chs: Optional[str] = setting(
        None, "chs.json of a former run: its convergent hyperparameter set alone"
    )
    seeds: Optional[Tuple[int, ...]] = setting(None, "seeds, in place of the paper's")
    lrs: Optional[Tuple[float, ...]] = setting(None, "learning rates, in place of the paper's")
    weight_decays: Optional[Tuple[float, ...]] = setting(
        None, "weight decays, in place of the paper's"
    )
    warmup_ratios: Optional[Tuple[float, ...]] = setting(
        None, "warm-up ratios, in place of the paper's"
    )
    economical_sets: int = setting(
        0, "economical mode, not the paper's: keep so many of the sets, spread; 0: all", minimum=0
    )

    def check(self) -> None:
        """One origin only."""
        given = [name for name in ("hyperparameters", "chs") if getattr(self, name) is not None]
        given += [name for name in _AXES if getattr(self, name) is not None][:1]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} exclude each other")


_AXES = ("seeds", "lrs", "weight_decays", "warmup_ratios")


@dataclass(frozen=True)
class AgoraPaths(Config):
    """What a run of Agora reads and writes."""

    task: str = setting(..., "name of the task", aliases=("task_name",))
    timaeus: Optional[str] = setting(
        None,
        "the pre-trained small model: its folder, or a .params file of --architecture; default: "
        "model/bort.params",
        aliases=("pretrained_parameters",),
    )
    socrates: Optional[str] = setting(
        None, "folder of the model fine-tuned on the task, which labels; its options are the run's"
    )
    architecture: str = setting("bort_4_8_768_1024", "of a .params file", aliases=("bort_model",))
    vocab: Optional[str] = setting(
        None, "Timaeus' vocabulary (folder, file or name); default: the folder's, or RoBERTa's"
    )
    sample: bool = setting(
        False,
        "use the small example of the task, a small Timaeus of random weights and a Socrates "
        "fine-tuned on the spot (too weak without --allow_weak_socrates)",
    )
    output_dir: Optional[str] = setting(
        None,
        "folder of the run: trainings, answers, best model, chs.json; default: runs/agora/<task>",
    )
    points: Optional[str] = setting(
        None, "points.jsonl of a former run: what Socrates labelled in it is trained on too"
    )
    data_dir: Optional[str] = setting(None, "folder of the task's files; default: the usual ones")
    proposer: Optional[str] = setting(
        None, "folder of a masked language model for substitution; default: --timaeus"
    )
    report_file: Optional[str] = setting(
        None, "labelled file for the honest score; default: carved from the training data"
    )
    report_share: float = setting(
        0.2, "share of the training data carved for the honest score", above=0.0, maximum=0.9
    )
    resume: bool = setting(False, "continue the run in --output_dir")
    cpu_only: bool = setting(False, "do not use a GPU even if there is one")

    def check(self) -> None:
        """Somebody must label."""
        if self.socrates is None and not self.sample:
            raise InputError(
                "socrates is missing: name a folder fine-tuned on the task (scripts/finetune.py "
                "makes one), or try --sample"
            )


def make_sets(config: AgoraSets, seed: int = 0) -> HyperparameterSets:
    """Θ as files and flags describe it.

    Args:
        config: its origin.
        seed: of the economical choice.

    Raises:
        InputError: names the file or flag and the value.

    >>> len(make_sets(AgoraSets())), len(make_sets(AgoraSets(seeds=(7,), economical_sets=6)))
    (240, 6)
    """
    path = config.chs or config.hyperparameters
    if path is not None:
        sets = read_sets(path)
        if config.chs is not None and len(sets) != 1:
            raise InputError(f"{path}: holds {len(sets)} sets, a convergent one is alone")
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
