"""The seconds after which a test says that a process or a thread hangs."""

from __future__ import annotations

HANG_SECONDS = 1_800.0
"""Far more than anything takes on a machine that is busy or stops for half a minute. A test waits
so long only if the product is broken."""
