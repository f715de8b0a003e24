"""The search of the demonstration: recording the teacher's answers and ranking candidates."""

from __future__ import annotations

import time
from pathlib import Path

from bort.errors import InputError
from bort.gluon.search.plan import SearchPlan
from bort.gluon.search.run import run_search
from bort.gluon.teacher.live import GluonTeacher
from bort.process.threads import set_thread_count
from bort.ranks import SingleProcess
from bort.search.config import SearchConfig
from bort.search.questions import SearchQuestions, SearchText
from bort.search.ranking import SearchResult
from bort.search.space import SearchSpace
from bort.search.strategy import ApproximationScheme
from bort.search.surrogates import Hyperparameters, MultiplyAddLatency
from experiments.demo.plan import DemoConfig
from experiments.demo.training import INITIALIZER_RANGE, Text, architecture_for

ANSWERS_FOLDER = "answers"
SEARCH = "search"


def search_settings(config: DemoConfig, train_steps: int) -> SearchConfig:
    """Return the settings of the search.

    Inference time is counted in multiply-adds, so that every machine finds the same architecture.

    Args:
        config: settings of the demonstration.
        train_steps: training steps of a candidate; to record the answers for the students too,
            at least their number of steps.
    """
    return SearchConfig(
        epsilon=config.epsilon,
        train_steps=train_steps,
        seed=config.seed,
        batch_size=config.batch_size,
        held_out_batches=config.search_held_out_batches,
        initializer_range=INITIALIZER_RANGE,
        cache_dtype="float16",
        latency="multiply_adds",
        threads=set_thread_count(),
    )


def search_space(config: DemoConfig, text: Text) -> SearchSpace:
    """Return the search space of the demonstration."""
    return SearchSpace(
        config.depths,
        config.heads,
        config.hiddens,
        config.intermediates,
        vocabulary_size=len(text.vocabulary),
        maximum_length=config.max_seq_length,
    )


def check_candidates(config: DemoConfig, text: Text) -> None:
    """Check before any training that the search can find an architecture.

    Raises:
        InputError: no candidate has fewer parameters and multiply-adds than the teacher.
    """
    teacher = architecture_for(config.teacher, text, config)
    latency = MultiplyAddLatency(config.max_seq_length)
    for candidate in ApproximationScheme(search_space(config, text), config.epsilon).ask():
        smaller = candidate.parameter_count() < teacher.parameter_count()
        if smaller and latency.latency(candidate) < latency.latency(teacher):
            return
    raise InputError(
        f"no candidate is smaller and faster than the teacher {teacher}: choose smaller ones with "
        "--depths, --heads, --hiddens, --intermediates"
    )


def record_answers(teacher: GluonTeacher, config: DemoConfig, text: Text, folder: Path) -> float:
    """Record the teacher's answers for all batches of the search and of the students.

    The search uses the first batches of the students.

    Returns:
        The seconds for the answers of one step.
    """
    steps = max(config.student_steps, config.search_steps)
    questions = SearchQuestions(search_settings(config, steps), _search_text(text))
    began = time.perf_counter()
    questions.fill(folder / ANSWERS_FOLDER, teacher, SingleProcess(), lambda: False)
    return (time.perf_counter() - began) / (steps + config.search_held_out_batches)


def find_architecture(
    teacher: GluonTeacher, config: DemoConfig, text: Text, folder: Path
) -> SearchResult:
    """Search with the recorded answers, and keep the results in the subfolder `search`."""
    plan = SearchPlan(
        search_settings(config, config.search_steps),
        search_space(config, text),
        (Hyperparameters(),),
        _search_text(text),
        folder / SEARCH,
        answers=folder / ANSWERS_FOLDER,
        latencies=folder / SEARCH / "latencies.json",
        teacher=lambda: teacher,
    )
    result = run_search(plan, SingleProcess())
    assert result is not None, "this search has no stop request"
    return result


def _search_text(text: Text) -> SearchText:
    return SearchText(text.train, text.held_out, text.vocabulary)
