"""Tests of pre-training runs: student, teacher, vocabulary and resuming."""

from __future__ import annotations

import dataclasses
import shutil

import mxnet as mx
import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.pretraining.run import build_student, run_pretraining
from bort.gluon.teacher.live import only_parameters
from bort.ranks import SingleProcess
from bort.teacher.source import TeacherSource
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from tests.gluon.pretraining.test_trainer import BASE, make_data
from tests.gluon.training.run_samples import contents, forget_setting, recorded
from tests.text.toy import ToyVocabulary


class Vocabulary(ToyVocabulary):
    def save(self, folder):
        folder.mkdir(exist_ok=True)


VOCABULARY = Vocabulary(60)


def build(**paths):
    return build_student(
        PretrainingPaths(data="unused", **paths), PretrainingConfig(), VOCABULARY, mx.cpu()
    )


def test_the_student_takes_the_size_of_the_vocabulary():
    assert build(architecture="2-2-16-32").architecture.vocabulary_size == 60


def test_the_seed_draws_the_initial_weights():
    one, same = build(architecture="1-2-16-32"), build(architecture="1-2-16-32")
    assert (one.embedding_weight.data() == same.embedding_weight.data()).asnumpy().all()


def run(folder, stop_at=0, resume=False, architecture="1-2-16-32", paths=None, **settings):
    config = dataclasses.replace(BASE, log_interval=2, **settings)
    data = make_data(config)
    asked = []
    return run_pretraining(
        PretrainingPaths(
            data="unused",
            ckpt_dir=str(folder),
            architecture=architecture,
            resume=resume,
            cpu_only=True,
            **{"teacher": TeacherSource("none"), **(paths or {})},
        ),
        config,
        data.train,
        data.validation,
        VOCABULARY,
        SingleProcess(),
        lambda: asked.append(1) or len(asked) == stop_at,
    )


@pytest.mark.parametrize("stop_at", [5, 7])
def test_a_resumed_run_records_what_an_uninterrupted_one_does(tmp_path, stop_at):
    """An evaluation is due at step 5, where the run stops."""
    run(tmp_path / "whole")
    folder = tmp_path / "pieces"
    assert run(folder, stop_at)["stopped"]
    before = (folder / "run.json").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"clip is 2\.0, the run to resume started with 1"):
        run(folder, resume=True, clip=2.0)
    after = (folder / "run.json").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    assert after == before, "a refused run is unchanged"
    run(folder, resume=True)
    assert recorded(folder) == recorded(tmp_path / "whole")
    assert [line["step"] for line in recorded(folder)] == [2, 4, 5, 6, 8, 10, 10, 12, 12]


def test_a_finished_run_that_is_resumed_tells_its_scores_again(tmp_path):
    first = run(tmp_path)
    lines = recorded(tmp_path)
    again = run(tmp_path, resume=True)
    assert again["steps"] == first["steps"]
    assert again["validation"] == first["validation"] is not None
    assert recorded(tmp_path) == lines


def test_a_run_in_five_parts_ends_with_the_bits_of_a_whole_one(tmp_path):
    """Each part goes on in a copy of the folder of the part before, under one schedule."""
    run(tmp_path / "whole")
    before = None
    for stop in (2, 5, 7, 10, 12):
        folder = tmp_path / f"part-{stop}"
        if before is not None:
            shutil.copytree(before, folder, ignore=shutil.ignore_patterns(".lock", "model"))
        summary = run(folder, resume=before is not None, stop_at_step=stop)
        assert (summary["steps"], summary["stopped"]) == (stop, False)
        assert summary["validation"]["mlm_loss"] > 0
        assert (folder / "model" / "model.json").exists()
        before = folder
    for name in ("step-00000012", "model"):
        whole, parts = contents(tmp_path / "whole" / name), contents(before / name)
        parts = {path: content for path, content in parts.items() if path != "state.json"}
        assert parts == {path: whole[path] for path in parts}
        assert parts
    rate = "train/learning_rate"
    rates, expected = (
        {line["step"]: line[rate] for line in recorded(one) if rate in line}
        for one in (before, tmp_path / "whole")
    )
    assert {step: rates[step] for step in expected} == expected, "one line, no saw"


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize(
    ("other", "shown"),
    [("2-2-16-64", "<D=2, A=2, H=16, I=64>"), ("1-4-16-32", "<D=1, A=4, H=16, I=32>")],
)
def test_another_architecture_is_refused_by_name(tmp_path, older, other, shown):
    """Shapes of weights do not depend on the number of heads."""
    run(tmp_path, stop_at=5)
    if older:
        forget_setting(tmp_path, "architecture")
    before = contents(tmp_path)
    refusal = f"architecture is '{shown}', the run to resume started with '<D=1, A=2, H=16, I=32>'"
    with pytest.raises(InputError, match=refusal):
        run(tmp_path, resume=True, architecture=other, batch_size=3)
    assert contents(tmp_path) == before
    run(tmp_path, resume=True)


@pytest.fixture
def trained():
    mx.random.seed(5)
    model = BortModel(Architecture(1, 2, 16, 32, vocabulary_size=60, maximum_length=24))
    model.initialize()
    return model


def test_a_model_folder_to_start_from(trained, tmp_path):
    save_model_folder(tmp_path, trained)
    student = build(initial_model=str(tmp_path))
    expected = trained.embedding_weight.data().asnumpy()
    assert (student.embedding_weight.data().asnumpy() == expected).all()


def test_a_model_of_another_vocabulary_is_refused(tmp_path):
    model = BortModel(Architecture(1, 2, 16, 32, vocabulary_size=61, maximum_length=24))
    model.initialize()
    save_model_folder(tmp_path, model)
    with pytest.raises(InputError, match="vocabulary has 61 tokens, the given one has 60"):
        build(initial_model=str(tmp_path))


def test_a_parameter_file_of_another_vocabulary_is_refused(trained, tmp_path):
    trained.save_parameters(str(tmp_path / "x.params"))
    with pytest.raises(InputError, match="50265"):
        build(initial_model=str(tmp_path / "x.params"), architecture="1-2-16-32")


def test_a_folder_of_several_parameter_files_is_not_guessed_from(tmp_path):
    (tmp_path / "a.params").touch()
    assert only_parameters(str(tmp_path)) == str(tmp_path / "a.params")
    (tmp_path / "b.params").touch()
    with pytest.raises(InputError, match=r"a\.params, b\.params"):
        only_parameters(str(tmp_path))
