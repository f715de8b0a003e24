"""Numbers of bytes in words."""

from __future__ import annotations

import pytest

from bort.storage.amounts import spoken_bytes


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        ((1 << 20) - 1, "1048575 bytes"),
        (1 << 20, "1.0 MiB"),
        ((1 << 30) - 1, "1024.0 MiB"),
        (3 << 29, "1.5 GiB"),
    ],
)
def test_the_unit_is_the_largest_that_fits(count: int, words: str) -> None:
    assert spoken_bytes(count) == words
