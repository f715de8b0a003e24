"""A launcher of commands on several Horovod ranks of this machine, which stops them gracefully.

On SIGTERM or SIGINT, `horovodrun` kills its workers after five seconds, which can be shorter than a
step. This launcher starts `horovodrun` in its own session, so that only the launcher receives
signals. It then writes a stop request, which the ranks check after each step; they save a
checkpoint and exit. A second signal ends all ranks at once.

    python -m bort.launch --ranks 2 scripts/run_pretraining_distillation.py --data …
    bort launch --ranks 2 pretrain --data …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import IO, List, Optional

from bort.command.subcommands import SUBCOMMANDS
from bort.errors import InputError, WorkError
from bort.process.command import make_parser, run_command
from bort.process.lifetime import start_for_ranks
from bort.process.printable import printable
from bort.process.standard_streams import discard_output
from bort.process.startup import ERROR_FILE_VARIABLE, LAUNCHED_VARIABLE
from bort.process.stopping import LAUNCHER_VARIABLE, STOP_FILE_VARIABLE
from bort.process.threads import check_thread_count
from bort.process.toolkit import toolkit_root
from bort.storage.files import temporary_folder
from bort.storage.json_fields import read_fields

_RANK_PREFIX = re.compile(r"^\[\d+(?:,(\d+))?\]<(?:stdout|stderr)>:")
# The shell of a rank prints this when horovodrun ends it because another rank failed.
_SHELL_NOISE = "Terminated"
_SECONDS_TO_DIE = 15.0


def main(arguments: Optional[List[str]] = None) -> None:
    """Run the command line of this module."""
    parser = make_parser("Run a Python command on several Horovod ranks of this machine.")
    parser.add_argument("--ranks", type=int, required=True, help="number of processes, at least 1")
    command_help = "a Python script, or a subcommand of bort, and its flags"
    parser.add_argument("command", nargs=argparse.REMAINDER, help=command_help)
    run_command(parser, lambda parsed: launch(parsed.ranks, parsed.command), arguments)


def launch(ranks: int, command: List[str]) -> int:
    """Run `python command…` on `ranks` ranks and wait until it ends.

    Only the output of rank 0 is shown.

    Args:
        ranks: number of processes, at least 1.
        command: a Python script, or a subcommand of `bort`, and its flags.

    Returns:
        The exit status; 0 also for a run that was stopped and saved its state.

    Raises:
        InputError: for fewer than one rank, no command, or no `horovodrun`.
    """
    if ranks < 1:
        raise InputError(f"--ranks is {ranks}, allowed is at least 1")
    check_thread_count("--ranks", ranks)
    if not command:
        raise InputError("a command is missing: --ranks N script.py [flags]")
    command = [_script_named(command[0]), *command[1:]]
    horovodrun = find_horovodrun()
    with temporary_folder(Path(tempfile.gettempdir()) / "bort-launch") as folder:
        stop_file, error_file = folder / "stop", folder / "error.json"
        environment = dict(os.environ)
        environment[STOP_FILE_VARIABLE] = str(stop_file)
        environment[LAUNCHER_VARIABLE] = str(os.getpid())
        environment[ERROR_FILE_VARIABLE] = str(error_file)
        began = start_for_ranks()
        if began is not None:
            environment[LAUNCHED_VARIABLE] = began
        signals = _Signals(stop_file)
        process = signals.process = subprocess.Popen(
            [horovodrun, "-np", str(ranks), "-H", f"localhost:{ranks}", "--gloo"]
            + [sys.executable, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        assert process.stderr is not None
        noise = _Noise()
        readers = [
            threading.Thread(target=_forward, args=(process.stdout, sys.stdout, noise)),
            threading.Thread(target=_forward, args=(process.stderr, sys.stderr, noise)),
        ]
        for reader in readers:
            reader.start()
        status = process.wait()
        for reader in readers:
            reader.join()
        signals.restore()
        if error_file.exists():
            problem = read_fields(error_file)
            print(f"error: {printable(problem.text('message'))}", file=sys.stderr)
            return problem.integer("status")
    if status != 0:
        # The traceback of horovodrun says nothing about the failure of a rank.
        sys.stderr.write("".join(noise.of_ranks[-20:]))
        last = " ".join(noise.of_horovodrun[-1].split()) if noise.of_horovodrun else "no message"
        what = "a rank ended with a failure" if noise.of_ranks or noise.is_shown else last
        raise WorkError(f"{what} (horovodrun: status {status})")
    return 0


def _script_named(name: str) -> str:
    """Return the path of a script that is named by its path or by a subcommand of `bort`."""
    if name.startswith("-") or os.path.isfile(name):
        return name
    found, root = SUBCOMMANDS.get(name), toolkit_root()
    if found is None or not found.is_script or root is None:
        raise InputError(f"{name}: no such script")
    return f"{root}/{found.program}"


def find_horovodrun() -> str:
    """Return the path of `horovodrun`, next to this interpreter or on the search path.

    Raises:
        InputError: `horovodrun` is not installed.
    """
    neighbour = Path(sys.executable).parent / "horovodrun"
    found = str(neighbour) if neighbour.exists() else shutil.which("horovodrun")
    if not found:
        raise InputError(
            "horovodrun is not installed; scripts/setup_environment.sh builds Horovod; "
            "a command on a single rank does not need it"
        )
    return found


class _Signals:
    """A signal handler: the first signal asks the ranks to stop, the second ends them."""

    def __init__(self, stop_file: Path) -> None:
        self._stop_file = stop_file
        self.process: Optional[subprocess.Popen[str]] = None
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }

    def restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Optional[FrameType]) -> None:
        if not self._stop_file.exists():
            self._stop_file.touch()
            print("stopping after this step; a second signal ends at once", file=sys.stderr)
            return
        if self.process is not None:
            self.process.terminate()
            timer = threading.Timer(_SECONDS_TO_DIE, self._kill, (self.process,))
            timer.daemon = True
            timer.start()

    def _kill(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


class _Noise:
    """Output that is not shown.

    Attributes:
        of_ranks: lines of all ranks but rank 0.
        of_horovodrun: lines of horovodrun itself.
        is_shown: whether rank 0 has printed anything.
    """

    def __init__(self) -> None:
        self.of_ranks: List[str] = []
        self.of_horovodrun: List[str] = []
        self.is_shown = False


def _forward(source: IO[str], target: IO[str], noise: _Noise) -> None:
    """Show the output of rank 0, and keep the rest to print it after a failure.

    The ranks go on if the output cannot be shown, as when its reader goes away.
    """
    for line in source:
        match = _RANK_PREFIX.match(line)
        if match is None:
            if line.strip():
                noise.of_horovodrun.append(line)
        elif line[match.end() :].strip() == _SHELL_NOISE:
            continue
        elif line.startswith("[0]") or match.group(1) == "0":
            noise.is_shown = True
            try:
                target.write(line[match.end() :])
                target.flush()
            except OSError:
                discard_output(target)
        else:
            noise.of_ranks.append(line)


if __name__ == "__main__":
    main()
