"""Commands as processes that are forked from one that has imported MXNet already.

Importing takes most of the time of a short command, and the tests start hundreds. Each command is
still a process of its own, with its own arguments, files, exit status and signals. Commands that
are killed, that start other processes, or whose environment is another one, are started anew.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

PRELOADED = [
    "bort.gluon.finetuning.run",
    "bort.gluon.pretraining.run",
    "bort.gluon.search.run",
    "bort.engines.choosing",
    "bort.formats.onnx_graph",
    "bort.inference.predictor",
    # An export is compared with these where they are installed; a package that is not is left out.
    "torch",
    "transformers.models.bert.modeling_bert",
    "transformers.models.roberta.modeling_roberta",
    "tests.integration.forked_commands",
]


def is_script(command: List[str]) -> bool:
    """Whether a command is a Python script that this interpreter runs."""
    return len(command) > 1 and command[0] == sys.executable and command[1].endswith(".py")


def run_forked(
    command: List[str], folder: Path, seconds: float, given: bytes = b""
) -> subprocess.CompletedProcess:
    """Run a Python script in a process of its own that has MXNet in memory.

    Args:
        command: this interpreter, the script, its arguments.
        folder: where it runs.
        seconds: after which it is killed.
        given: its standard input.

    Returns:
        Exit status, and the bytes of standard output and standard error.

    Raises:
        subprocess.TimeoutExpired: it did not end in time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as streams:
        paths = [os.path.join(streams, name) for name in ("in", "out", "err")]
        Path(paths[0]).write_bytes(given)
        process = context.Process(target=_work, args=(command[1:], str(folder), *paths))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, seconds)
        printed, said = (Path(path).read_bytes() for path in paths[1:])
    return subprocess.CompletedProcess(command, process.exitcode, printed, said)


def _work(arguments: List[str], folder: str, given: str, printed: str, said: str) -> None:
    for number, (path, flags) in enumerate(
        [
            (given, os.O_RDONLY),
            (printed, os.O_WRONLY | os.O_CREAT),
            (said, os.O_WRONLY | os.O_CREAT),
        ]
    ):
        file = os.open(path, flags)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    sys.argv = list(arguments)
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    runpy.run_path(arguments[0], run_name="__main__")
