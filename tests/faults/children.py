"""Commands as children that die at a chosen moment, have limits, and are watched for orphans.

Most children are forked from a process that has imported MXNet, which saves most of the time of a
short command. Each child still has its own arguments, files, session, exit status and signals.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

import psutil

from tests.faults import inside

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = [
    "bort.gluon.agora.run",
    "bort.gluon.finetuning.run",
    "bort.gluon.pretraining.run",
    "bort.gluon.search.run",
    "bort.gluon.teacher.caching",
    "bort.engines.choosing",
    "bort.export.exporting",
    "bort.inference.streaming",
    "experiments.agora",
    "experiments.finetuning",
    "data.corpus.preparation",
    "safetensors.numpy",
    "sentencepiece",
    "tokenizers",
    "matplotlib.pyplot",
    "tensorboard.summary.writer.event_file_writer",
    "onnx",
    "onnxruntime",
]
COMPARED_WITH = [
    "torch",
    "transformers.models.bert.modeling_bert",
    "transformers.models.roberta.modeling_roberta",
]
"""Packages with which an export is compared where they are installed."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Moment:
    """When a command gets a signal.

    Attributes:
        number: the signal.
        kind: "time" (after `at` seconds), "operation" (before file operation number `at`), or
            "bytes" (a file grows beyond `at` bytes: the process dies in the middle of a write).
        at: see `kind`.
        group: whether all processes of the command's session get the signal, not only the first.
    """

    number: int
    kind: str
    at: float
    group: bool = False

    def __str__(self) -> str:
        name = signal.Signals(self.number).name
        at = f"{self.at:.3f} s" if self.kind == "time" else f"{self.kind} {self.at:.0f}"
        return f"{name} at {at}{' to the group' if self.group else ''}"


@dataclass
class Outcome:
    """What a child did.

    Attributes:
        status: exit status; minus the number of the signal that ended it; None after a timeout.
        printed: standard output.
        said: standard error.
        seconds: duration.
        operations: number of file operations.
        orphans: command lines of processes that outlived the command, which were killed.
        killed: whether the moment came before the command ended.
    """

    status: Optional[int]
    printed: bytes
    said: str
    seconds: float
    operations: int
    orphans: List[str] = field(default_factory=list)
    killed: bool = False


