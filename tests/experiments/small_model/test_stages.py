"""The graph of a small model: what each stage depends on, and what changes its key."""

import dataclasses

import pytest

from bort.stages.plan import plan_of
from bort.stages.stage import StageWork
from bort.tasks.own.config import OwnDataConfig
from bort.training import arithmetic
from data.tasks.own_description import resolve_task
from experiments.small_model import students
from experiments.small_model.agora import train_on_new_examples, with_new_examples
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.job import StageJob, read_scores, write_scores
from experiments.small_model.latency import MARGIN, search_limit
from experiments.small_model.plan import STAGES, make_time_plan
from experiments.small_model.stages import INPUTS, RUNS, STAGE_SETTINGS, small_model_stages
from experiments.small_model.students import prepare_teacher
from experiments.small_model.task import open_small_task
from tests.experiments.small_model.small_model_samples import write_task, write_teacher


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    write_teacher(folder / "teacher", "2-2-32-64")
    write_task(folder / "task.csv", 200)
    return folder


def config(given, **changes):
    return SmallModelConfig(
        teacher=str(given / "teacher"),
        task_name=str(given / "task.csv"),
        **{
            "output_dir": str(given / "out"),
            "hours": "2",
            "speed_up": 2.0,
            "max_len": 32,
            "engine": "mxnet",
            **changes,
        },
    )


def opened(given, **changes):
    settings = config(given, **changes)
    return open_small_task(resolve_task(settings.task_name, OwnDataConfig()), settings), settings


def planned(given, **changes):
    task, settings = opened(given, **changes)
    plan = make_time_plan(settings.seconds, with_agora=settings.agora != "never")
    stages = small_model_stages(settings, task, plan, dict, given / "answers")
    return {one.name: one for one in plan_of(stages)}


def test_every_stage_of_the_plan_is_described():
    assert set(STAGE_SETTINGS) == set(INPUTS) == set(STAGES)
    assert set(RUNS) == set(STAGES) - {"latency"}
    known = {field.name for field in dataclasses.fields(SmallModelConfig)}
    assert {name for names in STAGE_SETTINGS.values() for name in names} <= known


def test_a_stage_comes_behind_its_inputs(given):
    found = planned(given)
    assert list(found) == [name for name in STAGES if name in found]
    assert set(found["export"].inputs) == {"latency", "student", "truncated", "agora"}
    assert "agora" not in planned(given, agora="never")["export"].inputs


def changed(given, **changes):
    before, after = planned(given), planned(given, **changes)
    return {name for name in before if before[name].settings != after[name].settings}


def test_a_limit_changes_no_teacher(given):
    assert "teacher" not in changed(given, speed_up=3.0)
    assert "super_network" not in changed(given, speed_up=3.0)
    assert {"latency", "search"} <= changed(given, speed_up=3.0)


def test_the_allowed_loss_concerns_the_export_alone(given):
    assert changed(given, precision_loss=0.1) == {"export"}


def test_where_the_output_is_concerns_nothing(given):
    assert changed(given, output_dir=str(given / "elsewhere")) == set()


def test_the_arithmetic_concerns_what_is_trained(given, monkeypatch):
    trained = {"teacher", "super_network", "student", "truncated", "agora"}
    flags = ["avx512_bf16"]
    monkeypatch.setattr(arithmetic, "processor_flags", lambda: flags)
    assert changed(given, math="exact") == trained
    assert changed(given, math="fast") == set(), "auto is fast here"
    before = planned(given)
    flags.clear()  # the run goes on elsewhere
    after = planned(given)
    assert {n for n in before if before[n].settings != after[n].settings} == trained
    assert changed(given, math="exact") == set(), "auto is exact there"


def test_more_hours_concern_what_is_trained(given):
    names = changed(given, hours="3")
    assert names == {"teacher", "super_network", "student", "truncated", "agora"}


def test_the_search_keeps_a_tighter_limit(given):
    assert search_limit(config(given)).speed_up == 2.0 * MARGIN
    slow = config(given, speed_up=None, latency_ms=5.0)
    assert search_limit(slow).latency_ms == 5.0 / MARGIN
    few = config(given, speed_up=None, parameters=100)
    assert search_limit(few) == few.limit


def test_the_task_is_split_once_and_its_report_split_is_closed(given):
    task, _ = opened(given)
    facts = task.described()
    assert facts["rows"] == facts["train"] + facts["dev"] + facts["report"] == 200
    assert facts["report"] > 0
    texts = {item.text("text") for item in task.data.train.items}
    assert not texts & {item.text("text") for item in task.whole.report_items}
    assert 0 < task.usual_length <= max(task.data.train.features.lengths)


