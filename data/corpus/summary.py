"""Summary of a corpus for people: a table of its size, and a warning of unknown tokens."""

from __future__ import annotations

import logging
from typing import List, Mapping

from bort.process.text_table import text_table

log = logging.getLogger(__name__)

MOST_UNKNOWN = 0.05
"""Share of unknown tokens above which a vocabulary does not fit a text."""


def corpus_table(name: str, counts: Mapping[str, int]) -> str:
    """Return a table with the documents, words, examples and unknown tokens of a corpus.

    Args:
        name: name of the corpus.
        counts: `documents` and `words`; also `sequences`, `tokens` and `unknown_tokens` if the text
            is tokenised.

    >>> print(corpus_table("dewiki", {"documents": 1200, "words": 345678}))
            documents    words
    dewiki      1,200  345,678
    """
    columns = ["documents", "words"]
    cells: List[str] = [f"{counts[column]:,}" for column in columns]
    if "sequences" in counts:
        columns += ["examples", "unknown tokens"]
        cells += [f"{counts['sequences']:,}", f"{unknown_share(counts):.2%}"]
    return text_table([["", *columns], [name, *cells]])


def unknown_share(counts: Mapping[str, int]) -> float:
    """Return the share of a corpus's tokens that are `<unk>`, from 0 to 1."""
    return counts["unknown_tokens"] / max(1, counts["tokens"])


def warn_of_unknown_tokens(counts: Mapping[str, int]) -> None:
    """Log a warning if more than `MOST_UNKNOWN` of the tokens are unknown."""
    share = unknown_share(counts)
    if share > MOST_UNKNOWN:
        log.warning(
            "%.1f %% of the tokens are unknown to the vocabulary (more than %.0f %%): it lacks the "
            "language, the script or the case of this text; name another --vocab, or train one "
            "with scripts/train_vocabulary.py",
            100 * share,
            100 * MOST_UNKNOWN,
        )
