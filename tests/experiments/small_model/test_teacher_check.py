"""The teacher: folders that are none, damage, and models of another task."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.network_folder import read_network_folder
from bort.network.description import TaskDescription
from bort.network.head import HeadDescription
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import OwnDataConfig
from bort.tasks.own.task import definition_of
from bort.tasks.records import get_task
from bort.text.vocabularies import load_vocabulary
from data.tasks.own_description import resolve_task
from experiments.small_model.teacher_check import (
    check_teacher,
    check_teacher_of_task,
    may_know_report,
)
from tests.experiments.small_model.small_model_samples import write_task, write_teacher

OPTIONS = TaskOptions()


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return write_teacher(tmp_path / "teacher")


def tune(folder: Path, labels: Any, task: Any = None, kind: str = "", classes: int = 0) -> Path:
    """Give a model folder a head, as a fine-tuning does."""
    network = read_network_folder(folder)
    head = HeadDescription("linear", classes or len(labels), tuple(labels), problem_type=kind)
    tuned = random_network(network.architecture, 0, head=head)
    described = tuned.description.replace(
        task=task, vocabulary_fingerprint=network.description.vocabulary_fingerprint
    )
    write_model_folder(folder, described, tuned.arrays)
    return folder


def test_an_encoder_fits_every_task(teacher: Path) -> None:
    found = check_teacher(str(teacher))
    assert not found.has_head
    assert found.architecture.depth == 4
    assert found.architecture.vocabulary_size == len(found.vocabulary)
    assert found.weight_bytes == 4 * found.architecture.parameter_count()
    check_teacher_of_task(found, get_task("SST-2"), OPTIONS)


@pytest.mark.parametrize("name", ["roberta-large", "microsoft/MiniLM-L12-H384-uncased"])
def test_a_name_of_the_hub_is_told_how_to_get_it(name: str) -> None:
    with pytest.raises(InputError, match=f"no such folder.*import_model.py --download {name} "):
        check_teacher(name)


def test_a_path_that_is_not_there_is_no_name_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder") as caught:
        check_teacher(str(tmp_path / "none"))
    assert "If this is a name" not in str(caught.value)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="which is a file; allowed is the folder of a model"):
        check_teacher(str(tmp_path / "model.bin"))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no weights to open"):
        check_teacher(str(tmp_path))


def test_a_teacher_of_too_few_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 4 parts of other depths and widths; needed are 5"):
        check_teacher(str(write_teacher(tmp_path / "tiny", "1-2-16-32")))
    check_teacher(str(write_teacher(tmp_path / "small", "2-2-16-32")))


def test_files_may_be_links_and_folders_may_not(teacher: Path, tmp_path: Path) -> None:
    linked = tmp_path / "snapshot"
    shutil.copytree(teacher, linked, copy_function=os.symlink)
    assert check_teacher(str(linked)).architecture == check_teacher(str(teacher)).architecture
    (linked / "more").symlink_to(teacher)
    with pytest.raises(InputError, match="snapshot/more: is a link, allowed are files and folders"):
        check_teacher(str(linked))


def test_damaged_weights_are_found(teacher: Path) -> None:
    path = teacher / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="model.safetensors"):
        check_teacher(str(teacher))


def test_another_vocabulary_is_found(teacher: Path) -> None:
    path = teacher / "model.json"
    network = read_network_folder(teacher)
    fewer = network.architecture.replace(vocabulary_size=network.architecture.vocabulary_size - 1)
    other = random_network(fewer, 0)
    write_model_folder(teacher, other.description, other.arrays)
    assert json.loads(path.read_text())["architecture"]["vocabulary_size"] == fewer.vocabulary_size
    with pytest.raises(InputError, match="vocabulary"):
        check_teacher(str(teacher))


def test_a_vocabulary_with_far_fewer_tokens_is_doubted(teacher: Path) -> None:
    network = read_network_folder(teacher)
    tokens = network.architecture.vocabulary_size
    assert check_teacher(str(teacher)).notes == ()
    for rows, is_doubted in ((int(1.04 * tokens), False), (2 * tokens, True)):
        wider = random_network(network.architecture.replace(vocabulary_size=rows), 0)
        described = wider.description.replace(
            vocabulary_fingerprint=network.description.vocabulary_fingerprint
        )
        write_model_folder(teacher, described, wider.arrays)
        notes = check_teacher(str(teacher)).notes
        assert len(notes) == is_doubted
        assert not notes or f"has {rows} tokens, its vocabulary {tokens}: " in notes[0]


def test_a_teacher_of_the_task_is_taken(teacher: Path) -> None:
    tune(teacher, ("0", "1"), TaskDescription("SST-2", OPTIONS.as_dict(), held_out="0" * 64))
    found = check_teacher(str(teacher))
    assert found.has_head
    check_teacher_of_task(found, get_task("SST-2"), OPTIONS)


def test_a_teacher_that_may_know_the_report_split_is_told(teacher: Path, tmp_path: Path) -> None:
    key, other = "0" * 64, "1" * 64
    named = get_task("SST-2")

    def knows(task: Any, record: Any = named) -> bool:
        described = check_teacher(str(tune(teacher, record.labels, task))).description
        return may_know_report(described, record, key)

    assert not may_know_report(check_teacher(str(teacher)).description, named, key)
    assert knows(None)
    assert knows(TaskDescription("SST-2", OPTIONS.as_dict()))
    assert knows(TaskDescription("SST-2", OPTIONS.as_dict(), held_out=other))
    assert not knows(TaskDescription("SST-2", OPTIONS.as_dict(), held_out=key))

    path = str(write_task(tmp_path / "mine.csv"))
    mine, drawn = resolve_task(path), resolve_task(path, OwnDataConfig(split_seed=1))
    for record, expected in ((mine, False), (drawn, True)):
        task = TaskDescription("mine", OPTIONS.as_dict(), definition=definition_of(record))
        assert knows(task, mine) is expected
    write_task(tmp_path / "mine.csv", seed=3)
    assert knows(
        TaskDescription("mine", OPTIONS.as_dict(), definition=definition_of(mine)),
        resolve_task(path),
    )


def test_a_classifier_from_elsewhere_fits_by_its_labels(teacher: Path) -> None:
    tune(teacher, ("0", "1"))
    check_teacher_of_task(check_teacher(str(teacher)), get_task("SST-2"), OPTIONS)


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (("0", "1"), "CoLA", "fine-tuned on CoLA, the data are of SST-2; give the folder"),
        (("1", "0"), None, r"labels are \['1', '0'\], those of SST-2 are \['0', '1'\]"),
        (
            ("0", "1", "2"),
            None,
            r"are \['0', '1', '2'\], .* are \['0', '1'\]; give .* fine-tuning$",
        ),
    ],
)
def test_a_teacher_of_something_else_is_told_the_difference(
    teacher: Path, labels: Any, task: Any, message: str
) -> None:
    tune(teacher, labels, None if task is None else TaskDescription(task, OPTIONS.as_dict()))
    with pytest.raises(InputError, match=message):
        check_teacher_of_task(check_teacher(str(teacher)), get_task("SST-2"), OPTIONS)


def test_outputs_without_names_are_told(teacher: Path) -> None:
    tune(teacher, (), classes=2)
    with pytest.raises(InputError, match="labels are 2 outputs without names, those of SST-2"):
        check_teacher_of_task(check_teacher(str(teacher)), get_task("SST-2"), OPTIONS)


def test_outputs_of_a_hugging_face_folder_are_named_in_its_config(
    teacher: Path, tmp_path: Path
) -> None:
    network = read_network_folder(tune(teacher, ("bad", "good")))
    (tmp_path / "hf").mkdir()
    write_huggingface(tmp_path / "hf", network, load_vocabulary(teacher / "vocabulary"))
    (tmp_path / "hf" / "bort.json").unlink()  # as others publish a model
    with pytest.raises(InputError, match="config.json: the teacher's labels are .*, in its id2lab"):
        check_teacher_of_task(check_teacher(str(tmp_path / "hf")), get_task("SST-2"), OPTIONS)


def test_several_labels_at_once_do_not_fit_one(teacher: Path) -> None:
    tune(teacher, ("0", "1"), kind="multi_label_classification")
    with pytest.raises(InputError, match="problem_type is 'multi_label_classification'"):
        check_teacher_of_task(check_teacher(str(teacher)), get_task("SST-2"), OPTIONS)


def test_own_tasks_are_told_apart_by_name(teacher: Path, tmp_path: Path) -> None:
    mine = resolve_task(str(write_task(tmp_path / "mine.csv")))
    other = resolve_task(str(write_task(tmp_path / "other.csv")))
    described = TaskDescription(mine.name, OPTIONS.as_dict(), definition=definition_of(mine))
    tune(teacher, mine.labels, described)
    found = check_teacher(str(teacher))
    check_teacher_of_task(found, mine, OPTIONS)
    with pytest.raises(InputError, match="on mine, the data are of other; .* --name mine --output"):
        check_teacher_of_task(found, other, OPTIONS)


def test_labels_in_another_order_are_no_matter_of_names(teacher: Path, tmp_path: Path) -> None:
    mine = resolve_task(str(write_task(tmp_path / "mine.csv")))
    tune(teacher, mine.labels[::-1])
    with pytest.raises(InputError, match="list the labels in the teacher's order in a task file"):
        check_teacher_of_task(check_teacher(str(teacher)), mine, OPTIONS)
    ordered = dataclasses.replace(mine, labels=mine.labels[::-1])
    check_teacher_of_task(check_teacher(str(teacher)), ordered, OPTIONS)


def test_outputs_of_another_number_are_no_matter_of_names(teacher: Path, tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("\n".join(["text,label", *(f"text {n},{n / 7:.3f}" for n in range(40))]))
    tune(teacher, (), classes=3)
    with pytest.raises(InputError, match="are 3 outputs without names, .* fine-tuning$"):
        check_teacher_of_task(check_teacher(str(teacher)), resolve_task(str(path)), OPTIONS)
