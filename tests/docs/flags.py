"""The flags that each command of the project has, and those of a command line that it has not."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import runpy
import sys
from typing import FrozenSet, List, Optional, Sequence
from unittest import mock

from bort.command.subcommands import SUBCOMMANDS, subcommand_named
from tests.docs.pages import ROOT, Command

FLAG = re.compile(r"(?<![\w-])--[a-zA-Z][\w-]*")
LAUNCHER = "bort.launch"
FORWARDS = {
    "run_demo.sh": "scripts/run_demo.py",
    "run_finetune.sh": "scripts/finetune.py",
    "run_finetune.sh --agora": "scripts/run_agora.py",
    "run_pretraining_distillation.sh": "scripts/run_pretraining_distillation.py",
}
"""Shell scripts that pass flags on, and to what."""


@functools.lru_cache(maxsize=None)
def flags_of(script: str) -> FrozenSet[str]:
    """The flags of a script: those that its --help lists, or that stand in a shell script.

    The script runs in this process, which is many times as fast as one process each.
    """
    path = ROOT / ("bort/launch.py" if script == LAUNCHER else script)
    if script.endswith(".sh"):
        return frozenset(FLAG.findall(path.read_text(encoding="utf-8")))
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", [script, "--help"]), contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "path", [str(path.parent), *sys.path]))
        stack.enter_context(mock.patch.dict("os.environ", {"COLUMNS": "200"}))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(contextlib.suppress(SystemExit))
        runpy.run_path(str(path), run_name="__main__")
    found = frozenset(FLAG.findall(printed.getvalue()))
    assert "--help" in found, f"{script} --help prints {printed.getvalue()!r}"
    return found


def script_of(word: str, previous: str) -> Optional[str]:
    """The script that a word of a command line names; None if it names none."""
    if previous == "-m" and (word == LAUNCHER or word.startswith("benchmarks.")):
        return word if word == LAUNCHER else word.replace(".", "/") + ".py"
    name = word[2:] if word.startswith("./") else word
    is_script = name.endswith((".py", ".sh")) and (ROOT / name).is_file()
    return name if is_script else None


def subcommand_of(words: Sequence[str]) -> Optional[str]:
    """The script or launcher that the second word of `bort …` names; None for another command.

    An unknown subcommand is an `InputError`.
    """
    if words[0] != "bort" or len(words) < 2 or FLAG.fullmatch(words[1]) or "…" in words[1]:
        return None
    program = subcommand_named(words[1]).program
    return {"bort.launch:main": LAUNCHER}.get(program, program if "/" in program else None)


def unknown_flags(command: Command) -> List[str]:
    """The flags of a command line that the script in front of them does not have."""
    unknown: List[str] = []
    script, previous = subcommand_of(command.words) or "", ""
    for word in command.words:
        flag = word.split("=")[0]
        if script == LAUNCHER and word in SUBCOMMANDS and previous != "bort":
            script = SUBCOMMANDS[word].program
        elif script in ("", LAUNCHER) and script_of(word, previous):
            script = script_of(word, previous) or ""
        elif script and FLAG.fullmatch(flag):
            agora = f"{script} --agora" if "--agora" in command.words else script
            target = FORWARDS.get(agora, FORWARDS.get(script))
            if flag not in flags_of(script) | (flags_of(target) if target else frozenset()):
                unknown.append(f"{command.where}: {script} has no {word}")
        previous = word
    return unknown


def all_flags() -> FrozenSet[str]:
    """The flags of all commands and benchmarks together."""
    scripts = [LAUNCHER, "scripts/setup_environment.sh", *(p.name for p in ROOT.glob("*.sh"))]
    for folder in ("scripts", "benchmarks"):
        for path in sorted((ROOT / folder).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "__main__" in text and "argparse" in text:
                scripts.append(f"{folder}/{path.name}")
    return frozenset().union(*map(flags_of, scripts))
