"""Tests of the memory of ids: it asks once and stays bounded; long chunks are not kept."""

from __future__ import annotations

from typing import List

import pytest

from bort.text import chunk_memory
from bort.text.chunk_memory import ChunkMemory


def test_a_chunk_is_encoded_once_and_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_memory, "_REMEMBERED", 2)
    asked: List[str] = []

    def encode(text: str) -> bytes:
        asked.append(text)
        return text.encode()

    memory = ChunkMemory(encode, " ")
    assert [memory["a"], memory["a"], memory["b"]] == [b" a", b" a", b" b"]
    assert asked == [" a", " b"]
    assert memory["c"] == b" c"
    assert dict(memory) == {"c": b" c"}
    long_chunk = "x" * 65
    assert memory[long_chunk] == memory[long_chunk] == f" {long_chunk}".encode()
    assert long_chunk not in memory
    assert asked[-2:] == [f" {long_chunk}"] * 2
