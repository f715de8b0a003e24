"""The table of the subcommands of `bort`, which are also functions of the package `bort`."""

from __future__ import annotations

import sys
from typing import Dict, List, NamedTuple, Optional, Tuple

from bort.errors import InputError


class Subcommand(NamedTuple):
    """A subcommand of `bort`.

    Attributes:
        name: name on the command line.
        program: script, as a path from the toolkit's folder, or module and function of the library.
        summary: one line for `bort --help`.
        function: name of the function of `bort` that runs it; None without one.
        positional: names of the arguments that have no flag, in order.
        switches: names of the flags that take no value, apart from `--debug`.
        json_flag: flag that makes the command print JSON; None if it always does.
    """

    name: str
    program: str
    summary: str
    function: Optional[str] = None
    positional: Tuple[str, ...] = ()
    switches: Tuple[str, ...] = ()
    json_flag: Optional[str] = None

    @property
    def is_script(self) -> bool:
        """Whether the program is a script, which needs the toolkit's folder."""
        return self.program.endswith(".py")

    @property
    def title(self) -> str:
        """The command as a user calls it."""
        return f"bort {self.name}"


GROUPS: Dict[str, Tuple[Subcommand, ...]] = {
    "all at once": (
        Subcommand(
            "make-small-model",
            "scripts/make_small_model.py",
            "make a small model of a large one for a task, ready to serve",
            "make_small_model",
            switches=("dry_run",),
        ),
    ),
    "text and vocabularies": (
        Subcommand(
            "prepare-corpus",
            "scripts/create_pretraining_data.py",
            "turn text into shards of token ids for pre-training",
            "prepare_corpus",
        ),
        Subcommand(
            "train-vocabulary",
            "scripts/train_vocabulary.py",
            "train a SentencePiece vocabulary on text in any language",
            "train_vocabulary",
        ),
        Subcommand(
            "extract-wikipedia",
            "scripts/extract_wikipedia.py",
            "turn a dump of a Wikipedia into text files",
            "extract_wikipedia",
            positional=("dump",),
        ),
        Subcommand(
            "generate-english",
            "scripts/generate_english.py",
            "write a corpus of generated English of any size",
            "generate_english",
        ),
    ),
    "pre-training": (
        Subcommand(
            "pretrain",
            "scripts/run_pretraining_distillation.py",
            "pre-train a small BERT by distillation",
            "pretrain",
        ),
        Subcommand(
            "pretrain-hvd",
            "scripts/run_pretraining_distillation_hvd.py",
            "the same on Horovod ranks that any launcher started",
        ),
        Subcommand(
            "cache-teacher-answers",
            "scripts/cache_teacher_answers.py",
            "compute a teacher's answers for all training examples once",
            "cache_teacher_answers",
        ),
    ),
    "search": (
        Subcommand(
            "train-super-network",
            "scripts/train_super_network.py",
            "train one network whose sub-networks of all sizes work",
            "train_super_network",
        ),
        Subcommand(
            "evaluate-architectures",
            "scripts/evaluate_architectures.py",
            "score many sub-networks of a super-network",
            "evaluate_architectures",
        ),
        Subcommand(
            "measure-latency",
            "scripts/measure_latency.py",
            "measure inference times of a space of architectures on this device",
            "measure_latency",
        ),
        Subcommand(
            "search-architecture",
            "scripts/search_architecture.py",
            "search the best architecture, under a limit or by the W-coefficient",
            "search_architecture",
        ),
        Subcommand(
            "extract-model",
            "scripts/extract_model.py",
            "take a sub-network out of a super-network as a model folder",
            "extract_model",
        ),
    ),
    "tasks": (
        Subcommand(
            "describe-task",
            "scripts/describe_task.py",
            "describe a file of labelled texts, and write a task file",
            "describe_task",
            positional=("data",),
        ),
        Subcommand(
            "download-tasks",
            "scripts/download_tasks.py",
            "download the official data of GLUE, SuperGLUE, RACE and SQuAD",
            "download_tasks",
        ),
        Subcommand(
            "generate-tasks",
            "scripts/generate_tasks.py",
            "write synthetic tasks in the file formats of GLUE",
            "generate_tasks",
        ),
        Subcommand(
            "finetune",
            "scripts/finetune.py",
            "fine-tune a model on a named task or on labelled texts",
            "finetune",
        ),
        Subcommand(
            "agora",
            "scripts/run_agora.py",
            "fine-tune a small model with Agora, on data that a large one labels",
            "run_agora",
        ),
        Subcommand(
            "evaluate",
            "scripts/evaluate.py",
            "score a fine-tuned model, or a file of predictions",
            "evaluate",
        ),
        Subcommand(
            "make-submission",
            "scripts/make_submission.py",
            "make the zip for a submission to GLUE or SuperGLUE",
            "make_submission",
        ),
    ),
    "models": (
        Subcommand(
            "predict",
            "scripts/predict.py",
            "predict an answer for each line of a file, with any model folder",
        ),
        Subcommand(
            "export",
            "scripts/export_model.py",
            "export a model to Hugging Face, ONNX or OpenVINO",
            "export_model",
        ),
        Subcommand(
            "import",
            "scripts/import_model.py",
            "import a model from a Hugging Face folder",
            "import_model",
        ),
        Subcommand(
            "benchmark-inference",
            "scripts/benchmark_inference.py",
            "measure inference times of a model on all installed engines",
            "benchmark_inference",
        ),
        Subcommand(
            "architecture-table",
            "scripts/architecture_table.py",
            "print Table 2 of the paper with computed numbers of parameters",
            switches=("json",),
        ),
    ),
    "experiments": (
        Subcommand(
            "run-grid",
            "scripts/run_grid.py",
            "run a command for every combination of settings in a file",
            "run_grid",
        ),
        Subcommand(
            "train-large-then-compress",
            "experiments/train_large_then_compress.py",
            "find which size to pre-train for a given time before compressing",
            "train_large_then_compress",
        ),
        Subcommand(
            "stages",
            "scripts/stages.py",
            "show, check and clean up a store of stages",
            positional=("command",),
            switches=("dry_run",),
        ),
        Subcommand(
            "demo",
            "scripts/run_demo.py",
            "run the demonstration: one student with and one without a teacher",
            "run_demo",
            switches=("json",),
            json_flag="json",
        ),
        Subcommand(
            "prepare-self-test",
            "scripts/prepare_self_test.py",
            "make a corpus, its shards and a tiny teacher offline, for trials",
            "prepare_self_test",
        ),
    ),
    "this machine": (
        Subcommand(
            "launch",
            "bort.launch:main",
            "run a subcommand on several Horovod ranks of this machine",
            positional=("command",),
        ),
        Subcommand(
            "doctor",
            "bort.command.doctor:show_doctor",
            "show what is installed, and what this machine can do",
            switches=("json",),
        ),
    ),
}
"""All subcommands by the headings of `bort --help`."""

