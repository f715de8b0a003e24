"""Comparison of texts: a form without case and punctuation, and groups that ties connect."""

from __future__ import annotations

import string
import unicodedata
from typing import Dict, List, Sequence

import numpy as np


def normalised_text(text: str) -> str:
    """Return the text without case, white space and punctuation.

    Unicode counts some ASCII punctuation as symbols, such as the backquotes in "`` quoted ''". They
    are removed too.

    >>> normalised_text("The cat -- it's ``HERE''!") == normalised_text("the cat it s here")
    True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        c for c in folded if unicodedata.category(c)[0] not in "PZC" and c not in string.punctuation
    )


def connected_groups(count: int, first: Sequence[int], second: Sequence[int]) -> List[List[int]]:
    """Return the groups into which ties join the numbers from 0 to `count` - 1.

    Args:
        count: how many numbers there are.
        first: one end of each tie.
        second: the other end of each tie.

    Returns:
        The members of each group, ascending; the groups are in the order of their first members.

    >>> connected_groups(5, [0, 3], [2, 2])
    [[0, 2, 3], [1], [4]]
    """
    # Imported late, so that commands start without SciPy.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    _, group_of = connected_components(edges, directed=False)
    found: Dict[int, List[int]] = {}
    for number, group in enumerate(group_of.tolist()):
        found.setdefault(group, []).append(number)
    return list(found.values())