def prepare(modules: Sequence[str] = PRELOADED) -> None:
    """Make this process the parent of all orphans, give it its own /dev/shm, import modules."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SUBREAPER, 1, 0, 0, 0)
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    for name in modules:
        with contextlib.suppress(ImportError):
            __import__(name)


HAS_OWN_SHARED_MEMORY = False


def own_shared_memory() -> bool:
    """Mount a private /dev/shm for this process and its children; return whether that worked."""
    global HAS_OWN_SHARED_MEMORY
    library = ctypes.CDLL(None, use_errno=True)
    namespace, private = 0x00020000, 1 << 18 | 1 << 14  # CLONE_NEWNS; MS_PRIVATE | MS_REC
    if library.unshare(namespace) != 0 or library.mount(None, b"/", None, private, None) != 0:
        return False
    HAS_OWN_SHARED_MEMORY = library.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=4g") == 0
    return HAS_OWN_SHARED_MEMORY


class Child:
    """A command that runs as a child.

    Args:
        command: a script below the root and its flags, or "-m", a module and its flags.
        folder: the working folder.
        streams: an empty folder for the command's streams.
        moment: when it gets a signal.
        given: its standard input.
        memory_mb: address space that it may take in addition to what it begins with.
        environment: further environment variables.
        fresh: start a new interpreter, which has imported nothing, instead of forking this one.
        full_disk_at: size in bytes that no file may exceed, as on a full disk.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        streams: Path,
        *,
        moment: Optional[Moment] = None,
        given: bytes = b"",
        memory_mb: int = 0,
        environment: Optional[Mapping[str, str]] = None,
        fresh: bool = False,
        full_disk_at: int = 0,
    ) -> None:
        self._streams, self._moment, self._is_killed = streams, moment, False
        streams.mkdir(parents=True, exist_ok=True)
        (streams / "in").write_bytes(given)
        self._counter = streams / "operations"
        self._counter.write_bytes(bytes(8))
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        variables: Dict[str, str] = {"TMPDIR": str(temporary), **(environment or {})}
        self._began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal waits until the command has its first handlers, as those of a new interpreter
        # wait for the first line of its script.
        signal.pthread_sigmask(signal.SIG_BLOCK, inside.ENDING_SIGNALS)
        self.pid = os.fork()
        if self.pid != 0:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, inside.ENDING_SIGNALS)
        if self.pid == 0:
            status = 70
            try:
                self._begin(list(command), folder, variables, memory_mb, full_disk_at, fresh)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(status)

    def _begin(
        self,
        command: List[str],
        folder: Path,
        variables: Mapping[str, str],
        memory_mb: int,
        full_disk_at: int,
        fresh: bool,
    ) -> None:
        """Become the command; never returns normally."""
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, number, flags in (("in", 0, 0), ("out", 1, 577), ("err", 2, 577)):
            file = os.open(str(self._streams / name), flags, 0o644)
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.update(variables)
        if memory_mb:
            limit = (psutil.Process().memory_info().vms if not fresh else 0) + (memory_mb << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        moment = self._moment
        operation = int(moment.at) if moment and moment.kind == "operation" else 0
        number = moment.number if moment else 0
        if full_disk_at:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (full_disk_at, full_disk_at))
        dies_at = int(moment.at) if moment and moment.kind == "bytes" else 0
        if dies_at:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (dies_at, dies_at))
        plan = [str(self._counter), str(operation), str(number), str(int(bool(dies_at)))]
        if fresh:
            code = "import tests.faults.inside as inside; inside.main()"
            os.execv(sys.executable, [sys.executable, "-c", code, *plan, *command])
        inside.run(plan, command)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def poll(self) -> Optional[int]:
        """Send the signal if it is time; return the wait status of a child that has ended."""
        moment = self._moment
        is_time = moment is not None and moment.kind == "time" and self.seconds >= moment.at
        if moment is not None and is_time and not self._is_killed:
            self._is_killed = True
            self.signal(moment.number, moment.group)
        found, status = os.waitpid(self.pid, os.WNOHANG)
        return status if found else None

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the command, or to its whole session."""
        with contextlib.suppress(ProcessLookupError):
            if group:
                for member in psutil.Process(self.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        member.send_signal(number)
            os.kill(self.pid, number)

    def finish(self, limit: float) -> Outcome:
        """Wait for the end; kill the command after `limit` seconds."""
        status: Optional[int] = None
        while status is None:
            status = self.poll()
            if status is None and self.seconds > limit:
                break
            if status is None:
                time.sleep(0.002)
        return self.outcome(status)

    def outcome(self, status: Optional[int]) -> Outcome:
        """Return what the command did, once it has ended.

        Args:
            status: wait status; None after a timeout, which kills the command.
        """
        if status is None:
            self.signal(signal.SIGKILL, group=True)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        seconds = self.seconds
        code = None if status is None else _exit_code(status)
        with self._counter.open("rb") as stream:
            (operations,) = struct.unpack("q", stream.read(8))
        moment = self._moment
        if moment is not None and moment.kind == "operation":
            self._is_killed = operations >= moment.at
        elif moment is not None and moment.kind == "bytes":
            self._is_killed = code == -signal.SIGXFSZ
        return Outcome(
            code,
            (self._streams / "out").read_bytes(),
            (self._streams / "err").read_text(encoding="utf-8", errors="replace"),
            seconds,
            operations,
            end_orphans(),
            self._is_killed,
        )


def run_child(
    command: Sequence[str], folder: Path, streams: Path, limit: float = 600.0, **options: object
) -> Outcome:
    """Run a command to its end; `options` are those of `Child`."""
    return Child(command, folder, streams, **options).finish(limit)  # type: ignore[arg-type]


def end_orphans() -> List[str]:
    """Kill the children of this process that do not end by themselves; return what they are.

    On a busy machine, it takes seconds until a process has noticed that its parent has ended.
    """
    end = time.monotonic() + _GRACE_SECONDS
    while True:
        _reap()
        living = _children()
        if not living or time.monotonic() > end:
            break
        time.sleep(0.005)
    names = []
    for process in living:
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(" ".join(process.cmdline())[:200])
            for member in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
    time.sleep(0.02 if names else 0)
    _reap()
    return names


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _children() -> List[psutil.Process]:
    try:
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        numbers = [int(word) for word in text.split()]
    except OSError:
        return psutil.Process().children()
    found = []
    for number in numbers:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


def _exit_code(status: int) -> int:
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def remove_tree(folder: Path) -> None:
    """Remove a folder; whatever trials have left in it does not matter."""
    shutil.rmtree(folder, ignore_errors=True)
