"""Tests of the arithmetic of a training: where `fast` is refused, and with what words."""

from __future__ import annotations

from typing import Any, List

import pytest

from bort.errors import InputError
from bort.super_network.config import SuperNetworkConfig
from bort.training import arithmetic
from bort.training.arithmetic import (
    AUTO_MATH,
    EXACT_MATH,
    FAST_MATH,
    LIMIT,
    TILES,
    check_math,
    resolve_math,
)
from bort.training.finetuning_config import FinetuningConfig
from bort.training.pretraining_config import PretrainingConfig


def with_flags(monkeypatch: pytest.MonkeyPatch, flags: Any, limit: str = "") -> None:
    monkeypatch.setattr(arithmetic, "processor_flags", lambda: flags)
    monkeypatch.setenv(LIMIT, limit)


def test_fast_is_for_processors_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    with_flags(monkeypatch, ["avx512f", "avx512_bf16"])
    check_math(FAST_MATH, "cpu")
    for flags in (["avx512f"], None):
        with_flags(monkeypatch, flags)
        check_math(EXACT_MATH, "cpu")
        with pytest.raises(InputError, match="math is 'fast', .* bf16 .*on this one is 'exact'"):
            check_math(FAST_MATH, "cpu")


def test_fast_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    with_flags(monkeypatch, ["avx512_bf16"])
    check_math(EXACT_MATH, "gpu")
    with pytest.raises(InputError, match="needs a CPU; allowed on a GPU is 'exact'"):
        check_math(FAST_MATH, "gpu")


@pytest.mark.parametrize("limit", ["", "AVX2", "AVX512_CORE_AMX"])
def test_tiles_are_refused_unless_they_are_switched_off(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    flags: List[str] = ["avx512_bf16", TILES]
    with_flags(monkeypatch, flags, limit)
    with pytest.raises(InputError, match=f"has AMX.*or {LIMIT}=AVX512_CORE_BF16"):
        check_math(FAST_MATH, "cpu")
    with_flags(monkeypatch, flags, "avx512_core_bf16")
    check_math(FAST_MATH, "cpu")


def test_auto_is_fast_where_fast_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with_flags(monkeypatch, ["avx512_bf16"])
    assert resolve_math(AUTO_MATH, "cpu") == FAST_MATH
    assert resolve_math(AUTO_MATH, "gpu") == EXACT_MATH
    assert resolve_math(EXACT_MATH, "cpu") == EXACT_MATH
    with_flags(monkeypatch, ["avx512_bf16", TILES])
    assert resolve_math(AUTO_MATH, "cpu") == EXACT_MATH
    with_flags(monkeypatch, ["avx512_bf16", TILES], "AVX512_CORE_BF16")
    assert resolve_math(AUTO_MATH, "cpu") == FAST_MATH
    with_flags(monkeypatch, ["avx512f"])
    assert resolve_math(AUTO_MATH, "cpu") == EXACT_MATH
    with pytest.raises(InputError, match="math is 'fast', which needs a processor with bf16"):
        resolve_math(FAST_MATH, "cpu")


@pytest.mark.parametrize("kind", [FinetuningConfig, PretrainingConfig, SuperNetworkConfig])
def test_settings_are_exact_and_refuse_fast_in_float16(kind: Any) -> None:
    assert kind().as_dict()["math"] == EXACT_MATH
    assert kind().results_settings()["math"] == EXACT_MATH
    assert kind.from_dict({"math": FAST_MATH}, "test").as_dict()["math"] == FAST_MATH
    with pytest.raises(InputError, match="math is 'fast' and dtype is 'float16', allowed is"):
        kind.from_dict({"math": FAST_MATH, "dtype": "float16"}, "test")
    with pytest.raises(InputError, match="math is 'quick', allowed are exact, fast"):
        kind.from_dict({"math": "quick"}, "test")
