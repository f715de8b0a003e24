"""The evaluations of a run: often at its beginning and end, more rarely in the middle."""

from __future__ import annotations

import dataclasses

from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclasses.dataclass(frozen=True)
class ValidationSchedule(Config):
    """The evaluations of a run, counted in occasions of `eval_interval` steps each.

    With x the place in the run from 0 to 1, every `validation_epochs_begin`-th occasion is used
    while x < `validation_begin_proportion`, every `validation_epochs_end`-th while
    x > 1 − `validation_end_proportion`, and every `validation_epochs`-th otherwise.

    Source: arXiv 2104.07705 and its release, whose occasions are shards of the corpus.
    """

    validation_begin_proportion: float = setting(
        0.0,
        "share of the run at its beginning with --validation_epochs_begin",
        minimum=0.0,
        maximum=1.0,
        speed_only=True,
    )
    validation_end_proportion: float = setting(
        0.0,
        "share of the run at its end with --validation_epochs_end",
        minimum=0.0,
        maximum=1.0,
        speed_only=True,
    )
    validation_epochs_begin: int = setting(
        1, "evaluate at every such --eval_interval in the beginning", minimum=1, speed_only=True
    )
    validation_epochs: int = setting(
        1, "evaluate at every such --eval_interval in the middle", minimum=1, speed_only=True
    )
    validation_epochs_end: int = setting(
        1, "evaluate at every such --eval_interval at the end", minimum=1, speed_only=True
    )

    def check(self) -> None:
        """Check that beginning and end do not overlap."""
        both = self.validation_begin_proportion + self.validation_end_proportion
        if both > 1:
            raise InputError(
                f"validation_begin_proportion and validation_end_proportion are {both:g} together, "
                "allowed is at most 1"
            )

    def is_due(self, position: float, occasion: int) -> bool:
        """Return whether an occasion is used.

        Args:
            position: place in the run, from 0 to 1.
            occasion: number of the occasion, from 1.

        >>> schedule = ValidationSchedule(validation_begin_proportion=0.05, validation_epochs=3)
        >>> [schedule.is_due(0.5, n) for n in (1, 2, 3)], schedule.is_due(0.01, 1)
        ([False, False, True], True)
        """
        if position < self.validation_begin_proportion:
            every = self.validation_epochs_begin
        elif position > 1 - self.validation_end_proportion:
            every = self.validation_epochs_end
        else:
            every = self.validation_epochs
        return occasion % every == 0
