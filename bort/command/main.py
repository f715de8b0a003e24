"""The console command `bort`: it runs the subcommand that a command line names."""

from __future__ import annotations

import sys
import types

from bort import TYPE_CHECKING
from bort.process.startup import begin_command
from bort.process.toolkit import put_toolkit_first, toolkit_root

if TYPE_CHECKING:
    import argparse
    from typing import List, NoReturn, Optional

    from bort.command.subcommands import Subcommand


def run_subcommand(arguments: Optional[List[str]] = None) -> NoReturn:
    """Run the subcommand that a command line names, and exit with its status.

    The toolkit's folders `data`, `experiments` and `scripts` come first on this process's search
    path of modules, whatever the current folder holds.

    Args:
        arguments: the command line; None takes that of this process.
    """
    begin_command()  # signals end the process in one line from now on
    put_toolkit_first()
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["--debug"]:
        words = [*words[1:2], "--debug", *words[2:]]
    from bort.command.subcommands import SUBCOMMANDS
    from bort.process.command import run_command

    found = SUBCOMMANDS.get(words[0]) if words else None
    if found is not None:
        _run(found, words[1:])
    sys.argv = ["bort", *words]
    run_command(_make_parser(), _refuse, words)


def _run(subcommand: Subcommand, words: List[str]) -> None:
    sys.argv = [subcommand.title, *words]
    if not subcommand.is_script:
        import importlib

        module, _, function = subcommand.program.partition(":")
        getattr(importlib.import_module(module), function)()
        return
    from bort.process.command import make_parser, run_command

    root = toolkit_root()
    if root is None:
        run_command(make_parser(subcommand.summary), _refuse_without_toolkit, [])
    _run_script(f"{root}/{subcommand.program}")


def _run_script(path: str) -> None:
    """Run a script as the program of this process, as Python itself does.

    Processes that `multiprocessing` spawns import the script, so it is the main module.
    """
    # A script may import its neighbours; other modules of their names go first.
    sys.path.append(path.rpartition("/")[0])
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    with open(path, "rb") as stream:
        code = compile(stream.read(), path, "exec")
    exec(code, vars(module))


def _make_parser() -> argparse.ArgumentParser:
    import argparse

    import bort
    from bort.command.subcommands import summaries
    from bort.process.command import make_parser

    parser = make_parser(
        "Find a small BERT, train it by distillation, and use it. `bort SUBCOMMAND --help` shows "
        "the flags of a subcommand."
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = summaries()
    version = f"bort {bort.__version__}"
    parser.add_argument("--version", action="version", version=version, help="show the version")
    parser.add_argument("subcommand", metavar="SUBCOMMAND", nargs="?", help="see below")
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="its flags")
    return parser


def _refuse(parsed: argparse.Namespace) -> None:
    from bort.command.subcommands import subcommand_named
    from bort.errors import InputError

    if parsed.subcommand is None:
        raise InputError("a subcommand is missing (bort --help lists them)")
    subcommand_named(parsed.subcommand)


def _refuse_without_toolkit(parsed: argparse.Namespace) -> None:
    from bort.errors import InputError

    raise InputError(
        "this installation holds the library without the commands; install the project's wheel "
        "(pip install .)"
    )
