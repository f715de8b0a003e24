"""The settings and paths of a super-network's training."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.settings.config import Config, part, setting
from bort.super_network.sampling import SANDWICH, SamplingConfig
from bort.super_network.space import AXES, SubNetworkSpace, named_axes, parse_axis
from bort.teacher.keeping_features import KeptFeaturesConfig
from bort.teacher.source import TeacherSource
from bort.training.pretraining_config import PretrainingConfig
from bort.training.recipes import DEFAULT_RECIPE, RECIPES

_OF_TEXT, _OF_A_TASK = ("data_eval", "teacher_cache"), ("data_dir", "unlabelled", "sample")
_GRID = "values or grids first:last:step, as in 2:6:2; override --space"


@dataclasses.dataclass(frozen=True)
class SuperNetworkConfig(Config):
    """Settings of one training of a super-network.

    Steps, optimizer, masks and the terms of the loss are those of pre-training. On a task,
    `soft_weight` and `label_weight` take the place of the masked-token terms.
    """

    pretraining: PretrainingConfig = part(PretrainingConfig)
    samples: SamplingConfig = part(SamplingConfig)
    in_place: Optional[bool] = setting(
        None,
        "let all sub-networks but the largest learn from the largest one's outputs of the same "
        "step; default: with --sampling sandwich",
    )
    in_place_weight: float = setting(
        1.0, "weight of the term of --in_place, at --distillation_temperature", above=0.0
    )
    soft_weight: float = setting(
        1.0,
        "with --task_name and a teacher: weight of the loss on its outputs; inputs without a label "
        "have it alone, with the sum of both weights",
        minimum=0.0,
    )
    label_weight: float = setting(
        1.0,
        "with --task_name and a teacher: weight of the loss on the labels; 1 without a teacher",
        minimum=0.0,
    )
    max_len: int = setting(
        128, "with --task_name: longest input in tokens", minimum=8, maximum=1 << 15
    )
    freeze_embeddings: bool = setting(
        False,
        "with --task_name and --start: keep the embeddings of the vocabulary as they are at the "
        "start",
    )
    kept: KeptFeaturesConfig = part(
        KeptFeaturesConfig,
        help={
            "kept_features_gb": "with --task_name: keep the teacher's features of all inputs on "
            "disk if they take at most so many gigabytes, and half of the free space; otherwise "
            "they are computed in every step"
        },
    )
    cached_parts: int = setting(
        4,
        "number of sub-networks that are kept built between steps; each takes the memory of its "
        "activations in a step",
        minimum=1,
        maximum=1 << 16,
        speed_only=True,
    )

    def check(self) -> None:
        """Check that steps with targets in place hold the largest one, and that settings fit."""
        if self.in_place and self.samples.sampling != SANDWICH:
            raise InputError(
                f"in_place is true with sampling {self.samples.sampling!r}, allowed is "
                f"{SANDWICH!r}, whose steps hold the largest sub-network"
            )
        if self.label_weight == 0 and self.soft_weight == 0:
            raise InputError("label_weight and soft_weight are both 0, one must be above 0")
        self.kept.check_needed(self.pretraining.features.features)
        if self.pretraining.dtype != "float32":
            raise InputError(
                f"dtype is {self.pretraining.dtype!r}, allowed for a super-network is 'float32'"
            )

    @property
    def learns_in_place(self) -> bool:
        """Whether sub-networks learn from the largest one's outputs."""
        return self.samples.sampling == SANDWICH if self.in_place is None else self.in_place