SUBCOMMANDS: Dict[str, Subcommand] = {one.name: one for group in GROUPS.values() for one in group}
"""All subcommands by name."""

BY_FUNCTION: Dict[str, Subcommand] = {
    one.function: one for one in SUBCOMMANDS.values() if one.function is not None
}
"""The subcommands that are functions of `bort`, by the names of the functions."""


def subcommand_named(name: str) -> Subcommand:
    """Return a subcommand.

    Raises:
        InputError: there is none of this name; the message names the nearest.

    >>> subcommand_named("finetune").program
    'scripts/finetune.py'
    """
    if name not in SUBCOMMANDS:
        raise InputError(
            f"{name!r} is no subcommand of bort; the nearest is {nearest(name)} "
            "(bort --help lists all)"
        )
    return SUBCOMMANDS[name]


def nearest(name: str) -> str:
    """Return the subcommand whose name, or whose script's or function's name, is most like a word.

    >>> nearest("fine-tune"), nearest("run_agora"), nearest("search")
    ('finetune', 'agora', 'search-architecture')
    """
    import difflib

    names: Dict[str, str] = {}
    for one in SUBCOMMANDS.values():
        script = one.program.rsplit("/", 1)[-1]
        for known in (script[:-3] if one.is_script else one.name, one.function, one.name):
            if known is not None:
                names[known.replace("_", "-")] = one.name
    word = name.lower().replace("_", "-")
    parts: List[str] = [known for known in names if word and word in known.split("-")]
    found = [word] if word in names else parts or difflib.get_close_matches(word, names, 1, 0.0)
    return names[found[0]]


def as_called(script: str) -> str:
    """Return how the user of this process calls a script, for messages that name a next command.

    Args:
        script: path from the toolkit's folder.

    >>> as_called("scripts/extract_model.py")
    'python scripts/extract_model.py'
    """
    is_console = sys.argv[0].startswith("bort ")
    found = [one for one in SUBCOMMANDS.values() if one.program == script]
    return found[0].title if is_console and found else f"python {script}"


def summaries() -> str:
    """Return all subcommands with one line each, by headings, for `bort --help`."""
    width = max(map(len, SUBCOMMANDS)) + 2
    lines: List[str] = []
    for heading, group in GROUPS.items():
        lines += ["", f"{heading}:"]
        lines += [f"  {one.name:{width}}{one.summary}" for one in group]
    return "\n".join(lines[1:])
