"""Scores of sub-networks after fine-tuning: one row per sub-network, task and seed; their table."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.text_table import text_table
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.result_store import KeyedStore
from bort.super_network.parts import part_name
from bort.super_network.scores import PART_SCORES
from bort.tasks.metrics import mean_score
from bort.tasks.records import get_task


class FinetunedRow(NamedTuple):
    """The fine-tuning of one sub-network on one task with one seed.

    Attributes:
        architecture: sizes of the sub-network.
        task: name of the task.
        seed: seed of the head's weights, the order of examples and dropout.
    """

    architecture: Architecture
    task: str
    seed: int

    @property
    def name(self) -> str:
        """The sub-network, the task and the seed, for messages."""
        return f"{part_name(self.architecture)} on {self.task}, seed {self.seed}"


@dataclass(frozen=True)
class FinetunedScore:
    """The dev scores of one row.

    Attributes:
        row: the sub-network, task and seed.
        metrics: official metrics of the best epoch, as fractions; with several dev sets, by
            `name/split`.
        last_metrics: those after the last step.
        epoch: number of the best epoch, from 1.
        steps: number of optimizer steps of the run.
    """

    row: FinetunedRow
    metrics: Mapping[str, float]
    last_metrics: Mapping[str, float]
    epoch: int
    steps: int

    @property
    def score(self) -> float:
        """The mean of the metrics of the best epoch."""
        return mean_score(self.metrics)

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields of a line in the store, which `from_fields` reads."""
        return {
            "name": part_name(self.row.architecture),
            "architecture": self.row.architecture.as_dict(),
            "task": self.row.task,
            "seed": self.row.seed,
            "metrics": dict(self.metrics),
            "last_metrics": dict(self.last_metrics),
            "epoch": self.epoch,
            "steps": self.steps,
            "score": self.score,
        }

    @classmethod
    def from_fields(cls, fields: JsonFields, own_tasks: Sequence[str] = ()) -> FinetunedScore:
        """Return the scores in a line.

        Args:
            fields: the fields of the line.
            own_tasks: names of tasks of the user, which are not in the table.

        Raises:
            InputError: a field is missing or bad; the message names file and line.
        """
        with errors_naming(fields.source):
            architecture = Architecture.from_dict(fields.fields("architecture").values)
            task = fields.text("task")
            if task not in own_tasks:
                task = get_task(task).name
        metrics = fields.fields("metrics").all_numbers()
        if not metrics:
            raise InputError(f"{fields.source}: metrics is {{}}, allowed is at least one")
        return cls(
            FinetunedRow(architecture, task, fields.integer("seed", 0)),
            metrics,
            fields.fields("last_metrics").all_numbers(),
            fields.integer("epoch", 1),
            fields.integer("steps", 1),
        )


class FinetunedStore(KeyedStore[FinetunedRow, FinetunedScore]):
    """The scores of an evaluation in its folder, in files `scores-rank<n>.jsonl`.

    Args:
        folder: folder of the evaluation.
        rank: rank whose file `append` writes.
        own_tasks: names of tasks of the user that a line may have.
    """

    def __init__(self, folder: Path, rank: int, own_tasks: Sequence[str] = ()) -> None:
        read = functools.partial(FinetunedScore.from_fields, own_tasks=own_tasks)
        super().__init__(folder, rank, PART_SCORES, read, lambda one: one.row)

    def repeated(self, second: str, first: str, value: FinetunedScore) -> None:
        """Refuse a row that was evaluated twice.

        Raises:
            InputError: always; the message names both lines.
        """
        raise InputError(
            f"{second}: holds {value.row.name} a second time, the first is in {first}; remove one "
            "of the lines"
        )


