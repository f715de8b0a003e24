"""Options of tasks whose answer is a span of a passage (SQuAD)."""

from __future__ import annotations

import dataclasses

from bort.settings.config import Config, setting

LARGEST_N_BEST = 1000


@dataclasses.dataclass(frozen=True)
class SpanOptions(Config):
    """Options of the windows that a model reads and of the answers that its outputs become.

    The defaults are those of BERT (arXiv:1810.04805) for SQuAD.
    """

    doc_stride: int = setting(
        128, "tokens between the starts of two windows of a passage (SQuAD)", minimum=1
    )
    max_query_length: int = setting(
        64, "maximum tokens of a question (SQuAD); the rest is cut", minimum=1
    )
    n_best_size: int = setting(
        20,
        "answers to keep for each question, and starts and ends to combine in each window (SQuAD)",
        minimum=1,
        maximum=LARGEST_N_BEST,
    )
    max_answer_length: int = setting(30, "maximum tokens of an answer (SQuAD)", minimum=1)
    null_score_threshold: float = setting(
        0.0,
        "answer with no text if the score of no answer exceeds that of the best answer by more "
        "than this (SQuAD 2.0)",
    )
