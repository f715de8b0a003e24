"""The time of a training: a trial, and no more epochs than asked for."""

import logging

import pytest

from bort.errors import InputError
from bort.network.head import ONE_LINEAR, RELEASE, HeadDescription
from experiments.small_model import training
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.training import (
    GRANTED_FILE,
    as_hours,
    granted_seconds,
    head_kind,
    importance_batches,
    remove_remains_of_training,
    teacher_epochs,
)


def config(hours="2", **changes):
    given = {"teacher": "t", "task_name": "x.csv", "output_dir": "o", "speed_up": 2.0}
    return SmallModelConfig(**given, hours=hours, **changes)


@pytest.mark.parametrize(("rows", "epochs"), [(10, 20), (6_592, 9), (67_349, 3)])
def test_a_teacher_of_few_rows_has_more_epochs(rows, epochs):
    assert teacher_epochs(rows) == epochs


def test_a_short_run_measures_importance_on_fewer_batches():
    assert [importance_batches(config(hours)) for hours in ("60s", "20m", "2")] == [1, 2, 8]


def test_no_time_is_a_second():
    assert as_hours(0.0) == "1.000s"
    assert as_hours(12.34) == "12.340s"


def test_the_student_has_the_kind_of_head_of_its_teacher():
    assert head_kind(None) == "release"
    assert head_kind(HeadDescription(RELEASE, 2)) == "release"
    assert head_kind(HeadDescription(ONE_LINEAR, 2)) == "paper"


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(training.time, "monotonic", lambda: self.now)


def test_a_trial_tells_the_time_of_all_steps(monkeypatch):
    clock = Clock(monkeypatch)
    trial = training._Trial(1_000.0, lambda: False)
    over = []
    for _ in range(30):
        over.append(trial.is_over())
        if over[-1]:
            break
        clock.now += 1.0
    # Two untimed steps, then ten seconds.
    assert len(over) == 13
    assert trial.seconds_of(100) == pytest.approx(115.0)
    assert trial.seconds_of(10**6) == 1_000.0


def test_the_time_before_the_first_step_belongs_to_that_of_all_steps(monkeypatch):
    clock = Clock(monkeypatch)
    trial = training._Trial(1_000.0, lambda: False)
    clock.now += 40.0  # the teacher is asked
    while not trial.is_over():
        clock.now += 1.0
    assert clock.now == 52.0
    assert trial.seconds_of(100) == pytest.approx(155.0)
    assert trial.seconds_of(10**6) == 1_000.0


def test_a_trial_without_a_step_leaves_the_whole_time(monkeypatch):
    Clock(monkeypatch)
    trial = training._Trial(50.0, lambda: True)
    assert trial.is_over()
    assert trial.seconds_of(1) == 50.0


def test_what_only_a_training_needs_is_removed(tmp_path):
    for name in ("run/x", "trained/model/x", "start/x", "exports/x", "model/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    (tmp_path / GRANTED_FILE).write_text("1")
    (tmp_path / "super_network").mkdir()
    (tmp_path / "super_network" / "used-seconds").write_text("1")
    remove_remains_of_training(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "super_network"]
    assert not list((tmp_path / "super_network").iterdir())
    remove_remains_of_training(tmp_path)


def test_granted_seconds_are_a_number(tmp_path):
    path = tmp_path / GRANTED_FILE
    path.write_text("12.5\n")
    assert granted_seconds(path) == 12.5
    for damage in ("{}", '"long"', "-1", "[1]", "1e999", "x"):
        path.write_text(damage)
        with pytest.raises(InputError, match=f"{GRANTED_FILE}: "):
            granted_seconds(path)


def test_a_trial_announces_nothing_but_warnings(caplog):
    log = logging.getLogger("bort.gluon.training.loop")
    with caplog.at_level(logging.INFO):
        with training.unannounced(training._ANNOUNCING):
            log.info("stopped after step 11 as asked; --resume continues")
            log.warning("the loss is large")
            logging.getLogger("bort.process.progress").info("teacher's outputs: 1/2")
        log.info("epoch 1")
    assert caplog.messages == ["the loss is large", "teacher's outputs: 1/2", "epoch 1"]


def test_a_training_after_its_trial_does_not_tell_what_the_trial_changed(caplog):
    with caplog.at_level(logging.INFO), training.unannounced(training._CLAIMING):
        logging.getLogger("bort.storage.run_claim").info("hours was 4s and is 2s now")
        logging.getLogger("bort.storage.run_folder").info("holds no checkpoint yet")
        logging.getLogger("bort.gluon.finetuning.folder_run").info("epoch 1: accuracy 0.9")
    assert caplog.messages == ["epoch 1: accuracy 0.9"]
