"""The timed runs of `timed_runs`: their inputs, commands, times and kills."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

from benchmarks.stored import Basis
from bort.stages.stage import Stage
from bort.storage.files import read_json
from experiments.demo.plan import DemoConfig

ROOT = Path(__file__).resolve().parents[1]
PRETRAINING, SUPER_NETWORK, FINETUNING = "pre-training", "super-network", "fine-tuning"
COMMANDS = (PRETRAINING, SUPER_NETWORK, FINETUNING)
PLAIN, KILLED, LONG_SHARD, SLOW_SAVES, TWO_RANKS = (
    "plain",
    "killed and resumed",
    "shard longer than the time",
    "slow saves",
    "two ranks",
)
KINDS = {PLAIN: 8, KILLED: 10, LONG_SHARD: 5, SLOW_SAVES: 5, TWO_RANKS: 2}
"""Number of runs of each kind, 30 in all."""

SHORTEST, LONGEST = 60, 120
LAST_KILL = 0.8
"""Share of T after which nothing is killed: a new process needs seconds before its first step."""

SLOW_SYNC_SECONDS = (0.2, 0.8)
"""Range of the seconds by which `SLOW_SAVES` delays each `os.fsync`."""

_DOCUMENTS = {False: 400, True: 24_000}
_TRAINING_EXAMPLES = {False: 400, True: 40_000}
_TEACHERS = {False: "2-2-64-128", True: "4-4-128-512"}
_SIZES = ("2-2-32-64", "4-4-128-512")
_SPACES = {
    False: ("--depths", "1", "2", "--hiddens", "32", "64"),
    True: ("--depths", "2", "4", "--hiddens", "64", "128"),
}
_ROWS = 8


@dataclass(frozen=True)
class TimedRun:
    """One run.

    Attributes:
        number: its number, from 0.
        kind: of `KINDS`.
        command: of `COMMANDS`.
        seconds: T, the value of `--hours` in seconds.
        kills: seconds of the command, all its processes together, at which it is killed.
        size: architecture of the pre-trained student.
    """

    number: int
    kind: str
    command: str
    seconds: int
    kills: Tuple[float, ...]
    size: str

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "kills": list(self.kills)}


def planned_runs(seed: int, shortest: int = SHORTEST, longest: int = LONGEST) -> List[TimedRun]:
    """Return the runs, which are the same for the same arguments.

    Args:
        seed: draws times and kills.
        shortest, longest: range of T in seconds.
    """
    runs: List[TimedRun] = []
    for kind, count in KINDS.items():
        for turn in range(count):
            generator = random.Random(f"{seed} {kind} {turn}")
            seconds = generator.randint(shortest, longest)
            kills = sorted(
                generator.uniform(0.0, LAST_KILL * seconds) for _ in range(2 if turn % 4 > 1 else 1)
            )
            runs.append(
                TimedRun(
                    len(runs),
                    kind,
                    COMMANDS[turn % len(COMMANDS)],
                    seconds,
                    tuple(round(at, 2) for at in kills) if kind == KILLED else (),
                    _SIZES[1 if kind == LONG_SHARD else turn % len(_SIZES)],
                )
            )
    return runs


def text_stage(run: TimedRun) -> Stage:
    """Return the stage of the corpus of one shard, the small teacher of it, and the task of a run.

    All runs with a long shard share one, and all others another one.
    """
    is_long = run.kind == LONG_SHARD
    sizes = {
        "documents": _DOCUMENTS[is_long],
        "training_examples": _TRAINING_EXAMPLES[is_long],
        "teacher": _TEACHERS[is_long],
    }
    name = "inputs-long" if is_long else "inputs-short"
    return Basis(sizes).stage(name, lambda work: _make_text(work.folder, is_long))


def command_of(run: TimedRun, inputs: Path, output: Path) -> List[str]:
    """Return the command of a run without `--resume`.

    Args:
        run: the run.
        inputs: folder of the result of `text_stage`.
        output: folder of the run.
    """
    is_long = run.kind == LONG_SHARD
    shards, teacher = str(inputs / "shards"), str(inputs / "teacher")
    text = ["--data", shards, "--data_eval", shards, "--teacher_model", teacher, "--cpu_only"]
    saves = "1000" if run.kind == SLOW_SAVES else "100"
    words = {
        PRETRAINING: [
            *("run_pretraining_distillation.py", *text, "--architecture", run.size),
            *("--eval_interval", "500", "--ckpt_dir", str(output)),
        ],
        SUPER_NETWORK: [
            *("train_super_network.py", *text, "--start", "teacher", *_SPACES[is_long]),
            *("--eval_interval", "250", "--output_dir", str(output)),
        ],
        FINETUNING: [
            *("finetune.py", "--task_name", "RTE", "--data_dir", str(inputs / "entailment/RTE")),
            *("--pretrained_parameters", teacher, "--max_len", "64", "--gpu", "false"),
            *("--epochs", "100000", "--output_dir", str(output)),
        ],
    }[run.command]
    launched = ["-m", "bort.launch", "--ranks", "2"] if run.kind == TWO_RANKS else []
    script = str(ROOT / "scripts" / words[0])
    timed = ["--hours", f"{run.seconds}s", "--ckpt_interval", saves]
    timed += ["--batch_size", str(_ROWS)]
    return [sys.executable, *launched, script, *words[1:], *timed]


def environment_of(run: TimedRun, folder: Path, variables: Dict[str, str]) -> Dict[str, str]:
    """Return the environment of a run, whose saves are delayed if it is of that kind.

    Args:
        run: the run.
        folder: folder of the module that delays them.
        variables: the variables of all runs.
    """
    if run.kind != SLOW_SAVES:
        return dict(variables)
    paths = [str(folder), variables.get("PYTHONPATH", "")]
    return {**variables, "PYTHONPATH": ":".join(filter(None, paths))}


def write_slow_saves(folder: Path) -> None:
    """Write the module that delays saves into a new folder."""
    folder.mkdir()
    text = _SLOW_SYNC.format(*SLOW_SYNC_SECONDS)
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")


def epochs_of(run: TimedRun, inputs: Path, steps: int) -> float:
    """Return the epochs that a run's steps make."""
    is_long = run.kind == LONG_SHARD
    examples = _TRAINING_EXAMPLES[is_long]
    if run.command != FINETUNING:
        manifest = read_json(inputs / "shards" / "manifest.json")
        examples = manifest["splits"]["train"]["sequences"]
    ranks = 2 if run.kind == TWO_RANKS else 1
    return steps * _ROWS * ranks / examples


def _make_text(folder: Path, is_long: bool) -> Dict[str, Any]:
    from data.generated_tasks.tasks import GeneratedTasksConfig, write_tasks
    from experiments.demo.text import prepare_text
    from experiments.demo.training import train_teacher

    config = DemoConfig(
        documents=_DOCUMENTS[is_long],
        vocabulary_size=700,
        max_seq_length=64,
        held_out_share=0.002 if is_long else 0.1,
        scored_examples=48,
        teacher=_TEACHERS[is_long],
        teacher_steps=4,
    )
    write_tasks(
        GeneratedTasksConfig(
            output_dir=str(folder),
            tasks=("entailment",),
            train_size=_TRAINING_EXAMPLES[is_long],
            dev_size=48,
            report_size=8,
        )
    )
    train_teacher(config, prepare_text(config, folder), folder / "teacher")
    return {}


_SLOW_SYNC = '''"""Delays os.fsync, as a slow disk does."""

import os
import random
import time

_sync = os.fsync


def _slow_sync(descriptor):
    time.sleep(random.uniform({}, {}))
    _sync(descriptor)


os.fsync = _slow_sync
'''
