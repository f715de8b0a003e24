"""Optional packages: whether they are installed and work, and an alias that MXNet reads."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Iterator, Optional

from bort.errors import InputError

_HELP = {
    "mxnet": 'pip install "bort[mxnet]", or scripts/setup_environment.sh in a checkout',
    "gluonnlp": 'pip install "bort[mxnet]", or scripts/setup_environment.sh in a checkout',
    "horovod": "scripts/setup_environment.sh in a checkout builds it",
}
"""What installs each framework of `bort.gluon`, which imports them without further checks."""

_LONGEST_REASON = 300


class BrokenPackageError(InputError):
    """A package is installed but cannot be imported.

    Attributes:
        package: name of the package.
        reason: what its import says, in one line.
    """

    def __init__(self, package: str, reason: str) -> None:
        super().__init__(package, reason)
        self.package, self.reason = package, reason

    def __str__(self) -> str:
        return f"{self.package} is installed but cannot be imported: {self.reason}"


def is_installed(package: str) -> bool:
    """Return whether a package can be found; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


@contextlib.contextmanager
def explained_import(package: str, extra: str) -> Iterator[None]:
    """Explain in one line why the import of a package inside of this context fails.

    Args:
        package: the package that is imported.
        extra: the extra of `bort` that installs it.

    Raises:
        InputError: the package is not installed.
        BrokenPackageError: it is, and its import fails: for a library or a package that it needs,
            or for one of another version.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            help_text = f'pip install "bort[{extra}]"'
            raise InputError(f"{package} is not installed: {help_text}") from error
        kind = "" if isinstance(error, (ImportError, OSError)) else f"{type(error).__name__}: "
        reason = kind + " ".join(str(error).split())
        raise BrokenPackageError(package, reason[:_LONGEST_REASON]) from error


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
