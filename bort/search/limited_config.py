"""Settings of a search under a limit of the latency or of the parameters."""

from __future__ import annotations

import dataclasses
from typing import Optional, Tuple

from bort.errors import InputError
from bort.search.limit import EXACT_BAND, PREDICTED_BAND, Limit
from bort.search.limited_strategy import StrategyOptions
from bort.settings.config import Config, part, setting

LIMITS = ("latency_ms", "speed_up", "parameters")


@dataclasses.dataclass(frozen=True)
class LimitConfig(Config):
    """The limit of a search; at most one of the three is given."""

    latency_ms: Optional[float] = setting(
        None,
        "search the best architecture that takes at most so many milliseconds a sequence",
        above=0.0,
    )
    speed_up: Optional[float] = setting(
        None,
        "search the best architecture that is so many times faster than the teacher, or without "
        "one than the whole super-network",
        above=0.0,
    )
    parameters: Optional[int] = setting(
        None, "search the best architecture of at most so many parameters", minimum=1
    )
    band_least: float = setting(
        PREDICTED_BAND[0],
        "candidates cost at least this share of the limit",
        minimum=0.0,
        maximum=1.0,
    )
    band_most: float = setting(
        PREDICTED_BAND[1],
        "candidates have a predicted latency of at most this share of the limit; the pick is "
        "measured and keeps the limit itself",
        minimum=1.0,
        maximum=100.0,
    )

    def check(self) -> None:
        """Check that there are not two limits."""
        given = [name for name in LIMITS if getattr(self, name) is not None]
        if len(given) > 1:
            first, second = given[:2]
            raise InputError(
                f"{first} is {getattr(self, first)!r} and {second} is {getattr(self, second)!r}, "
                "allowed is one of them"
            )

    @property
    def is_given(self) -> bool:
        """Whether there is a limit."""
        return any(getattr(self, name) is not None for name in LIMITS)

    @property
    def is_of_latency(self) -> bool:
        """Whether the limit is one of the latency."""
        return self.latency_ms is not None or self.speed_up is not None

    def limit(
        self, reference_seconds: Optional[float] = None, reference_parameters: Optional[int] = None
    ) -> Limit:
        """Return the limit.

        Args:
            reference_seconds: latency of the reference, such as the teacher; needed for a speed-up.
            reference_parameters: number of parameters of the reference.

        Raises:
            InputError: there is no limit, or a speed-up without a reference.
        """
        band: Tuple[float, float] = (self.band_least, self.band_most)
        if self.latency_ms is not None:
            return Limit.latency_ms(self.latency_ms, reference_seconds, band=band)
        if self.speed_up is not None:
            if reference_seconds is None:
                raise InputError(
                    f"speed_up is {self.speed_up!r}, which needs a teacher or a super-network to "
                    "be faster than"
                )
            return Limit.speed_up(self.speed_up, reference_seconds, band=band)
        if self.parameters is None:
            raise InputError(f"a limit is missing, needed is one of {', '.join(LIMITS)}")
        return Limit.parameters(
            self.parameters, reference_parameters, band=(self.band_least, EXACT_BAND[1])
        )


@dataclasses.dataclass(frozen=True)
class LimitedSearchConfig(Config):
    """Settings of one search under a limit."""

    limit: LimitConfig = part(LimitConfig)
    candidates: StrategyOptions = part(StrategyOptions)
    checks: int = setting(
        8,
        "number of candidates, the best first, that are measured until one keeps the limit",
        minimum=1,
        maximum=1_000,
    )
    search_rounds: int = setting(
        3,
        "number of searches: if no measured candidate keeps the limit, the predictions are "
        "corrected by what was measured, and the strategy starts again among faster candidates",
        minimum=1,
        maximum=100,
    )
    latency_sample: int = setting(
        60,
        "without --latency_table: number of architectures that are measured to predict the others",
        minimum=5,
        maximum=100_000,
    )
