"""`python -m bort.command`, which is the console command `bort`."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import os
import sys

from bort.command.main import run_subcommand

if __name__ == "__main__":
    # Called as a file, its folder would hide other packages' modules that are named as its own.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]
    run_subcommand()