@dataclasses.dataclass(frozen=True)
class SuperNetworkPaths(Config):
    """The files and folders of a super-network's training, and its space."""

    output_dir: str = setting(..., "folder of the run: checkpoints, metrics, the super-network")
    data: Optional[str] = setting(
        None, "text to learn from: folder of shards, or files of shards (globs, commas)"
    )
    data_eval: Optional[str] = setting(None, "the same for the evaluation data")
    task_name: Optional[str] = setting(
        None,
        "learn a task, such as SST-2, a task file or a file of labelled texts, instead of text",
        aliases=("task",),
    )
    data_dir: Optional[str] = setting(
        None, "with --task_name: folder of the data in the official layout"
    )
    unlabelled: Optional[str] = setting(
        None, "with --task_name: file of further inputs without labels"
    )
    sample: bool = setting(
        False, "with --task_name: use the small data set of the task in this repository"
    )
    vocab: Optional[str] = setting(
        None, "vocabulary (folder, file or name); default: that of --start, or that of the shards"
    )
    start: Optional[str] = setting(
        None,
        "start from this super-network, model folder or Hugging Face folder, or from the teacher "
        "with the word teacher; default: random weights",
    )
    architecture: Optional[str] = setting(
        None,
        "without --start: sizes of the whole network, a preset, "
        "depth-heads-hidden-intermediate[-qkv][-pre], or a .json file",
    )
    teacher: TeacherSource = part(
        TeacherSource,
        help={"teacher_model": "a GluonNLP model, a model folder, a Hugging Face folder, or none"},
    )
    teacher_cache: Optional[str] = setting(
        None, "cache written by scripts/cache_teacher_answers.py, used instead of a teacher"
    )
    space: Optional[str] = setting(
        None,
        "architectures of the sub-networks: a JSON file (depths, hiddens, intermediates, heads or "
        "qkvs), autotinybert_mlm or autotinybert_kd; axes that are not given keep the size of the "
        "whole network",
    )
    depths: Optional[Tuple[str, ...]] = setting(None, f"values of D: {_GRID}")
    hiddens: Optional[Tuple[str, ...]] = setting(None, f"values of H: {_GRID}")
    intermediates: Optional[Tuple[str, ...]] = setting(None, f"values of I: {_GRID}")
    heads: Optional[Tuple[str, ...]] = setting(
        None, f"values of A, whole heads of the whole network: {_GRID}"
    )
    qkvs: Optional[Tuple[str, ...]] = setting(
        None, f"values of Q, all heads of the whole network but narrower: {_GRID}"
    )
    recipe: str = setting(
        DEFAULT_RECIPE,
        "with --data: defaults of the training flags: those of the paper, or a published recipe, "
        "which the command prints",
        choices=tuple(RECIPES),
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
    cpu_only: bool = setting(False, "run on the CPU even if there is a GPU")

    def check(self) -> None:
        """Check that there is one source of data, and a whole network."""
        if (self.data is None) == (self.task_name is None):
            raise InputError(
                f"data is {self.data!r} and task_name is {self.task_name!r}, allowed is one of them"
            )
        self._refuse_paths_of_the_other_data()
        if self.task_name is not None and self.recipe != DEFAULT_RECIPE:
            raise InputError(
                f"recipe is {self.recipe!r}, which is one of masked text; allowed with task_name "
                f"is {DEFAULT_RECIPE!r}"
            )
        if self.start is not None and self.architecture is not None:
            raise InputError(
                f"start is {self.start!r} and architecture is {self.architecture!r}, allowed is "
                "one of them"
            )
        if self.heads is not None and self.qkvs is not None:
            raise InputError("heads and qkvs are both given, allowed is one of them")

    def _refuse_paths_of_the_other_data(self) -> None:
        """Refuse files that are for text if there is a task, and the other way round."""
        other, here = (_OF_TEXT, "task_name") if self.data is None else (_OF_A_TASK, "data")
        for name in other:
            if getattr(self, name):
                raise InputError(
                    f"{name} is {getattr(self, name)!r}, which has no effect with {here}; "
                    "allowed is to leave it out"
                )


def make_sub_network_space(paths: SuperNetworkPaths, whole: Architecture) -> SubNetworkSpace:
    """Return the space that `--space` and the flags of axes describe.

    An axis without values has that of the whole network; without `heads` and `qkvs`, `heads` has.

    Args:
        paths: the space and the flags that override it.
        whole: sizes of the network to start from.

    Raises:
        InputError: names the file or the axis, the value and what is allowed; or no axis is given.
    """
    values: Dict[str, Any] = {} if paths.space is None else named_axes(paths.space)
    words = {axis: getattr(paths, axis) for axis in AXES if getattr(paths, axis) is not None}
    if not {"heads", "qkvs"}.isdisjoint(words):
        values = {axis: given for axis, given in values.items() if axis not in ("heads", "qkvs")}
    values.update({axis: parse_axis(axis, given) for axis, given in words.items()})
    if not values:
        raise InputError(
            "space: no axis is given, needed is --space or one of "
            + ", ".join(f"--{axis}" for axis in AXES)
        )
    values.setdefault("depths", [whole.depth])
    values.setdefault("hiddens", [whole.hidden])
    values.setdefault("intermediates", [whole.intermediate])
    if "qkvs" not in values:
        values.setdefault("heads", [whole.heads])
    source = "space" if words or paths.space is None else paths.space
    space = SubNetworkSpace.from_dict(values, source)
    space.check_fits(whole, source)
    return space
