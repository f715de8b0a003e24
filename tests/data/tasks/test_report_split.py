"""A task made ready for Agora: where the report split comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.agora.task_data import check_agora_learns
from bort.errors import InputError
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import DescribeConfig
from bort.tasks.own.task_file import write_task_file
from bort.tasks.records import REPORT, get_task
from data.tasks.files import read_items
from data.tasks.own_description import describe_files, resolve_task
from data.tasks.report_split import open_agora_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data
from tests.experiments.small_model.small_model_samples import write_task

TOPICS = Path(__file__).parents[3] / "test_data" / "own_task" / "topics.jsonl"


@pytest.fixture(scope="module")
def rte():
    vocabulary = train_sample_vocabulary()
    return open_task_data(get_task("RTE"), vocabulary, TaskOptions(), 64, sample=True)


def test_a_carved_split_is_known_by_what_it_holds(rte):
    task = open_agora_task(rte, 64, share=0.2, seed=0)
    again = open_agora_task(rte, 64, share=0.2, seed=0)
    other = open_agora_task(rte, 64, share=0.2, seed=1)
    assert task.is_carved
    assert task.data.held_out == task.report_key == again.report_key != other.report_key
    assert rte.held_out is None


def test_an_empty_report_file_is_named(rte, tmp_path):
    path = tmp_path / "report.tsv"
    path.write_text("index\tsentence1\tsentence2\tlabel\n")
    with pytest.raises(InputError, match=r"report\.tsv: "):
        open_agora_task(rte, 64, share=0.2, seed=0, report_file=path)
    path.write_text("index\tsentence1\tsentence2\tlabel\n0\tIt rained.\tIt was wet.\tentailment\n")
    task = open_agora_task(rte, 64, share=0.2, seed=0, report_file=path)
    assert not task.is_carved
    assert len(task.report) == 1


def test_a_report_file_with_a_training_example_is_named(rte, tmp_path):
    path = tmp_path / "report.tsv"
    texts = "\t".join(rte.train.items[1].text(name) for name in ("sentence1", "sentence2"))
    path.write_text(f"index\tsentence1\tsentence2\tlabel\n0\t{texts}\tentailment\n")
    with pytest.raises(InputError, match=r"report\.tsv: training data: example 1 is in the report"):
        open_agora_task(rte, 64, share=0.2, seed=0, report_file=path)


def test_with_a_report_file_no_rows_of_an_own_task_are_drawn_for_the_report(tmp_path):
    data, file = str(write_task(tmp_path / "mine.csv", 200)), tmp_path / "task.json"
    drawn = resolve_task(data)
    write_task_file(file, drawn)
    for name in (data, str(file)):
        task = resolve_task(name, report_file=write_task(tmp_path / "end.csv", 20, seed=9))
        assert [split.name for split in task.splits] == ["train", "dev"]
        assert len(read_items(task, "train")) + len(read_items(task, "dev")) == 200
        assert read_items(task, "dev") == read_items(drawn, "dev")
        both = [*read_items(drawn, "train"), *read_items(drawn, "report")]
        assert read_items(task, "train") == sorted(both, key=lambda item: item.index)
    config = DescribeConfig(report=str(tmp_path / "end.csv"))
    own = describe_files(Path(data), config).task
    write_task_file(file, own)
    assert resolve_task(str(file), report_file="other.csv").splits_of(REPORT), "a file of its own"
    assert resolve_task("RTE", report_file="other.csv") is resolve_task("RTE")


def test_several_labels_have_a_sealed_report_split_too_but_agora_does_not_learn_them():
    reading = {"text_columns": ("message",), "label_column": "topics"}
    for share, is_carved in ((0.1, False), (0.0, True)):
        record = describe_files(TOPICS, DescribeConfig(report_share=share, **reading)).task
        data = open_task_data(record, train_sample_vocabulary(), TaskOptions(), 64)
        task = open_agora_task(data, 64, share=0.2, seed=0)
        assert task.is_carved == is_carved
        held = {"billing": 4, "delivery": 2, "repair": 1}
        assert [point.label for point in task.training] == [
            sum(held[label] for label in item.label) for item in task.data.train.items
        ]
        task.report.fix_winner("x")
        assert task.open_report().features.labels.shape == (len(task.report_items), 3)
        with pytest.raises(InputError, match="task is 'topics', whose texts have several labels"):
            check_agora_learns(record)
    check_agora_learns(get_task("RTE"))
    with pytest.raises(InputError, match="task is 'SQuAD1.1', whose answers are spans"):
        check_agora_learns(get_task("SQuAD1.1"))
