"""A folder in which the project's commands make the small inputs of the campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from tests.faults.children import run_child


class CommandFolder:
    """A folder of small inputs, in which commands run.

    Args:
        folder: the folder, which is created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, *command: str) -> bytes:
        """Run a command in the folder; return what it prints."""
        streams = self.folder / "streams"
        done = run_child(command, self.folder, streams)
        if done.status != 0:
            raise AssertionError(f"{' '.join(command)}: {done.said[-2000:]}")
        return done.printed


Maker = Callable[[CommandFolder, Path], None]
"""A function that makes a file or folder of the given name, in the folder."""


def script(name: str, *flags: str, output: str = "--output_dir") -> Maker:
    """Return a maker that runs a script, which writes the output of the given name."""

    def make(world: CommandFolder, path: Path) -> None:
        world.run(f"scripts/{name}.py", *flags, output, path.name)

    return make
