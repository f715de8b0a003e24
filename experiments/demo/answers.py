"""The teacher's answers in the demonstration, recorded for the batches of every seed."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from bort.gluon.teacher.live import GluonTeacher
from bort.process.threads import set_thread_count
from bort.ranks import SingleProcess
from bort.search.config import SearchConfig
from bort.search.questions import SearchQuestions, SearchText
from bort.teacher.answers import TeacherAnswers
from bort.teacher.cache import TeacherCache
from experiments.demo.plan import DemoConfig
from experiments.demo.training import INITIALIZER_RANGE, Text, student_settings


def search_settings(config: DemoConfig, train_steps: int) -> SearchConfig:
    """Return the settings that say which batches the teacher answers, and how answers are kept.

    Args:
        config: settings of the demonstration.
        train_steps: number of training batches.
    """
    return SearchConfig(
        train_steps=train_steps,
        seed=config.seed,
        batch_size=config.batch_size,
        held_out_batches=config.search_held_out_batches,
        initializer_range=INITIALIZER_RANGE,
        cache_dtype="float16",
        latency="multiply_adds",
        threads=set_thread_count(),
    )


def answers_folder(answers: Path, seed: int) -> Path:
    """Return the folder of the answers for the students of a seed; the super-network has seed 0.

    Args:
        answers: folder of all answers.
        seed: number of the seed.
    """
    return answers / str(seed)


def record_answers(teacher: GluonTeacher, config: DemoConfig, text: Text, answers: Path) -> float:
    """Record the teacher's answers for all batches of the super-network and of the students.

    The super-network has the first batches of the students of seed 0. Answers that are recorded are
    kept.

    Args:
        teacher: the teacher.
        config: batches, steps and seeds.
        text: the text of the batches.
        answers: folder of all answers.

    Returns:
        The seconds for the answers of one step.
    """
    asked = SearchText(text.train, text.held_out, text.vocabulary)
    began, answered = time.perf_counter(), 0
    for seed in range(config.seeds):
        steps = config.student_steps
        if seed == 0:
            steps = max(steps, config.super_network_steps)
        order_seed = student_settings(config, seed, True).order_seed
        settings = dataclasses.replace(search_settings(config, steps), seed=order_seed)
        questions = SearchQuestions(settings, asked)
        questions.fill(answers_folder(answers, seed), teacher, SingleProcess(), lambda: False)
        answered += steps + config.search_held_out_batches
    return (time.perf_counter() - began) / answered


def open_answers(answers: Path, seed: int) -> TeacherAnswers:
    """Open the recorded answers for the students of a seed."""
    # Hashes are not verified, since this run has just written the answers.
    return TeacherCache.open(answers_folder(answers, seed), verify=False)
