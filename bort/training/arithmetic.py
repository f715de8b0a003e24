"""The arithmetic of a training: float32 throughout, or matrix products in bf16."""

from __future__ import annotations

import os
from typing import Any

from bort.errors import InputError
from bort.process.machine import BF16_PRODUCTS, instructions_of, processor_flags
from bort.settings.config import setting

EXACT_MATH, FAST_MATH, AUTO_MATH = "exact", "fast", "auto"

TILES = "amx_tile"
"""The processor's flag for AMX."""

LIMIT = "DNNL_MAX_CPU_ISA"
"""The environment variable that names the newest instructions that oneDNN uses."""

_LIMITED = "AVX512_CORE_BF16"


def math_setting() -> Any:
    """Return the field `math` of a configuration."""
    return setting(
        EXACT_MATH,
        "arithmetic on a CPU: exact computes in float32; fast computes the products of the "
        "encoder's dense layers in bf16, on a processor with bf16 instructions",
        choices=(EXACT_MATH, FAST_MATH),
    )


def check_math_fits(math: str, dtype: str) -> None:
    """Check the settings `math` and `dtype` against each other.

    Raises:
        InputError: `fast` is not asked for in float32.
    """
    if math == FAST_MATH and dtype != "float32":
        raise InputError(f"math is {FAST_MATH!r} and dtype is {dtype!r}, allowed is 'float32'")


def resolve_math(math: str, device: str) -> str:
    """Return the arithmetic that a device trains with.

    Args:
        math: `exact`, `fast`, or `auto`: fast where the device trains with it, else exact.
        device: `cpu` or `gpu`.

    Raises:
        InputError: `fast` is asked for and not possible; see `check_math`.
    """
    if math != AUTO_MATH:
        check_math(math, device)
        return math
    try:
        check_math(FAST_MATH, device)
    except InputError:
        return EXACT_MATH
    return FAST_MATH


def check_math(math: str, device: str) -> None:
    """Check that a device trains with an arithmetic.

    Args:
        math: `exact` or `fast`.
        device: `cpu` or `gpu`.

    Raises:
        InputError: `fast` is for a GPU, or for a processor without bf16 or with AMX, where oneDNN
            2.4, which MXNet 1.9.1 contains, was seen to crash.
    """
    if math != FAST_MATH:
        return
    refused = f"math is {FAST_MATH!r}"
    if device != "cpu":
        raise InputError(f"{refused}, which needs a CPU; allowed on a GPU is {EXACT_MATH!r}")
    flags = processor_flags()
    if BF16_PRODUCTS not in instructions_of(flags):
        raise InputError(
            f"{refused}, which needs a processor with bf16 instructions (see bort doctor); allowed "
            f"on this one is {EXACT_MATH!r}"
        )
    if TILES in (flags or ()) and os.environ.get(LIMIT, "").upper() != _LIMITED:
        raise InputError(
            f"{refused} and this processor has AMX, on which MXNet was seen to crash in bf16; "
            f"allowed is {EXACT_MATH!r}, or {LIMIT}={_LIMITED} in the environment"
        )
