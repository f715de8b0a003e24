"""Each block of README and docs marked `test` is run, and its output is compared with the page.

Each page has a scratch folder of its own, in which it looks as in a fresh checkout: the blocks of a
page share what an earlier one made, and nothing is written into the project. Python blocks that
follow each other are one program.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.conftest import PARITY_REQUIRED_VARIABLE
from tests.docs.pages import PAGES, ROOT, Block, first_missing_line, read_page, shown_after
from tests.integration.customised import PROCESSOR_CLOCK, customised
from tests.patience import HANG_SECONDS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHARED = ("bort", "data", "experiments", "benchmarks", "scripts", "test_data")
MARK = "---- end of a block ----"
BIN = ".bin"
CONSOLE = """
from bort.command.main import run_subcommand

if __name__ == "__main__":
    run_subcommand()
"""


def steps_of(page: str) -> Iterator[List[Block]]:
    """Return the steps to run: a bash block is a step, consecutive Python blocks are one step."""
    blocks = [block for block in read_page(page)[0] if block.is_run and has_packages(block)]
    for language, group in itertools.groupby(blocks, key=lambda block: block.language):
        several = list(group)
        yield from ([several] if language == "python" else ([block] for block in several))


def has_packages(block: Block) -> bool:
    """Return whether the packages that a block needs are installed; in parity mode they must be."""
    missing = [name for name in block.packages if importlib.util.find_spec(name) is None]
    if missing and os.environ.get(PARITY_REQUIRED_VARIABLE) == "1":
        pytest.fail(f"{block.where}: not installed: {', '.join(missing)}", pytrace=False)
    return not missing


def make_checkout(folder: Path) -> Path:
    """Return a copy of the project's root without weights, runs and environment."""
    folder.mkdir()
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    for path in ROOT.glob("*.sh"):
        (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "model").mkdir()
    (folder / "runs").mkdir()
    # The environment of the tests may be older than the console command, which pip writes so.
    console = folder / BIN / "bort"
    console.parent.mkdir()
    console.write_text(f"#!{sys.executable}\n{CONSOLE}", encoding="utf-8")
    console.chmod(0o755)
    return folder


def run_step(step: List[Block], checkout: Path) -> List[str]:
    """Run a step and return what each of its blocks prints, stdout and stderr together."""
    if step[0].language == "bash":
        command = ["bash", "-euo", "pipefail", "-c", step[0].code]
    else:
        command = [sys.executable, "-c", f"print({MARK!r})\n".join(block.code for block in step)]
    # A busy machine needs more seconds for what a page does in its hours.
    clock = PROCESSOR_CLOCK if "--hours" in "".join(block.code for block in step) else ""
    changed = {
        "PATH": os.pathsep.join(
            [str(checkout / BIN), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
        "PYTHONUNBUFFERED": "1",
        "BORT_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    with customised(clock) as environment:
        done = subprocess.run(
            command,
            cwd=checkout,
            env={**environment, **changed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANG_SECONDS,
        )
    where = ", ".join(block.where for block in step)
    assert done.returncode == 0, f"{where}: status {done.returncode}\n{done.stdout[-3000:]}"
    return done.stdout.split(f"{MARK}\n")


@pytest.mark.parametrize("page", [page for page in PAGES if any(steps_of(page))])
def test_the_commands_of_a_page_do_what_it_shows(page: str, tmp_path: Path) -> None:
    checkout, blocks = make_checkout(tmp_path / "checkout"), read_page(page)[0]
    for step in steps_of(page):
        for block, printed in zip(step, run_step(step, checkout)):
            missing = first_missing_line(shown_after(blocks, block), printed)
            assert missing is None, f"{block.where}: does not print\n{missing}\nbut\n{printed}"
