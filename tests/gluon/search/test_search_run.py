"""Tests of a search on toy text: files, resuming and refusals."""

from __future__ import annotations

import csv
import dataclasses
import json

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture, get_architecture
from bort.engines import choosing
from bort.engines.latency import EngineLatency
from bort.errors import InputError
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.search import run as search_run
from bort.gluon.search.candidate_error import DistillationError
from bort.gluon.search.plan import SearchPlan
from bort.gluon.search.run import run_search
from bort.ranks import SingleProcess
from bort.search.driver import fptas, search_with
from bort.search.space import SearchSpace
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency
from bort.storage.locks import hold_folder
from tests.formats.parity import make_network, write_network
from tests.gluon.pretraining.test_trainer import make_teacher
from tests.gluon.search.test_candidate_error import CONFIG, toy_text
from tests.gluon.training.run_samples import contents
from tests.search.instances import Climber

SPACE = SearchSpace((2,), (2, 4), (8, 16), (4, 8, 12), vocabulary_size=60, maximum_length=24)
SEARCH = dataclasses.replace(CONFIG, epsilon=3)


class Teacher:
    """A loader of the teacher that counts its calls."""

    def __init__(self, seed: int = 9) -> None:
        self.seed = seed
        self.loaded = 0

    def __call__(self):
        self.loaded += 1
        return make_teacher(self.seed)


def make_plan(folder, config=SEARCH, teacher=None, **changes):
    values = {
        "config": config,
        "space": SPACE,
        "hyperparameters": (Hyperparameters(),),
        "text": toy_text(),
        "folder": folder / "search",
        "answers": folder / "search" / "teacher_answers",
        "latencies": folder / "search" / "latencies.json",
        "teacher": teacher or Teacher(),
    }
    return SearchPlan(**{**values, **changes})


def search(plan, **options):
    return run_search(plan, SingleProcess(), **options)


@pytest.fixture
def trained(monkeypatch):
    """Record the trials that are trained, in order."""
    seen = []
    original = DistillationError.error

    def error(self, trial):
        seen.append(trial)
        return original(self, trial)

    monkeypatch.setattr(DistillationError, "error", error)
    return seen


def test_the_run_is_the_scheme_and_leaves_its_files(tmp_path, trained):
    plan = make_plan(tmp_path)
    result = search(plan)
    questions = search_run.SearchQuestions(SEARCH, plan.text)
    teacher = make_teacher()
    errors = DistillationError(
        SEARCH,
        questions.train_batches(),
        questions.held_out_batches(),
        *questions.open(plan.answers),
        mx.cpu(),
    )
    pure = fptas(SPACE, teacher.architecture, errors, MultiplyAddLatency(24), epsilon=3)
    assert [row.architecture for row in result.ranking] == [
        row.architecture for row in pure.ranking
    ]
    assert result == pure
    folder = plan.folder
    saved = json.loads((folder / "ranking.json").read_text())
    assert saved["best"]["w"] == result.best.w
    assert saved["latency_unit"] == "multiply-adds"
    rows = list(csv.DictReader((folder / "ranking.csv").read_text().splitlines()))
    assert [float(row["error"]) for row in rows] == [row.error for row in result.ranking]
    assert get_architecture(str(folder / "best.json")) == result.best.architecture
    assert (folder / "scatter.png").read_bytes()[:4] == b"\x89PNG"
    assert len(trained) == 2 * len(result.ranking), "once by the run, once by this test"


@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_search_resumes_without_repeating_and_ends_alike(tmp_path, trained, after):
    whole = search(make_plan(tmp_path / "whole"))
    count = len(trained)
    trained.clear()
    plan = make_plan(tmp_path / "halves")
    assert search(plan, stop_requested=lambda: len(trained) >= after) is None
    assert not (plan.folder / "ranking.json").exists()
    stopped = len(trained)
    assert stopped == after
    teacher = Teacher()
    resumed = search(dataclasses.replace(plan, teacher=teacher), resume=True)
    assert resumed == whole
    assert len(trained) == count
    assert teacher.loaded == 0, "its answers are complete"
    again = search(dataclasses.replace(plan, teacher=teacher), resume=True)
    assert again == whole
    assert len(trained) == count


