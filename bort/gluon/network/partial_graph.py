"""`PartialGraph`: a block that computes with a part of another block's parameters."""

from __future__ import annotations

import warnings
from typing import Any

from mxnet.gluon import HybridBlock


class PartialGraph(HybridBlock):
    """A block that may leave parameters of its children unused, without a warning."""

    def _build_cache(self, *args: Any) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is not used by any computation.*")
            super()._build_cache(*args)
