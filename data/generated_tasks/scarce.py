"""A generated task, scarce for Timaeus, plentiful for Socrates, with splits for several seeds.

All come from one pool, so that no example of any split is in another split, of any seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from bort.agora.task_data import AgoraTask
from bort.errors import InputError
from bort.storage.files import new_folder
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.vocabulary import Vocabulary
from data.generated_tasks.tasks import (
    FORMATS,
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
    """How many of what.

    Attributes:
        train: gold examples that Timaeus has.
        dev: dev examples of each seed.
        report: examples of each seed's honest score.
        socrates: gold examples that Socrates learns from; those of `train` are among them.
        seeds: sets of scarce data.
        positive_share: share of label 1 in every split.
        dev_from: where dev examples come from: any, or the shortest of eight times as many, which
            then stand for less than what training and report splits hold.
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
    """Write the files below a folder that is there afterwards as a whole, or not at all.

    `seed-<k>` holds scarce gold data, `gold-<k>` all gold data of Socrates with the same dev and
    report splits, each in the layout that `data_dir` takes.

    Raises:
        InputError: a task that is not there, or has not so many different examples.
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
                where = making / f"{name}-{number}" / FORMATS[task]
                write_splits(where, task, {"train": train, **splits})


def open_scarce_task(
    folder: Path, task: str, name: str, vocabulary: Vocabulary, max_length: int
) -> AgoraTask:
    """What `write_scarce_tasks` wrote as `name`; its report split is sealed.

    Raises:
        InputError: it is not there.
    """
    where = folder / name
    data = open_task_data(
        get_task(FORMATS[task]), vocabulary, TaskOptions(), max_length, data_dir=where
    )
    report = where / FORMATS[task] / _REPORT_FILE
    return open_agora_task(data, max_length, share=0.2, seed=0, report_file=report)


def _dev(drawn: List[GeneratedExample], sizes: ScarceSizes) -> List[GeneratedExample]:
    if sizes.dev_from == "any":
        return drawn
    drawn = sorted(drawn, key=lambda one: sum(map(len, one.texts)))
    return _first(drawn, sizes.dev, sizes.positive_share)


def _first(
    examples: Sequence[GeneratedExample], count: int, positive_share: float
) -> List[GeneratedExample]:
    """The first examples of each side, so many as the share says."""
    positive = round(count * positive_share)
    left = {True: positive, False: count - positive}
    found = []
    for example in examples:
        if left[example.is_positive]:
            left[example.is_positive] -= 1
            found.append(example)
    return found
