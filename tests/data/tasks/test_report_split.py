"""A task made ready for Agora: where the report split comes from."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.report_split import open_agora_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data


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
