"""Optional packages: whether they are installed, what installs them, and an alias MXNet reads."""

from __future__ import annotations

import importlib.util
from typing import Optional

_HELP = {
    "mxnet": 'pip install "bort[mxnet]", or scripts/setup_environment.sh in a checkout',
    "gluonnlp": 'pip install "bort[mxnet]", or scripts/setup_environment.sh in a checkout',
    "horovod": "scripts/setup_environment.sh in a checkout builds it",
}
"""What installs each framework of `bort.gluon`, which imports them without further checks."""


def is_installed(package: str) -> bool:
    """Return whether a package can be found; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def missing_framework(error: BaseException) -> Optional[str]:
    """Return a line about the framework that an import did not find; None for another error.

    >>> missing_framework(ModuleNotFoundError("No module named 'mxnet'", name="mxnet"))[:41]
    'mxnet is not installed, and this command '
    """
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name not in _HELP:
        return None
    return f"{name} is not installed, and this command needs it: {_HELP[name]}"


def restore_numpy_bool() -> None:
    """Give NumPy the alias `numpy.bool`, which MXNet 1.9.1 reads while it is imported.

    NumPy 1.24 to 1.26 do not have it.
    """
    import numpy

    if "bool" not in vars(numpy):
        numpy.bool = bool  # type: ignore[attr-defined]
