"""The commands as Python functions, such as `from bort import finetune, export_model`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import os
import signal
import site
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path
from types import FrameType
from typing import IO, Any, Callable, Dict, List, Optional, Tuple

from bort.command.subcommands import BY_FUNCTION, Subcommand
from bort.errors import InputError, WorkError
from bort.process.command import DESCRIBE_FLAGS
from bort.process.startup import ERROR_FILE_VARIABLE
from bort.process.stopping import LAUNCHER_VARIABLE
from bort.settings.grid import flags_of
from bort.storage.files import temporary_folder
from bort.storage.json_fields import read_fields

_PROGRAM = Path(__file__).resolve().parent / "__main__.py"
_WIDTH = 96


class _Documentation:
    """The docstring of a class, and that of each of its objects, which the object makes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __get__(self, owner: Optional[CommandFunction], kind: type) -> str:
        return self._text if owner is None else owner.documentation()


class CommandFunction:
    __doc__ = _Documentation(  # type: ignore[assignment]
        """A command as a function: its flags are keyword arguments, its result is a dict.

    Every call runs `bort SUBCOMMAND` in a process of its own, by the interpreter of this one, for
    three reasons. MXNet, its threads and its memory end with the call, and a crash or a lack of
    memory does not end this program. The command's folders `data` and `experiments` do not hide
    modules of these names in this program. A command reads environment variables such as
    `OMP_NUM_THREADS` when it starts, and handles signals, which a library should not.

    Progress and messages appear on standard error while the command works. Ctrl-C is passed on: a
    training saves its state and ends, then `KeyboardInterrupt` is raised, and the same call with
    `resume=True` continues. A second Ctrl-C ends the command at once. If this program dies, a
    training saves its state and ends, too.

    Args:
        subcommand: the command.
    """
    )

    def __init__(self, subcommand: Subcommand) -> None:
        assert subcommand.function is not None
        self._subcommand = subcommand
        self.__name__ = self.__qualname__ = subcommand.function
        self.__module__ = "bort"

    def __call__(self, **flags: Any) -> Dict[str, Any]:
        """Run the command in a process of its own, and return the JSON that it prints.

        Args:
            flags: the flags of the command by name. None leaves a flag out, so that its default
                holds. Paths, and lists or tuples of values, are allowed.

        Raises:
            InputError: the command refuses a flag or a file (exit status 2).
            WorkError: the command fails (any other exit status).
            KeyboardInterrupt: Ctrl-C was pressed; the command has ended.
        """
        words = _words_of(self._subcommand, flags)
        return _run(self._subcommand, words)

    def __repr__(self) -> str:
        return f"<function bort.{self.__name__}, which runs `{self._subcommand.title}`>"

    @property
    def __signature__(self) -> inspect.Signature:
        """The flags as keyword arguments, those that are needed first."""
        kind = inspect.Parameter.KEYWORD_ONLY
        arguments = sorted(_described(self._subcommand), key=lambda one: not one["required"])
        parameters = [
            inspect.Parameter(
                one["name"],
                kind,
                default=inspect.Parameter.empty if one["required"] else None,
                annotation=_annotation(one),
            )
            for one in arguments
        ]
        return inspect.Signature(parameters, return_annotation=Dict[str, Any])

    def documentation(self) -> str:
        """Return the docstring: a summary, and the command's help of every flag."""
        summary = self._subcommand.summary
        lines = [
            f"{summary[0].upper()}{summary[1:]}.",
            "",
            f"Runs `{self._subcommand.title}` in a process of its own, and returns the JSON that",
            "it prints.",
            "",
            "Args:",
        ]
        for one in _described(self._subcommand):
            text = f"{one['name']} ({_type_name(one)}): {one['help']}"
            lines += textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent=" " * 8)
        lines += [
            "",
            "Raises:",
            "    bort.errors.InputError: the command refuses a flag or a file.",
            "    bort.errors.WorkError: the command fails.",
        ]
        return "\n".join(lines)


@functools.lru_cache(maxsize=None)
def command_function(name: str) -> CommandFunction:
    """Return a function of `bort` that runs a command.

    Args:
        name: name of the function, such as "finetune".
    """
    return CommandFunction(BY_FUNCTION[name])


def _words_of(subcommand: Subcommand, flags: Dict[str, Any]) -> List[str]:
    """Return the command line of keyword arguments.

    Raises:
        InputError: a value cannot be a flag.
    """
    values = {name: _plain(name, value) for name, value in flags.items()}
    if subcommand.json_flag is not None:
        values.setdefault(subcommand.json_flag, True)
    given = [name for name in subcommand.positional if values.get(name) is not None]
    words = [str(values.pop(name)) for name in given]
    for name in ("debug", *subcommand.switches):
        if values.pop(name, None):
            words.append(f"--{name}")
    return [*words, *flags_of(values)]


