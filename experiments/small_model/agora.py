"""Agora's new examples for a small model whose task has few rows."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import Optional

import numpy as np

from bort.agora.examples import normalised_key
from bort.agora.generation import generate
from bort.agora.tau import Proposer, build_tau
from bort.formats.network_folder import read_folder_description
from bort.gluon.agora.models import MaskedWords
from bort.gluon.distributed import choose_context
from bort.gluon.teacher.live import load_teacher
from bort.ranks import ALONE
from bort.stages.stage import StageWork
from bort.storage.files import new_folder
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks.features import tokenise
from bort.tasks.items import TaskItem
from bort.tasks.judging import TaskData, TaskSet
from data.tasks.unlabelled import UNLABELLED
from experiments.small_model.config import NEW_EXAMPLES, NEW_OF_EACH
from experiments.small_model.job import StageJob, read_scores, write_scores
from experiments.small_model.serving import STAGE_AGORA
from experiments.small_model.students import STAGE_STUDENT, train_from

log = logging.getLogger(__name__)

_WITHOUT_WORDS = ("part_swap", "deletion", "neighbour_swap")
_SHARE = 0.4


def train_on_new_examples(job: StageJob, work: StageWork) -> None:
    """Train the student further, on the training set and on new examples that the teacher labels.

    A function τ of Agora changes training examples. Those of the dev set, which Agora uses too,
    stay as they are here, because the dev set chooses what is served. Without any time, the student
    stays as it is, since asking the teacher alone may take minutes.
    """
    before = read_scores(work.inputs[STAGE_STUDENT])
    model = work.inputs[STAGE_STUDENT] / MODEL_FOLDER
    if job.seconds <= 0:
        log.info("there is no time for new examples")
        if not (work.folder / MODEL_FOLDER).exists():
            with new_folder(work.folder / MODEL_FOLDER, clean=True) as making:
                shutil.copytree(model, making, dirs_exist_ok=True)
        write_scores(work.folder, {**before, "steps": 0, "examples": 0, "without": before["dev"]})
        return
    data = with_new_examples(job)
    assert data.unlabelled is not None
    # The other stages' outputs are those of other inputs.
    job = dataclasses.replace(job, answers=job.answers / STAGE_AGORA)
    train_from(
        job,
        work,
        model,
        data,
        more={"examples": len(data.unlabelled.features), "without": before["dev"]},
    )


def with_new_examples(job: StageJob) -> TaskData:
    """Return the data of the task with new examples among the unlabelled inputs.

    Without a masked-token decoder in the teacher's folder, which proposes words, examples exchange
    parts with each other, lose words, and swap neighbours.
    """
    task, config = job.task, job.config
    whole, data = task.whole, task.data
    proposer = _proposer(job)
    sources = [point.example for point in whole.training]
    tau = build_tau(
        ("substitution",) if proposer is not None else _WITHOUT_WORDS,
        share=_SHARE,
        proposer=proposer,
        pool=sources,
        editable=whole.form.editable,
    )
    each = min(NEW_OF_EACH, max(1, NEW_EXAMPLES // max(1, len(sources))))
    made = generate(
        sources,
        tau,
        known={normalised_key(point.example) for point in (*whole.training, *whole.dev)},
        generator_of=lambda number: np.random.default_rng([config.seed, number]),
        per_source=each,
        is_reserved=whole.report.holds,
    )
    inputs = whole.form.inputs(made.examples)
    features = tokenise(inputs, data.vocabulary, task.length, data.pairs)
    items = [TaskItem(number, {}) for number in range(len(inputs))]
    new = TaskSet(data.record, UNLABELLED, items, features)
    unlabelled = new if data.unlabelled is None else data.unlabelled.followed_by(new)
    return dataclasses.replace(data, unlabelled=unlabelled)


def _proposer(job: StageJob) -> Optional[Proposer]:
    """Return the teacher's masked language model; None if its folder has no decoder."""
    folder = Path(job.config.teacher)
    if not read_folder_description(folder).has_decoder:
        return None
    context = choose_context(ALONE, not job.config.gpu)
    model = load_teacher(str(folder), context=context)
    task = job.task
    return MaskedWords(model, task.data.vocabulary, task.whole.form, task.length)
