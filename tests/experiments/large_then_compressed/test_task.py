"""The splits of the task: disjoint, seeded, and with a reported one that chooses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Set, Tuple

import pytest

from bort.tasks.records import get_task
from bort.text.pair_form import ROBERTA_PAIRS
from bort.text.vocabulary import Vocabulary
from data.readers.glue import read_glue
from data.tasks.files import SAMPLE_FOLDER
from data.tasks.sample_vocabulary import train_sample_vocabulary
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.task import open_experiment_task, prepare_task
from tests.experiments.large_then_compressed.samples import tiny


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train_sample_vocabulary()


def splits(config: LargeConfig, folder: Path, words: Vocabulary) -> Tuple[List[Any], ...]:
    """Return the items that train, those that choose and those that are reported."""
    folder.mkdir()
    prepare_task(config, folder)
    data, reported = open_experiment_task(config, folder, words, ROBERTA_PAIRS)
    assert data.test == []
    return (
        list(data.train.items),
        [item for one in data.dev for item in one.items],
        [item for one in reported for item in one.items],
    )


def texts(items: List[Any]) -> Set[str]:
    return {repr(sorted(item.fields.items())) for item in items}


def glue(task: str, **changes: object) -> LargeConfig:
    changes = {"task": task, "data_dir": str(SAMPLE_FOLDER / "GLUE"), **changes}
    return tiny(choice_share=0.3, max_seq_length=64, **changes)


def test_a_generated_task_has_three_sets_without_a_common_example(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    train, choose, report = splits(tiny(), tmp_path / "one", vocabulary)
    assert (len(train), len(choose), len(report)) == (32, 16, 16)
    assert len(texts(train) | texts(choose) | texts(report)) == 64
    again = splits(tiny(), tmp_path / "two", vocabulary)
    assert [texts(one) for one in again] == [texts(train), texts(choose), texts(report)]
    other = splits(tiny(seed=1), tmp_path / "three", vocabulary)
    assert texts(other[2]) != texts(report)


@pytest.mark.parametrize("task", ["CoLA", "STS-B", "MNLI"])
def test_the_dev_set_of_a_glue_task_is_reported_and_chooses_nothing(
    task: str, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    train, choose, report = splits(glue(task), tmp_path / "one", vocabulary)
    assert train, "there is something to learn"
    assert choose, "there is something to choose by"
    assert not texts(choose) & (texts(train) | texts(report))
    record = get_task(task)
    for split, items in (("train", [*train, *choose]), ("dev", report)):
        files = [one for one in record.splits if one.role == split]
        read = sum(len(read_glue(record, one, _file(record, one))) for one in files)
        assert len(items) == read, "no example is lost"
    other = splits(glue(task, seed=7), tmp_path / "two", vocabulary)
    assert texts(other[2]) == texts(report)
    assert texts(other[1]) != texts(choose)


def _file(record: Any, split: Any) -> Path:
    folder = SAMPLE_FOLDER / "GLUE" / record.folder
    return next(folder / name for name in split.files if (folder / name).exists())


def test_sst_2_keeps_its_last_example(tmp_path: Path) -> None:
    """The official files have 67,349 and 872 examples; StagedML loses the remainder of a batch."""
    record = get_task("SST-2")
    for split, count in (("train", 67_349), ("dev", 872)):
        path = tmp_path / f"{split}.tsv"
        lines = "".join(f"it is number {number}\t{number % 2}\n" for number in range(count))
        path.write_text("sentence\tlabel\n" + lines)
        assert len(read_glue(record, record.split(split), path)) == count