def test_a_stop_before_the_answers_are_complete_is_no_loss(tmp_path):
    plan = make_plan(tmp_path)
    assert search(plan, stop_requested=lambda: True) is None
    assert search(plan, resume=True) == search(make_plan(tmp_path / "whole"))


def test_seeds_give_spreads_and_thetas_rows(tmp_path):
    config = dataclasses.replace(SEARCH, seeds=2, epsilon=6)
    thetas = (Hyperparameters(lr=0.1), Hyperparameters(lr=0.5))
    result = search(make_plan(tmp_path, config, hyperparameters=thetas))
    assert len(result.ranking) == 4
    assert all(row.error_spread > 0 and row.w_spread > 0 for row in result.ranking)


def test_strategies_look_at_what_they_say(tmp_path):
    every = search(make_plan(tmp_path / "e", dataclasses.replace(SEARCH, strategy="exhaustive")))
    assert len(every.ranking) == 12
    config = dataclasses.replace(SEARCH, strategy="random", random_count=5)
    assert len(search(make_plan(tmp_path / "r", config)).ranking) == 5


def test_a_strategy_in_rounds_runs_stops_and_resumes(tmp_path, trained, monkeypatch):
    def climber(config, space):
        return Climber(space, np.random.default_rng(config.seed))

    monkeypatch.setattr(search_run, "build_strategy", climber)
    plan = make_plan(tmp_path / "halves")
    assert search(plan, stop_requested=lambda: len(trained) >= 3) is None
    assert len(trained) == 3
    resumed = search(plan, resume=True)
    count = len(trained)
    assert 3 < count == len(set(trained)) == len(resumed.ranking)
    assert search(make_plan(tmp_path / "whole")) == resumed
    questions = search_run.SearchQuestions(SEARCH, plan.text)
    errors = DistillationError(
        SEARCH,
        questions.train_batches(),
        questions.held_out_batches(),
        *questions.open(plan.answers),
        mx.cpu(),
    )
    strategy = climber(SEARCH, SPACE)
    pure = search_with(strategy, make_teacher().architecture, errors, MultiplyAddLatency(24))
    assert resumed == pure
    assert len(strategy.rounds) > 2


@pytest.fixture
def timed(monkeypatch):
    """Record timed candidates with engine, precision and threads; the times are fake."""
    measured = []

    def latency(self, architecture):
        how = self.conditions
        measured.append((architecture, how["engine"].split()[0], how["precision"], how["threads"]))
        return 1e-9 * architecture.multiply_adds_per_token(1)

    monkeypatch.setattr(EngineLatency, "latency", latency)
    return measured


TIMED = dataclasses.replace(SEARCH, latency="measured", latency_repeats=1)


def test_times_are_measured_once_and_kept(tmp_path, timed):
    plan = make_plan(tmp_path, TIMED)
    first = search(plan)
    measured = [entry[0] for entry in timed]
    assert len(measured) == len({row.architecture for row in first.ranking}) + 1
    assert make_teacher().architecture in measured
    second = make_plan(tmp_path / "second", TIMED, latencies=plan.latencies)
    assert search(second) == first
    assert len(timed) == len(first.ranking) + 1


def test_the_engine_that_is_timed_is_named_wherever_times_are(tmp_path, timed, caplog):
    caplog.set_level("INFO")
    config = dataclasses.replace(TIMED, latency_engine="mxnet", latency_threads=2)
    plan = make_plan(tmp_path, config)
    search(plan)
    assert {entry[1:] for entry in timed} == {("mxnet", "fp32", 2)}
    saved = json.loads((plan.folder / "ranking.json").read_text())
    assert saved["latency_unit"] == "s"
    assert saved["latency_conditions"] == {
        "engine": f"mxnet {mx.__version__}",
        "precision": "fp32",
        "device": "cpu(0)",
        "threads": 2,
        "length": 24,
        "batch": 1,
        "repeats": 1,
    }
    how = f"mxnet {mx.__version__} fp32, 2 threads, 1 sequence of 24 tokens"
    assert [how in message for message in caplog.messages].count(True) == 2, "log and table"
    assert caplog.messages[-1].startswith(f"\ninference on {how}\n")


