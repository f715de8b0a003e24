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

_MOST_DRAWS = 1_000


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
    least_part: float = setting(
        0.0,
        "random sub-networks have at least this share of the whole network's multiply-adds",
        minimum=0.0,
        maximum=1.0,
    )
    most_part: float = setting(
        1.0,
        "random sub-networks have at most this share of the whole network's multiply-adds",
        above=0.0,
        maximum=1.0,
    )
    new_samples_per_micro_batch: bool = setting(
        False, "draw other random sub-networks for every micro-batch of --accumulate"
    )

    def check(self) -> None:
        """Check that a step has a sub-network, and the order of the shares."""
        if self.sampling == UNIFORM and self.random_samples == 0:
            raise InputError("random_samples is 0, allowed is at least 1 with sampling 'uniform'")
        if self.least_part > self.most_part:
            raise InputError(
                f"least_part is {self.least_part!r}, allowed is at most that of most_part, "
                f"{self.most_part!r}"
            )


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

    Random ones are drawn with replacement, so an architecture may be there twice. With a band of
    shares, draws outside it are repeated, at most 1,000 times; then the nearest one counts.

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
    drawn = tuple(_draw(space, whole, config, generator) for _ in range(config.random_samples))
    if config.sampling == UNIFORM:
        return drawn
    return (space.maximum(whole), space.minimum(whole), *drawn)


def part_share(architecture: Architecture, whole: Architecture) -> float:
    """Return the multiply-adds of a sub-network's layers as a share of the whole network's.

    >>> part_share(Architecture(3, 12, 384, 1536), Architecture(6, 12, 384, 1536))
    0.5
    """
    return architecture.multiply_adds_per_token(1) / whole.multiply_adds_per_token(1)


def _draw(
    space: SubNetworkSpace,
    whole: Architecture,
    config: SamplingConfig,
    generator: np.random.Generator,
) -> Architecture:
    """Return a random architecture, uniform among those in the band of shares."""
    found = space.draw(whole, generator)
    nearest, distance = found, _outside(found, whole, config)
    for _ in range(_MOST_DRAWS):
        if distance == 0:
            break
        found = space.draw(whole, generator)
        other = _outside(found, whole, config)
        if other < distance:
            nearest, distance = found, other
    return nearest


def _outside(architecture: Architecture, whole: Architecture, config: SamplingConfig) -> float:
    """Return how far a sub-network's share is from the band; 0 inside."""
    share = part_share(architecture, whole)
    return max(config.least_part - share, share - config.most_part, 0.0)
