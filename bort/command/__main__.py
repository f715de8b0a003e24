"""`python -m bort.command`, which is the console command `bort`."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
from bort.command.main import run_subcommand

if __name__ == "__main__":
    run_subcommand()