def _plain(name: str, value: Any) -> Any:
    """Return a value of an argument as a text, a number, a Boolean, None, or a list of these."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise InputError(f"{name} is {value!r}, allowed is at least one value")
        return [_plain(name, item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise InputError(
        f"{name} is {value!r}, allowed are texts, numbers, True, False, None, paths and lists"
    )


def _run(subcommand: Subcommand, words: List[str]) -> Dict[str, Any]:
    with temporary_folder(Path(tempfile.gettempdir()) / "bort-command") as folder:
        error_file = folder / "error.json"
        environment = _environment()
        environment[ERROR_FILE_VARIABLE] = str(error_file)
        environment[LAUNCHER_VARIABLE] = str(os.getpid())
        printed, status = _wait_for([*_command_of(subcommand), *words], environment)
        if error_file.exists():
            problem = read_fields(error_file)
            kind = InputError if problem.integer("status") == 2 else WorkError
            raise kind(problem.text("message"))
    if status < 0:
        raise WorkError(f"{subcommand.title} was ended by signal {-status} (out of memory?)")
    try:
        result: Dict[str, Any] = json.loads(printed)
    except ValueError:
        # A command whose work fails in part prints its result and has the status 1.
        start = printed[:200].decode("utf-8", "replace")
        raise WorkError(
            f"{subcommand.title} ended with the status {status} and printed {start!r}, no JSON"
        ) from None
    return result


def _command_of(subcommand: Subcommand) -> List[str]:
    return [sys.executable, str(_PROGRAM), subcommand.name]


def _environment() -> Dict[str, str]:
    """Return the environment of a command, which finds `bort` where this process found it."""
    environment = dict(os.environ)
    folder = str(_PROGRAM.parents[2])
    known = environment.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in (*site.getsitepackages(), site.getusersitepackages(), *known):
        environment["PYTHONPATH"] = os.pathsep.join([folder, *filter(None, known)])
    return environment


def _wait_for(command: List[str], environment: Dict[str, str]) -> Tuple[bytes, int]:
    """Run a command; return what it prints, and its exit status.

    The command has a session of its own, so that it gets Ctrl-C from this process alone, once.
    """
    # A notebook, for example, replaces sys.stderr: what the command writes goes there.
    is_replaced = sys.stderr is not None and sys.stderr is not sys.__stderr__
    with _HeldInterrupts() as held:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if is_replaced else None,
            start_new_session=True,
        )
        return _output_of(process, held)


def _output_of(process: subprocess.Popen[bytes], held: _HeldInterrupts) -> Tuple[bytes, int]:
    printed: List[bytes] = []
    readers = [_reader(process.stdout, printed.append), _reader(process.stderr, _show)]
    interrupted: Optional[KeyboardInterrupt] = None
    try:
        while process.poll() is None:
            try:
                held.let_through()
                process.wait()
            except KeyboardInterrupt as error:
                interrupted = error
                process.send_signal(signal.SIGINT)
    finally:
        if process.poll() is None:  # another exception, such as that of a handler
            process.terminate()
            process.wait()
        for reader in readers:
            reader.join()
    if interrupted is not None:
        raise interrupted
    return b"".join(printed), process.returncode


class _HeldInterrupts:
    """Holds Ctrl-C back until `let_through`, so that it finds a process that was just started."""

    def __init__(self) -> None:
        self._before: Any = None
        self._is_held = False

    def __enter__(self) -> _HeldInterrupts:
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(handler):
            self._before = handler
            signal.signal(signal.SIGINT, self._hold)
        return self

    def __exit__(self, *error: object) -> None:
        self.let_through()

    def let_through(self) -> None:
        """Give the signal back to its handler, which is called at once if the signal has come."""
        handler, self._before = self._before, None
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
            if self._is_held:
                handler(signal.SIGINT, None)

    def _hold(self, number: int, frame: Optional[FrameType]) -> None:
        self._is_held = True


def _reader(source: Optional[IO[bytes]], take: Callable[[bytes], object]) -> threading.Thread:
    """Return a started thread that gives each line of a pipe to `take`."""

    def read() -> None:
        if source is not None:
            with source:
                for line in source:
                    take(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _show(line: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # the command goes on unseen
        sys.stderr.write(line.decode("utf-8", "replace"))
        sys.stderr.flush()


@functools.lru_cache(maxsize=None)
def _described(subcommand: Subcommand) -> List[Dict[str, Any]]:
    """Return the flags of a command, which it describes itself (`describe_flags`)."""
    command = [*_command_of(subcommand), DESCRIBE_FLAGS]
    done = subprocess.run(
        command, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise WorkError(done.stderr.decode("utf-8", "replace").strip().partition("error: ")[2])
    described: List[Dict[str, Any]] = json.loads(done.stdout)
    hidden = ("debug", subcommand.json_flag)
    return [one for one in described if one["name"] not in hidden]


def _annotation(described: Dict[str, Any]) -> Any:
    kind = {"int": int, "float": float, "bool": bool}.get(described["type"], str)
    hint = List[kind] if described["many"] else kind  # type: ignore[valid-type]
    return hint if described["required"] else Optional[hint]


def _type_name(described: Dict[str, Any]) -> str:
    """Return the type of an argument as a docstring shows it.

    >>> _type_name({"type": "int", "many": True, "choices": None})
    'list of int'
    """
    name = str(described["type"])
    if described["choices"] is not None:
        name = "one of " + ", ".join(map(repr, described["choices"]))
    return f"list of {name}" if described["many"] else name
