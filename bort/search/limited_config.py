"""Settings of a search under a limit of the latency or of the parameters."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Tuple

from bort.errors import InputError
from bort.search.config import FINETUNED, SUPER_NETWORK, UNDER_A_LIMIT, SearchConfig
from bort.search.limit import EXACT_BAND, PREDICTED_BAND, Limit
from bort.search.limited_strategy import StrategyOptions
from bort.settings.config import Config, part, setting
from bort.teacher.source import TeacherSource

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
    scored_batches: int = setting(
        16,
        "with --error super_network on text: number of batches of 32 held-out sequences, spread "
        "evenly over the text; 0: all",
        minimum=0,
        maximum=1_000_000,
    )
    latency_sample: int = setting(
        60,
        "without --latency_table: number of architectures that are measured to predict the others",
        minimum=5,
        maximum=100_000,
    )

    @property
    def is_prior(self) -> bool:
        """Whether the strategy measures no error."""
        return self.candidates.strategy == "prior"


@dataclasses.dataclass(frozen=True)
class LimitedSearchPaths(Config):
    """Files of a search under a limit, beside those of `SearchPaths`."""

    super_network: Optional[str] = setting(
        None,
        "folder of scripts/train_super_network.py whose sub-networks are the candidates; --space "
        "and the flags of axes then choose a part of its space",
    )
    latency_table: Optional[str] = setting(
        None,
        "folder of scripts/measure_latency.py, or its predictor.json; default: the search measures "
        "a sample of its space first",
    )
    data_dir: Optional[str] = setting(
        None, "folder of the official data of tasks, for a super-network of a task or --tasks"
    )
    sample: bool = setting(
        False, "use the small data set of each task that is part of this repository"
    )
    split: str = setting(
        "dev", "with a super-network of a task: labelled split that errors are measured on"
    )
    architectures: Optional[Tuple[str, ...]] = setting(
        None,
        "consider these sub-networks alone: depth-heads-hidden-intermediate[-qkv], .json and .txt "
        "files of them, or files of candidates of AutoTinyBERT",
    )


def fill_defaults(parsed: Any) -> None:
    """Set the flags strategy, error and teacher_model that are None to their defaults.

    The defaults depend on whether there is a limit, a super-network and tasks.

    Args:
        parsed: the parsed flags of `SearchConfig`, `LimitConfig`, `LimitedSearchPaths` and tasks.
    """
    if parsed.strategy is None:
        limited = any(getattr(parsed, name) is not None for name in LIMITS)
        parsed.strategy = StrategyOptions().strategy if limited else SearchConfig().strategy
    if parsed.error is None:
        of_parts = FINETUNED if parsed.tasks is not None else SUPER_NETWORK
        parsed.error = SearchConfig().error if parsed.super_network is None else of_parts
    if parsed.teacher_model is None:
        parsed.teacher_model = TeacherSource().teacher_model


def check_without_limit(config: SearchConfig, paths: LimitedSearchPaths) -> None:
    """Check the settings of a search without a limit.

    Raises:
        InputError: the strategy or the error needs a limit, or a file has no effect without one.
    """
    needed = f"which needs a limit: one of {', '.join('--' + name for name in LIMITS)}"
    if config.strategy in UNDER_A_LIMIT:
        raise InputError(f"strategy is {config.strategy!r}, {needed}")
    for name in ("super_network", "latency_table", "architectures", "data_dir"):
        if getattr(paths, name) is not None:
            raise InputError(f"{name} is {getattr(paths, name)!r}, {needed}")
    if config.error in (SUPER_NETWORK, FINETUNED):
        raise InputError(f"error is {config.error!r}, {needed}")
