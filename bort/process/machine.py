"""This machine: a description that tells measurements apart, its instructions and its memory."""

from __future__ import annotations

import os
import platform
from typing import Dict, List, Optional

from bort.process.threads import available_cores

BF16_PRODUCTS = "bf16 products"
"""The instructions that multiply matrices in bf16."""

_INSTRUCTIONS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "int8 products": ("avx512_vnni", "avx_vnni", "amx_int8"),
    BF16_PRODUCTS: ("avx512_bf16", "amx_bf16"),
}


def describe_machine() -> Dict[str, str]:
    """Return processor, number of cores that this process may use, architecture and host name."""
    return {
        "processor": _processor(),
        "cores": str(available_cores()),
        "machine": platform.machine(),
        "host": platform.node(),
    }


def memory_bytes() -> Optional[int]:
    """Return the size of this machine's memory in bytes; None if the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def processor_flags() -> Optional[List[str]]:
    """Return the names of the processor's instruction sets; None if the system does not say."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith(("flags", "Features")):
                    return line.split(":", 1)[1].split()
    except OSError:
        pass  # not on Linux
    return None


def instructions_of(flags: Optional[List[str]]) -> List[str]:
    """Return which instructions that matter here are among a processor's flags.

    >>> instructions_of(["fpu", "avx2", "avx_vnni"])
    ['AVX2', 'int8 products']
    """
    known = set(flags or ())
    return [name for name, any_of in _INSTRUCTIONS.items() if known & set(any_of)]


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not on Linux
    return platform.processor() or "unknown"
