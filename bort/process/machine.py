"""A description of this machine, to tell apart measurements of different machines."""

from __future__ import annotations

import os
import platform
from typing import Dict


def describe_machine() -> Dict[str, str]:
    """Return processor, number of cores, architecture and host name."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "machine": platform.machine(),
        "host": platform.node(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not on Linux
    return platform.processor() or "unknown"