def test_new_examples_are_none_of_the_dev_and_report_split(given):
    task, settings = opened(given)
    data = with_new_examples(StageJob(settings, task, 1.0, given / "answers"))
    assert data.unlabelled is not None
    assert len(data.unlabelled.features) == len(data.unlabelled.items) > len(data.train.items)
    dev = {tuple(data.dev[0].features[n].tolist()) for n in range(len(data.dev[0].features))}
    new = {tuple(data.unlabelled.features[n].tolist()) for n in range(len(data.unlabelled.items))}
    assert not dev & new
    again = with_new_examples(StageJob(settings, task, 1.0, given / "answers"))
    assert again.unlabelled.features.fingerprint == data.unlabelled.features.fingerprint


def test_a_report_file_takes_the_place_of_a_part_of_the_training_data(given):
    file = write_task(given / "report.csv", 40, seed=9)
    task, _ = opened(given, report_file=str(file))
    assert task.described()["report"] == 40
    assert opened(given)[0].described()["report"] != 40
    before, after = planned(given), planned(given, report_file=str(file))
    assert {name for name in before if before[name].sources != after[name].sources} == set(before)
    assert changed(given, report_file=str(file)) == set(), "its path is in no key"


def test_nothing_is_learnt_from_texts_of_a_report_file(given, caplog):
    file = write_task(given / "report.csv", 40, seed=9)
    task, _ = opened(given, report_file=str(file))
    known, new = task.whole.report_items[0].text("text"), "a new song of a cold river"
    more = given / "more.txt"
    more.write_text(f"{known.upper()}!\n{new}\n")
    with caplog.at_level("INFO"):
        task, _ = opened(given, report_file=str(file), unlabelled=str(more))
    assert task.data.unlabelled is not None
    assert [item.text("text") for item in task.data.unlabelled.items] == [new]
    assert "more.txt line 1: is in the report split (left out)" in caplog.text


def test_new_examples_come_behind_the_texts_without_labels(given):
    more = given / "further.txt"
    more.write_text("a new song of a cold river\n")
    task, settings = opened(given, unlabelled=str(more))
    data = with_new_examples(StageJob(settings, task, 1.0, given / "answers"))
    assert data.unlabelled is not None
    assert len(data.unlabelled.items) == len(data.unlabelled.features) > len(data.train.items)
    assert data.unlabelled.features[0].tolist() == task.data.unlabelled.features[0].tolist()
    assert data.unlabelled.features.truncated >= 0, "a run records it"


def test_texts_without_labels_are_none_of_the_teachers_own_training(given, tmp_path, monkeypatch):
    """They have no teacher there, whose outputs they would learn."""
    more = tmp_path / "further.txt"
    more.write_text("a new song of a cold river\n")
    task, settings = opened(given, unlabelled=str(more))
    trained = []
    monkeypatch.setattr(
        students, "finetune_by_clock", lambda job, data, *_, **__: trained.append(data)
    )
    prepare_teacher(
        StageJob(settings, task, 10.0, tmp_path), StageWork(tmp_path, {}, lambda: False, {})
    )
    assert [data.unlabelled for data in trained] == [None]
    assert trained[0].train is task.data.train
    before, after = planned(given), planned(given, unlabelled=str(more))
    assert {one for one in before if before[one].sources == after[one].sources} == {"teacher"}


def test_without_time_the_student_stays_as_it_is(given, tmp_path, caplog):
    task, settings = opened(given)
    student, own = tmp_path / "student", tmp_path / "own"
    (student / "model").mkdir(parents=True)
    (student / "model" / "model.json").write_text("{}")
    write_scores(student, {"dev": {"accuracy": 0.8}, "steps": 120, "parameters": 7})
    own.mkdir()
    work = StageWork(own, {"student": student}, lambda: False, {})
    for _ in range(2):  # also after a kill
        with caplog.at_level("INFO"):
            train_on_new_examples(StageJob(settings, task, 0.0, tmp_path / "answers"), work)
        assert read_scores(own) == {
            **{"dev": {"accuracy": 0.8}, "without": {"accuracy": 0.8}, "parameters": 7},
            **{"steps": 0, "examples": 0},
        }
        assert (own / "model" / "model.json").read_text() == "{}"
    assert "there is no time for new examples" in caplog.messages
    assert not (tmp_path / "answers").exists(), "the teacher was not asked"