@dataclass(frozen=True)
class Spread:
    """A number over several seeds.

    Attributes:
        values: the number of each seed.
    """

    values: Sequence[float]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> Optional[float]:
        """The sample standard deviation over seeds; None for a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def as_dict(self) -> Dict[str, Any]:
        """Return mean, deviation and values."""
        return {"mean": self.mean, "deviation": self.deviation, "values": list(self.values)}

    def __str__(self) -> str:
        shown = f"{self.mean:.4f}"
        return shown if self.deviation is None else f"{shown} ± {self.deviation:.4f}"


@dataclass(frozen=True)
class FinetunedPart:
    """A sub-network with its scores on all tasks.

    Attributes:
        architecture: sizes of the sub-network.
        length: tokens of the sequence whose multiply-adds are counted.
        metrics: task → metric → its values over seeds.
        tasks: task → the mean of its metrics over seeds.
        score: the mean over tasks, over seeds; more is better.
    """

    architecture: Architecture
    length: int
    metrics: Mapping[str, Mapping[str, Spread]]
    tasks: Mapping[str, Spread]
    score: Spread

    @property
    def error(self) -> float:
        """1 minus the mean over tasks and seeds."""
        return 1.0 - self.score.mean

    def as_dict(self) -> Dict[str, Any]:
        """Return the JSON-ready fields of `scores.json`."""
        return {
            "name": part_name(self.architecture),
            "architecture": self.architecture.as_dict(),
            "parameters": self.architecture.parameter_count(),
            "multiply_adds": self.architecture.multiply_adds(1, self.length),
            "length": self.length,
            "tasks": {
                task: {
                    **spread.as_dict(),
                    "metrics": {n: one.as_dict() for n, one in self.metrics[task].items()},
                }
                for task, spread in self.tasks.items()
            },
            "score": self.score.as_dict(),
        }


def by_part(scores: Sequence[FinetunedScore], length: int) -> List[FinetunedPart]:
    """Return the sub-networks of rows with their means, the best first.

    Of equally good ones, the one with fewer parameters is first.

    Args:
        scores: rows; each sub-network has the same tasks, and each task the same seeds.
        length: tokens of the sequence whose multiply-adds are counted.
    """
    found: Dict[Architecture, Dict[str, Dict[int, FinetunedScore]]] = {}
    for one in scores:
        tasks = found.setdefault(one.row.architecture, {})
        tasks.setdefault(one.row.task, {})[one.row.seed] = one
    parts = [_summed_up(part, tasks, length) for part, tasks in found.items()]
    return sorted(
        parts,
        key=lambda one: (-one.score.mean, one.architecture.parameter_count(), one.architecture),
    )


def _summed_up(
    architecture: Architecture, tasks: Mapping[str, Mapping[int, FinetunedScore]], length: int
) -> FinetunedPart:
    seeds = sorted(next(iter(tasks.values())))
    rows = {task: [scores[seed] for seed in seeds] for task, scores in tasks.items()}
    metrics = {
        task: {
            name: Spread([one.metrics[name] for one in of_seeds]) for name in of_seeds[0].metrics
        }
        for task, of_seeds in rows.items()
    }
    means = {task: Spread([one.score for one in of_seeds]) for task, of_seeds in rows.items()}
    over_tasks = np.mean([spread.values for spread in means.values()], axis=0)
    return FinetunedPart(architecture, length, metrics, means, Spread(over_tasks.tolist()))


def finetuned_table(parts: Sequence[FinetunedPart]) -> str:
    """Return a table of sub-networks in the given order: mean ± deviation over seeds.

    >>> part = Architecture(2, 2, 16, 32, vocabulary_size=100, maximum_length=8)
    >>> rows = [FinetunedRow(part, "RTE", seed) for seed in (0, 1)]
    >>> scores = [FinetunedScore(row, {"accuracy": 0.5 + row.seed / 8}, {}, 1, 3) for row in rows]
    >>> print(finetuned_table(by_part(scores, 8)))
    D-A-H-I-Q     parameters  multiply-adds              RTE             mean
    2-2-16-32-16       6,208         36,864  0.5625 ± 0.0884  0.5625 ± 0.0884
    """
    tasks = list(dict.fromkeys(task for one in parts for task in one.tasks))
    lines = [("D-A-H-I-Q", "parameters", "multiply-adds", *tasks, "mean")]
    for one in parts:
        values = one.as_dict()
        shown = [str(one.tasks[task]) for task in tasks]
        counts = (f"{values['parameters']:,}", f"{values['multiply_adds']:,}")
        lines.append((values["name"], *counts, *shown, str(one.score)))
    return text_table(lines, "<>")
