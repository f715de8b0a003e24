"""A generated task for Agora, with few examples for Timaeus and many for Socrates.

The splits of all seeds come from one pool: an example of a dev or report split is in no other
split of any seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, NamedTuple, Sequence

from bort.agora.task_data import AgoraTask
from bort.errors import InputError
from bort.storage.files import new_folder
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.vocabulary import Vocabulary
from data.generated_tasks.tasks import (
    FORMAT_OF_TASK,
    GeneratedExample,
    GeneratedTasksConfig,
    generate_task,
    write_splits,
)
from data.tasks.report_split import open_agora_task
from data.tasks.sets import open_task_data

DEV_FROM = ("any", "shortest")
_REPORT_FILE = "report.tsv"
_SHORTEST_OF = 8


@dataclass(frozen=True)
class ScarceSizes:
    """Numbers of examples.

    Attributes:
        train: gold examples for Timaeus.
        dev: dev examples for each seed.
        report: examples in the report split of each seed.
        socrates: gold examples for Socrates; they include those of `train`.
        seeds: number of data sets.
        positive_share: share of label 1 in every split, 0 to 1.
        dev_from: source of the dev examples: "any", or "shortest" for the shortest out of eight
            times as many, which represent the other splits less well.
    """

    train: int
    dev: int
    report: int
    socrates: int
    seeds: int
    positive_share: float = 0.5
    dev_from: str = "any"

    def __post_init__(self) -> None:
        if self.dev_from not in DEV_FROM:
            raise InputError(f"dev_from is {self.dev_from!r}, allowed are {', '.join(DEV_FROM)}")
        if self.train > self.socrates:
            raise InputError(f"train is {self.train}, allowed are at most {self.socrates}")


def write_scarce_tasks(folder: Path, task: str, sizes: ScarceSizes, seed: int = 0) -> None:
    """Write the data sets of all seeds; the folder appears when it is complete.

    `seed-<k>` holds the gold data of Timaeus. `gold-<k>` holds all gold data of Socrates, with the
    same dev and report splits. Both have the layout that `data_dir` expects.

    Args:
        folder: the folder to make.
        task: one of `data.generated_tasks.tasks.GENERATED_TASKS`.
        sizes: numbers of examples.
        seed: seed of the examples.

    Raises:
        InputError: the task is unknown, or has too few distinct examples.
        WorkError: a file cannot be written.
    """
    drawn = sizes.dev * (_SHORTEST_OF if sizes.dev_from == "shortest" else 1)
    pool = generate_task(
        GeneratedTasksConfig(
            output_dir=str(folder),
            train_size=sizes.socrates,
            dev_size=drawn * sizes.seeds,
            report_size=sizes.report * sizes.seeds,
            positive_share=sizes.positive_share,
            seed=seed,
        ),
        task,
    )
    with new_folder(folder, clean=True) as making:
        for number in range(sizes.seeds):
            splits = {
                "dev": _dev(pool["dev"][number * drawn : (number + 1) * drawn], sizes),
                "report": pool["report"][number * sizes.report : (number + 1) * sizes.report],
            }
            begin = number * sizes.socrates // sizes.seeds
            turned = [*pool["train"][begin:], *pool["train"][:begin]]
            scarce = _first(turned, sizes.train, sizes.positive_share)
            for name, train in (("seed", scarce), ("gold", pool["train"])):
                where = making / f"{name}-{number}" / FORMAT_OF_TASK[task]
                write_splits(where, task, {"train": train, **splits})


class ScarceFiles(NamedTuple):
    """The files of a data set that `write_scarce_tasks` wrote.

    Attributes:
        task_name: the benchmark's task whose format they have.
        data_dir: folder of train and dev files, as commands take it.
        report_file: file of the report split.
    """

    task_name: str
    data_dir: Path
    report_file: Path


def scarce_files(folder: Path, task: str, name: str) -> ScarceFiles:
    """Return the files of a data set.

    Args:
        folder: the folder of `write_scarce_tasks`.
        task: the task.
        name: the data set, `seed-<k>` or `gold-<k>`.
    """
    task_name, where = FORMAT_OF_TASK[task], folder / name
    return ScarceFiles(task_name, where, where / task_name / _REPORT_FILE)


def open_scarce_task(
    folder: Path, task: str, name: str, vocabulary: Vocabulary, max_length: int
) -> AgoraTask:
    """Open a data set that `write_scarce_tasks` wrote, with a sealed report split.

    Args:
        folder: the folder of `write_scarce_tasks`.
        task: the task.
        name: the data set, `seed-<k>` or `gold-<k>`.
        vocabulary: the vocabulary that tokenises the examples.
        max_length: maximum tokens in an input.

    Raises:
        InputError: the data set is missing.
    """
    task_name, where, report = scarce_files(folder, task, name)
    data = open_task_data(
        get_task(task_name), vocabulary, TaskOptions(), max_length, data_dir=where
    )
    return open_agora_task(data, max_length, share=0.2, seed=0, report_file=report)


def _dev(drawn: List[GeneratedExample], sizes: ScarceSizes) -> List[GeneratedExample]:
    if sizes.dev_from == "any":
        return drawn
    drawn = sorted(drawn, key=lambda one: sum(map(len, one.texts)))
    return _first(drawn, sizes.dev, sizes.positive_share)


def _first(
    examples: Sequence[GeneratedExample], count: int, positive_share: float
) -> List[GeneratedExample]:
    """Return the first `count` examples that have the given share of positive ones."""
    positive = round(count * positive_share)
    left = {True: positive, False: count - positive}
    found = []
    for example in examples:
        if left[example.is_positive]:
            left[example.is_positive] -= 1
            found.append(example)
    return found
