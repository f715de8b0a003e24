"""Finding a task's files, the original's task classes, and the cache of tokenised sets."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bort.errors import InputError
from bort.tasks import features as features_module
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.classification import TASK_CLASSES, BoolQTask, MNLITask, MultiRCTask, STSBTask
from data.tasks import cache as task_cache
from data.tasks.cache import tokenise_cached
from data.tasks.files import SAMPLE_FOLDER, find_split, read_items
from tests.tasks.task_samples import CLASSIFIED, VOCABULARY


@pytest.mark.parametrize("layout", ["{suite}/{folder}", "{folder}", "{cache}"])
@pytest.mark.parametrize("task", CLASSIFIED, ids=lambda task: task.name)
def test_a_named_folder_may_have_any_of_the_usual_layouts(task, layout, tmp_path):
    values = {"suite": task.suite, "folder": task.folder, "cache": task.cache_folder}
    target = tmp_path / layout.format(**values)
    source = SAMPLE_FOLDER if task.suite == "RACE" else SAMPLE_FOLDER / task.suite
    shutil.copytree(source / task.folder, target)
    for split in task.splits:
        assert find_split(task, split, tmp_path).exists()
        assert find_split(task, split, target).exists()


@pytest.mark.parametrize("task", CLASSIFIED, ids=lambda task: task.name)
def test_by_default_gluonnlp_s_cache_is_looked_into(task, tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    source = SAMPLE_FOLDER if task.suite == "RACE" else SAMPLE_FOLDER / task.suite
    shutil.copytree(source / task.folder, tmp_path / "datasets" / task.cache_folder)
    assert len(read_items(task, task.splits[0].name)) >= 8


def test_the_two_rte_share_a_folder_s_name(tmp_path):
    for suite in ("GLUE", "SuperGLUE"):
        for file in (SAMPLE_FOLDER / suite / "RTE").iterdir():
            (tmp_path / "RTE").mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / "RTE")
    assert "sentence1" in read_items(get_task("RTE"), "train", tmp_path)[0].fields
    assert "premise" in read_items(get_task("SuperGLUE-RTE"), "train", tmp_path)[0].fields


def test_missing_data_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    found = "CoLA: found no train.tsv in .*glue_cola; "
    expected = found + r".*download_tasks.*--data_dir.*--sample if the command has it$"
    with pytest.raises(InputError, match=expected):
        read_items(get_task("CoLA"), "train")
    with pytest.raises(InputError, match="found no train/high in"):
        read_items(get_task("RACE-H"), "train", tmp_path)


def test_files_in_a_folder_of_another_name_are_not_taken_for_the_task_s(tmp_path):
    shutil.copytree(SAMPLE_FOLDER / "GLUE" / "CoLA", tmp_path / "mine")
    expected = r"CoLA: .*/mine holds a train.tsv, but .* move the files to .*/mine/CoLA$"
    with pytest.raises(InputError, match=expected):
        read_items(get_task("CoLA"), "train", tmp_path / "mine")


def test_the_original_s_way_to_load_a_task(tmp_path, monkeypatch):
    monkeypatch.setenv("MXNET_HOME", str(tmp_path))
    shutil.copytree(SAMPLE_FOLDER / "SuperGLUE/BoolQ", tmp_path / "datasets/superglue_boolq")
    task = BoolQTask()
    rows = task.dataset_train()[1]
    assert task.dataset_train()[0] == "train"
    assert len(rows) == 24
    passage, question, label = rows[0]
    assert passage.endswith("every year.")
    assert question.startswith("did ")
    assert label == "false"
    assert task.class_labels == ["false", "true"]
    assert len(task.dataset_test()[1][0]) == 2


def test_the_task_classes_are_views_of_the_table():
    assert [view.name for view in TASK_CLASSES] == [task.name for task in CLASSIFIED]
    assert len({view.__name__ for view in TASK_CLASSES}) == 22
    dev = MNLITask(sample=True).dataset_dev()
    assert [name for name, _ in dev] == ["dev_matched", "dev_mismatched"]
    assert [name for name, _ in MNLITask(sample=True).dataset_test()] == [
        "test_matched",
        "test_mismatched",
    ]
    assert STSBTask(sample=True).class_labels is None
    assert isinstance(STSBTask(sample=True).dataset_dev()[1][0][2], float)
    answers, labels = MultiRCTask(sample=True).dataset_train()[1][0][2:]
    assert len(answers) == len(labels) == 4
    for view in TASK_CLASSES:
        task = view(SAMPLE_FOLDER)
        assert task.metrics == list(task.record.metrics)
        assert task.is_pair == (view.name not in ("CoLA", "SST-2"))
        assert task.output_format in ("tsv", "jsonl")
        assert task.dataset_test()


def test_a_diagnostic_has_no_training_rows():
    from data.classification import AXbTask

    with pytest.raises(InputError, match="AX-b: has no split 'train', it has test"):
        AXbTask(sample=True).dataset_train()


def test_public_gold_is_read_only_when_asked_for():
    items = read_items(get_task("AX-g"), "test", sample=True, with_gold=True)
    assert {item.label for item in items} == {"not_entailment", "entailment"}
    assert [item.fields["pair_id"] for item in items] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert read_items(get_task("RACE-H"), "test", sample=True, with_gold=True)[0].label == "A"
    with pytest.raises(InputError, match="CoLA: the labels of its test file are not public"):
        read_items(get_task("CoLA"), "test", sample=True, with_gold=True)


@pytest.fixture
def inputs():
    task = get_task("MultiRC")
    return make_inputs(task, read_items(task, "dev", sample=True), TaskOptions())


def assert_same(first, second):
    for name in ("tokens", "offsets", "labels", "item_numbers", "choices"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
    for name in ("truncated", "dropped_tokens", "vocabulary_fingerprint", "fingerprint"):
        assert getattr(first, name) == getattr(second, name)


def test_a_set_is_tokenised_once(inputs, tmp_path, monkeypatch, caplog):
    expected = tokenise(inputs, VOCABULARY, 40)
    assert expected.truncated > 0
    named = tokenise_cached(inputs, VOCABULARY, 40, tmp_path, name="RTE dev")
    assert_same(named, expected)
    (line,) = caplog.messages
    assert line.startswith(f"RTE dev: {expected.truncated} of {len(inputs)} inputs were shortened")

    def fail(*arguments):
        raise AssertionError("tokenised again")

    monkeypatch.setattr(task_cache, "tokenise", fail)
    assert_same(tokenise_cached(inputs, VOCABULARY, 40, tmp_path), expected)
    with pytest.raises(AssertionError):
        tokenise_cached(inputs, VOCABULARY, 41, tmp_path)
    with pytest.raises(AssertionError):
        tokenise_cached(inputs[:-1], VOCABULARY, 40, tmp_path)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "record", "unfinished"])
def test_a_damaged_set_is_made_again(inputs, tmp_path, damage, caplog):
    expected = tokenise_cached(inputs, VOCABULARY, 40, tmp_path)
    (folder,) = tmp_path.iterdir()
    file = folder / "tokens.npy"
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[:-4])
    elif damage == "remove":
        file.unlink()
    elif damage == "record":
        (folder / "features.json").write_text("{}", encoding="utf-8")
    else:
        (folder / "features.json").unlink()
    assert_same(tokenise_cached(inputs, VOCABULARY, 40, tmp_path), expected)
    assert ("made again" in caplog.text) == (damage != "unfinished")
    caplog.clear()
    assert_same(tokenise_cached(inputs, VOCABULARY, 40, tmp_path), expected)
    assert "made again" not in caplog.text


def test_nothing_is_kept_without_a_folder(inputs):
    assert_same(
        tokenise_cached(inputs, VOCABULARY, 40), features_module.tokenise(inputs, VOCABULARY, 40)
    )
