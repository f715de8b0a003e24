"""The sub-networks that a step of a super-network's training updates, a function of seed and step.

All ranks draw the same architectures, and a resumed run continues the sequence.
"""

from __future__ import annotations

import dataclasses
from typing import Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.super_network.space import SubNetworkSpace

SANDWICH, UNIFORM = "sandwich", "uniform"

_SAMPLING_STREAM = 0x70617274
"""Keeps these draws apart from those of masks and batches with the same seed."""


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Config):
    """Settings for the choice of the sub-networks of each step.

    Source: arXiv 1903.05134 (the sandwich rule, with two random sub-networks); arXiv 2107.13686,
    section 3 (uniform).
    """

    sampling: str = setting(
        SANDWICH,
        "sub-networks of a step: sandwich (the largest, the smallest and --random_samples random "
        "ones) or uniform (random ones alone)",
        choices=(SANDWICH, UNIFORM),
    )
    random_samples: int = setting(
        2, "number of random sub-networks of a step", minimum=0, maximum=1024
    )
    new_samples_per_micro_batch: bool = setting(
        False, "draw other random sub-networks for every micro-batch of --accumulate"
    )

    def check(self) -> None:
        """Check that a step has a sub-network."""
        if self.sampling == UNIFORM and self.random_samples == 0:
            raise InputError("random_samples is 0, allowed is at least 1 with sampling 'uniform'")


def sampled(
    space: SubNetworkSpace,
    whole: Architecture,
    config: SamplingConfig,
    *,
    seed: int,
    step: int,
    micro: int = 0,
) -> Tuple[Architecture, ...]:
    """Return the architectures that a step trains: the largest, the smallest, then random ones.

    Random ones are drawn with replacement, so an architecture may be there twice.

    Args:
        space: the architectures to choose from; they fit into `whole`.
        whole: sizes of the super-network's whole network.
        config: settings of the choice.
        seed: seed of the draws.
        step: number of the step, from 0.
        micro: number of the micro-batch in the step, from 0. It has an effect only with
            `new_samples_per_micro_batch`.
    """
    drawn_for = micro if config.new_samples_per_micro_batch else 0
    generator = np.random.default_rng([_SAMPLING_STREAM, seed, step, drawn_for])
    drawn = tuple(space.draw(whole, generator) for _ in range(config.random_samples))
    if config.sampling == UNIFORM:
        return drawn
    return (space.maximum(whole), space.minimum(whole), *drawn)
