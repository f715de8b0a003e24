"""Names of metrics as a report says them."""

from __future__ import annotations

from typing import Mapping, Sequence

_WORDS: Mapping[str, str] = {
    "matthews": "Matthews correlation",
    "f1": "F1",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
}


def spoken_metrics(metrics: Sequence[str]) -> str:
    """Return the score of a task in words: its metric, or the mean of several.

    >>> spoken_metrics(["matthews"]), spoken_metrics(["f1", "exact_match"])
    ('Matthews correlation', 'mean of F1 and exact match')
    """
    words = [_WORDS.get(name, name.replace("_", " ")) for name in metrics]
    if len(words) < 2:
        return "".join(words)
    return f"mean of {', '.join(words[:-1])} and {words[-1]}"
