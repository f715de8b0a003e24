"""Options of a task's formulation; the defaults follow arXiv 2010.10499."""

from __future__ import annotations

import dataclasses
from typing import Optional

from bort.settings.config import Config, part, setting
from bort.tasks.squad.config import SpanOptions

PER_OPTION, FOUR_WAY = "option", "four-way"
MASK_MARKER = "<mask>"


@dataclasses.dataclass(frozen=True)
class TaskOptions(Config):
    """Options that change the inputs of a model or its training data.

    From the paper: MultiRC's text is cleaned. RACE is one pair per option, with about two thirds of
    the negatives dropped in training. ReCoRD's negatives are subsampled. Half of RACE-H's training
    passages are dropped. WSC's spans are marked by a special token. Our assumptions are the choice
    of that token, the details of the cleaning (see `clean_passage`), and the random choice of the
    dropped negatives and passages.
    """

    clean_multirc: bool = setting(True, "remove markup and repeated spaces from MultiRC's passages")
    balance: Optional[bool] = setting(
        None,
        "train on as many wrong answers of a question as it has right ones (MultiRC, ReCoRD, "
        "RACE); default: yes for ReCoRD and RACE, no for MultiRC",
    )
    halve_race_h: bool = setting(True, "drop half of RACE-H's training passages")
    race_form: str = setting(
        PER_OPTION,
        "form of RACE: one binary pair per option, or one pair with four classes as in the "
        "original release",
        choices=(PER_OPTION, FOUR_WAY),
    )
    span_marker: str = setting(
        MASK_MARKER, "marker before and after WSC's spans: the vocabulary's <mask>, or any text"
    )
    drop_seed: int = setting(0, "seed of the draw of dropped wrong answers and passages")
    spans: SpanOptions = part(SpanOptions)
