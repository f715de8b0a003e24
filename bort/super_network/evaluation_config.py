"""The settings and paths of an evaluation of many sub-networks."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.errors import InputError
from bort.process.threads import check_thread_count
from bort.settings.config import Config, part, setting
from bort.text.masking_config import Masks


@dataclasses.dataclass(frozen=True)
class PartEvaluationConfig(Config):
    """Settings of one evaluation."""

    seed: int = setting(0, "seed of the masks", minimum=0)
    masks: Masks = part(Masks)
    held_out_batches: int = setting(
        0, "number of batches of held-out text, spread evenly over it; 0: all", minimum=0
    )
    split: str = setting(
        "dev",
        "with a task: labelled split to score, e.g. dev (of MNLI both halves), dev_mismatched",
    )
    length: int = setting(
        0,
        "tokens of the sequence whose multiply-adds are reported; 0: the longest input of the data",
        minimum=0,
        maximum=1 << 15,
    )
    engine: str = setting(
        "mxnet",
        "engine that runs the sub-networks",
        choices=("mxnet", "openvino", "onnxruntime"),
    )
    batch_size: int = setting(
        32, "sequences per batch", minimum=1, maximum=1 << 16, speed_only=True
    )
    threads: int = setting(
        1, "threads per process; start as many ranks as cores", minimum=1, speed_only=True
    )

    def check(self) -> None:
        """Check the number of threads."""
        check_thread_count("threads", self.threads)


@dataclasses.dataclass(frozen=True)
class PartEvaluationPaths(Config):
    """The super-network, its sub-networks to score, the data, and the folder of the scores."""

    super_network: str = setting(..., "folder of scripts/train_super_network.py")
    output_dir: str = setting(..., "folder of the scores, one line for each sub-network")
    architectures: Optional[Tuple[str, ...]] = setting(
        None,
        "sub-networks: depth-heads-hidden-intermediate[-qkv], largest, smallest, text files with "
        "one a line (AutoTinyBERT's candidates, too), or .json files",
    )
    draw: int = setting(
        0,
        "number of further sub-networks, drawn from the space without repetition",
        minimum=0,
        maximum=1_000_000,
    )
    draw_seed: int = setting(0, "seed of --draw", minimum=0)
    data: Optional[str] = setting(
        None, "held-out text of a masked-token super-network: folder or files of shards"
    )
    data_dir: Optional[str] = setting(
        None, "with a super-network of a task: folder of the official data"
    )
    sample: bool = setting(
        False,
        "with a super-network of a task: use the small data set of the task in this repository",
    )
    resume: bool = setting(
        False, "continue the scoring run in --output_dir, which may get more sub-networks"
    )
    cpu_only: bool = setting(False, "run on the CPU even if there is a GPU; mxnet alone uses one")

    def check(self) -> None:
        """Check that there is a sub-network to score."""
        if self.architectures is None and self.draw == 0:
            raise InputError("architectures is missing and draw is 0, needed is one of them")
