"""The reduced gradient of an optimizer step, as a trainer hands it to the update."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np


def updates_of(trainer: Any) -> List[Tuple[np.ndarray, float]]:
    """Return a list that every later step of `trainer` appends its mean gradient and count to."""
    kept: List[Tuple[np.ndarray, float]] = []
    update = trainer.update

    def recorded(number: int, count: float, rate: float, where: str) -> Any:
        kept.append((trainer.flat.gradients.asnumpy() / count, count))
        return update(number, count, rate, where)

    trainer.update = recorded
    return kept


def relative_differences(flat: Any, ours: np.ndarray, theirs: np.ndarray) -> Dict[str, float]:
    """Return the largest difference of each parameter's gradient, relative to its largest number.

    The exact gradient of the key's bias is 0, so its rounding is compared on a common scale.
    """
    whole = np.abs(theirs).max()
    found = {}
    for slot in flat.slots:
        part = slice(slot.offset, slot.offset + slot.size)
        scale = max(np.abs(theirs[part]).max(), 0.1 * whole)
        found[slot.name] = float(np.abs(ours[part] - theirs[part]).max() / scale)
    return found
