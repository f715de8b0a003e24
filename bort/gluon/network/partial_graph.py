"""Compiled graphs of blocks: graphs of a part of a block, and freeing their memory."""

from __future__ import annotations

import warnings
from typing import Any, Optional

from mxnet.gluon import HybridBlock


class PartialGraph(HybridBlock):
    """A block that may leave parameters of its children unused, without a warning."""

    def _build_cache(self, *args: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is not used by any computation.*")
            super()._build_cache(*args)


def release_graphs(*blocks: Optional[HybridBlock]) -> None:
    """Free the memory of the compiled graphs of blocks and of the blocks in them.

    Gluon's blocks are parts of reference cycles, so without this the memory of a dropped block is
    freed only when Python looks for cycles. A released block compiles its graph again when called.

    Args:
        blocks: the blocks; None is skipped.
    """
    for block in blocks:
        if block is not None:
            block._clear_cached_op()
            release_graphs(*block._children.values())