@pytest.mark.parity("onnx", "openvino", "onnxruntime")
def test_auto_is_settled_when_a_search_begins(tmp_path, timed, monkeypatch):
    """A resumed search keeps its engine, even if `auto` would now select another one."""
    plan = make_plan(tmp_path, TIMED)
    assert search(plan, stop_requested=lambda: len(timed) >= 2) is None
    settings = json.loads((plan.folder / "search.json").read_text())["settings"]
    assert settings["latency_engine"] == "openvino"
    assert {entry[1] for entry in timed} == {"openvino"}

    monkeypatch.setattr(choosing, "installed_engines", lambda: ("mxnet",))
    other = dataclasses.replace(plan, config=dataclasses.replace(TIMED, latency_engine="mxnet"))
    with pytest.raises(
        InputError,
        match="latency_engine is 'mxnet', the search to resume started with 'openvino'",
    ):
        search(other, resume=True)
    assert search(plan, resume=True) is not None
    times = json.loads(plan.latencies.read_text())["entries"]
    assert {entry["conditions"]["engine"].split()[0] for entry in times} == {"openvino"}


def test_a_search_of_version_0_2_0_goes_on_with_mxnets_times(tmp_path, timed):
    """Such a search has no recorded engine, and its times have no precision."""
    old = dataclasses.replace(TIMED, latency_engine="mxnet")
    plan = make_plan(tmp_path, old)
    whole = search(plan)
    path = plan.folder / "search.json"
    recorded = json.loads(path.read_text())
    for name in ("latency_engine", "latency_precision", "latency_threads"):
        del recorded["settings"][name]
    path.write_text(json.dumps(recorded))
    times = json.loads(plan.latencies.read_text())
    for entry in times["entries"]:
        del entry["conditions"]["precision"]
        entry["seconds"] *= 2  # marks the stored time
    del times["entries"][-1]
    plan.latencies.write_text(json.dumps(times))
    timed.clear()
    resumed = search(dataclasses.replace(plan, config=TIMED), resume=True)
    assert [entry[1:] for entry in timed] == [("mxnet", "fp32", 1)], "the one that was not kept"
    assert [row.latency for row in resumed.ranking] == [2 * row.latency for row in whole.ranking]
    with pytest.raises(
        InputError,
        match="latency_engine is 'openvino', the search to resume started with 'mxnet'",
    ):
        search(
            dataclasses.replace(plan, config=dataclasses.replace(TIMED, latency_engine="openvino")),
            resume=True,
        )


def test_a_search_of_version_0_2_0_by_multiply_adds_goes_on(tmp_path):
    plan = make_plan(tmp_path)
    whole = search(plan)
    path = plan.folder / "search.json"
    recorded = json.loads(path.read_text())
    for name in ("latency_engine", "latency_precision", "latency_threads"):
        del recorded["settings"][name]
    path.write_text(json.dumps(recorded))
    assert search(plan, resume=True) == whole


def test_timing_on_mxnet_leaves_training_its_threads(tmp_path, timed, monkeypatch):
    counts = []
    monkeypatch.setattr(search_run, "set_openmp_threads", counts.append)
    search(make_plan(tmp_path / "m", dataclasses.replace(TIMED, latency_engine="mxnet")))
    assert counts == [1]
    search(make_plan(tmp_path / "p"))
    assert counts == [1], "nothing was timed"


