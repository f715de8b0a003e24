"""What can be chosen about a task's formulation; defaults are those of arXiv 2010.10499."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.settings.config import Config, setting

PER_OPTION, FOUR_WAY = "option", "four-way"
MASK_MARKER = "<mask>"


@dataclasses.dataclass(frozen=True)
class TaskOptions(Config):
    """Choices that change what a model is shown or trained on.

    From the paper: MultiRC's text is cleaned, RACE is one pair per option with about two thirds of
    the negatives dropped in training, ReCoRD's negatives are subsampled, half of RACE-H's training
    passages are dropped, WSC's spans are marked by a special token. Assumptions of ours: which
    token that is, what the cleaning removes (see `clean_passage`), and which negatives and passages
    are dropped, here drawn by the seed.
    """

    clean_multirc: bool = setting(True, "remove markup and doubled spaces from MultiRC's passages")
    balance: Optional[bool] = setting(
        None,
        "in training keep as many wrong answers of a question as it has right ones (MultiRC, "
        "ReCoRD, RACE); none: ReCoRD and RACE do, MultiRC does not",
    )
    halve_race_h: bool = setting(True, "drop half of RACE-H's training passages")
    race_form: str = setting(
        PER_OPTION,
        "RACE as one binary pair per option, or one pair with four classes as in the original "
        "release",
        choices=(PER_OPTION, FOUR_WAY),
    )
    span_marker: str = setting(
        MASK_MARKER, "sign before and after WSC's spans: the vocabulary's <mask>, or any text"
    )
    drop_seed: int = setting(0, "seed that decides which wrong answers and passages are dropped")
