"""A teacher with rows to spare answers for the first tokens only."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from bort.architecture import Architecture
from bort.teacher.first_tokens import FirstTokens
from bort.text.examples import MaskedBatch


class Wide:
    """A teacher of 9 logits at 2 x 3 positions."""

    vocabulary_size = 9
    fingerprint = "f"
    architecture = Architecture(1, 1, 2, 2, vocabulary_size=9)
    engine, precision = "mxnet", "fp32"

    def answer(self, batch: MaskedBatch) -> Any:
        return np.arange(54, dtype=np.float32).reshape(2, 3, 9)


def test_the_first_logits_are_kept() -> None:
    wide = Wide()
    teacher = FirstTokens(wide, 7)
    batch = cast(MaskedBatch, None)
    np.testing.assert_array_equal(teacher.answer(batch), wide.answer(batch)[:, :, :7])
    assert teacher.vocabulary_size == 7
    assert (teacher.fingerprint, teacher.engine, teacher.precision) == ("f", "mxnet", "fp32")
    assert teacher.architecture == wide.architecture