def test_a_folder_with_another_search_is_refused_and_left_alone(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    before = (plan.folder / "ranking.json").read_bytes()
    with pytest.raises(InputError, match="already holds a search"):
        search(plan)
    other = dataclasses.replace(plan, config=dataclasses.replace(SEARCH, train_steps=4))
    with pytest.raises(
        InputError, match=r"search\.json: train_steps is 4, the search .* started with 3"
    ):
        search(other, resume=True)
    space = dataclasses.replace(plan, space=dataclasses.replace(SPACE, hiddens=(8,)))
    with pytest.raises(InputError, match=r"hiddens is \[8\], the search"):
        search(space, resume=True)
    assert (plan.folder / "ranking.json").read_bytes() == before
    with hold_folder(plan.folder), pytest.raises(InputError, match="another process is using"):
        search(plan, resume=True)
    assert search(make_plan(tmp_path / "nothing"), resume=True) == search(plan, resume=True)


def test_another_teacher_is_refused_and_changes_nothing(tmp_path):
    plan = make_plan(tmp_path, teacher_identity={"teacher_model": "one"})
    asked = []
    assert search(plan, stop_requested=lambda: asked.append(1) or len(asked) > 8) is None
    before = contents(plan.folder)
    other = dataclasses.replace(plan, teacher_identity={"teacher_model": "two"})
    with pytest.raises(InputError, match="teacher_model is 'two', the search .* with 'one'"):
        search(other, resume=True)
    assert contents(plan.folder) == before
    older = dataclasses.replace(plan, teacher_identity=None)
    assert search(older, resume=True) == search(make_plan(tmp_path / "whole"))


def test_a_search_older_than_a_setting_is_resumed_with_its_default(tmp_path):
    thetas = (Hyperparameters(lr=0.1),)
    plan = make_plan(tmp_path, hyperparameters=thetas)
    expected = search(plan)
    path = plan.folder / "search.json"
    recorded = json.loads(path.read_text())
    del recorded["settings"]["error"], recorded["space"]["even_depth"]
    del recorded["hyperparameters"][0]["clip"]
    path.write_text(json.dumps(recorded))
    assert search(plan, resume=True) == expected
    for name, value in (("error", "kl"), ("train_steps", 4)):
        other = dataclasses.replace(plan, config=dataclasses.replace(SEARCH, **{name: value}))
        with pytest.raises(InputError, match=f"{name} is {value!r}, the search to resume"):
            search(other, resume=True)
    other = dataclasses.replace(plan, hyperparameters=(Hyperparameters(lr=0.1, clip=2.0),))
    with pytest.raises(InputError, match="hyperparameters is"):
        search(other, resume=True)


def test_answers_of_another_teacher_are_refused(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    other = make_plan(tmp_path / "other", teacher=Teacher(seed=1), answers=plan.answers)
    with pytest.raises(InputError, match=r"teacher_answers.*teacher"):
        search(other)


def test_a_damaged_result_is_named(tmp_path):
    plan = make_plan(tmp_path)
    search(plan)
    path = plan.folder / "results-rank0.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(["{}", *lines[1:]]) + "\n")
    with pytest.raises(InputError, match=r"results-rank0\.jsonl, line 1"):
        search(plan, resume=True)


def test_trials_that_a_search_does_not_ask_for_change_nothing(tmp_path):
    """The table holds the planned trials, even if the files have results of a larger Θ."""
    plan = make_plan(tmp_path)
    result = search(plan)
    path = plan.folder / "results-rank0.jsonl"
    record = json.loads(path.read_text().splitlines()[0])
    record["hyperparameters"]["lr"] = 123.0
    record["error"] = 1e-9
    (plan.folder / "results-rank1.jsonl").write_text(json.dumps(record) + "\n")
    assert search(plan, resume=True) == result


def test_text_that_is_too_long_for_the_teacher_is_refused(tmp_path):
    class Short(Teacher):
        def __call__(self):
            teacher = super().__call__()
            teacher.architecture = teacher.architecture.replace(maximum_length=16)
            return teacher

    with pytest.raises(InputError, match="up to 24 tokens long, the teacher takes at most 16"):
        search(make_plan(tmp_path, teacher=Short()))


@pytest.mark.parametrize("shortened", ["candidates", "teacher"])
def test_a_length_that_cannot_be_timed_is_refused_before_the_teacher_answers(tmp_path, shortened):
    class Short(Teacher):
        def __call__(self):
            teacher = super().__call__()
            teacher.architecture = teacher.architecture.replace(maximum_length=24)
            return teacher

    length = 25 if shortened == "candidates" else 26
    space = SPACE if shortened == "candidates" else dataclasses.replace(SPACE, maximum_length=32)
    teacher = Short()
    config = dataclasses.replace(SEARCH, latency="measured", latency_length=length)
    plan = make_plan(tmp_path, config, teacher, space=space)
    with pytest.raises(InputError, match=f"latency_length is {length}, <D=.* takes at most 24"):
        search(plan)
    assert not plan.answers.exists()
    assert plan.folder.exists() == (shortened == "teacher")
    assert teacher.loaded == (shortened == "teacher")


@pytest.fixture
def start_folder(tmp_path):
    sizes = Architecture(3, 4, 32, 16, vocabulary_size=60, maximum_length=24)
    write_network(tmp_path / "start", make_network(sizes, decoder=True))
    return str(tmp_path / "start")


def started(tmp_path, folder, config=SEARCH, **changes):
    return make_plan(tmp_path, config, start=TeacherStart(folder, config.ranking), **changes)


def errors_of(result):
    return [one.error for one in result.ranking]


def test_candidates_start_from_a_teacher_that_is_ranked_once(
    tmp_path, start_folder, trained, monkeypatch
):
    whole = search(started(tmp_path / "whole", start_folder))
    plain = search(make_plan(tmp_path / "plain"))
    assert errors_of(whole) != errors_of(plain)
    stops = iter([False] * 5)
    assert search(started(tmp_path, start_folder), stop_requested=lambda: next(stops, True)) is None
    assert (tmp_path / "search" / "importance.json").exists()
    monkeypatch.setattr(
        "bort.gluon.network.teacher_start.measured_importance",
        lambda *given: pytest.fail("it measures again"),
    )
    resumed = search(started(tmp_path, start_folder), resume=True)
    assert errors_of(resumed) == errors_of(whole)


def test_a_search_from_another_start_is_refused(tmp_path, start_folder):
    search(started(tmp_path, start_folder))
    write_network(
        tmp_path / "other",
        make_network(Architecture(3, 4, 32, 16, 60, 24), decoder=True, seed=1),
    )
    order = SEARCH.replace(importance="order")
    for plan, message in (
        (make_plan(tmp_path), "initialise_from is None, the search to resume started with"),
        (started(tmp_path, str(tmp_path / "other")), "initialise_from differs from that of"),
        (started(tmp_path, start_folder, order), "importance is 'order', the search to resume"),
    ):
        with pytest.raises(InputError, match=message):
            search(plan, resume=True)


def test_a_search_without_a_start_stays_the_same_search(tmp_path):
    search(make_plan(tmp_path))
    path = tmp_path / "search" / "search.json"
    record = json.loads(path.read_text())
    for name in ("importance", "importance_batches"):
        del record["settings"][name]
    del record["initialise_from"]
    path.write_text(json.dumps(record))
    search(make_plan(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hiddens": (8, 40)}, "space: <D=2, A=2, H=40, I=4>: student: hidden is 40, allowed is"),
        ({"hiddens": (24,)}, "so a head is 12 wide, allowed is at most 8"),
        ({"maximum_length": 30}, "maximum_length is 30, allowed is at most 24"),
    ],
)
def test_a_space_that_does_not_fit_its_start_leaves_nothing(
    tmp_path, start_folder, changes, message
):
    teacher = Teacher()
    plan = started(
        tmp_path, start_folder, space=dataclasses.replace(SPACE, **changes), teacher=teacher
    )
    with pytest.raises(InputError, match=message):
        search(plan)
    assert not contents(tmp_path / "search")
    assert teacher.loaded == 0
