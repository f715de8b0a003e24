"""The folder of the toolkit's commands: a checkout's root, or `bort/_toolkit` in a wheel.

It holds the folders `data`, `experiments` and `scripts`, which are no part of the library: only a
command puts the folder on the search path of modules, never a program that imports `bort`.
"""

from __future__ import annotations

import os
import sys

from bort import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Optional

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MARKS = ("scripts/finetune.py", "experiments/finetuning.py", "data/classification.py")


def toolkit_root() -> Optional[str]:
    """Return the folder that holds `data`, `experiments` and `scripts`; None without one."""
    for folder in (os.path.join(_PACKAGE, "_toolkit"), os.path.dirname(_PACKAGE)):
        if all(os.path.isfile(os.path.join(folder, mark)) for mark in _MARKS):
            return folder
    return None


def is_of_toolkit(file: str) -> bool:
    """Return whether a file lies in the toolkit's folder."""
    root = toolkit_root()
    if root is None:
        return False
    return os.path.realpath(file).startswith(os.path.realpath(root) + os.sep)


def put_toolkit_first() -> None:
    """Put the toolkit's folder first on the search path of modules of this process.

    So `data`, `experiments` and `scripts` are those of the toolkit, even if the current folder or
    `PYTHONPATH` has folders of these names. Processes that `multiprocessing` starts inherit the
    search path.
    """
    root = toolkit_root()
    if root is not None and sys.path[:1] != [root]:
        sys.path.insert(0, root)
