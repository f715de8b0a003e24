"""Opening the data of a task: which missing file is reported, and how."""

from __future__ import annotations

import logging
import shutil

import pytest

from bort.errors import InputError
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.files import SAMPLE_FOLDER
from data.tasks.sets import open_task_data
from tests.tasks.task_samples import VOCABULARY

MAX_LENGTH = 64


@pytest.mark.parametrize("missing", ["train.tsv", "dev.tsv"])
def test_missing_training_or_dev_data_is_the_only_report(missing, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "CoLA"
    shutil.copytree(SAMPLE_FOLDER / "GLUE" / "CoLA", folder)
    (folder / missing).unlink()
    (folder / "test.tsv").unlink()
    with pytest.raises(InputError, match=f"CoLA: found no {missing} in"):
        open_task_data(get_task("CoLA"), VOCABULARY, TaskOptions(), MAX_LENGTH, data_dir=tmp_path)
    assert caplog.messages == []


def test_a_missing_test_set_is_left_out_and_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    shutil.copytree(SAMPLE_FOLDER / "GLUE" / "CoLA", tmp_path / "CoLA")
    (tmp_path / "CoLA" / "test.tsv").unlink()
    data = open_task_data(
        get_task("CoLA"), VOCABULARY, TaskOptions(), MAX_LENGTH, data_dir=tmp_path
    )
    assert list(data.test) == []
    (message,) = caplog.messages
    assert message.startswith("no predictions for test: CoLA: found no test.tsv in")


def test_the_sample_and_a_folder_exclude_each_other(tmp_path):
    with pytest.raises(InputError, match=r"^sample and data_dir \(.*\) are both given, allowed"):
        open_task_data(
            get_task("CoLA"),
            VOCABULARY,
            TaskOptions(),
            MAX_LENGTH,
            data_dir=tmp_path,
            sample=True,
        )
