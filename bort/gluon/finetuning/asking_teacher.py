"""`ask_task_teacher`: the answers of a teacher to all inputs of a task, asked before a training."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, Optional

import numpy as np

from bort.gluon.finetuning.task_teacher import EncoderTeacher, ShownPass, TaskTeacher
from bort.gluon.finetuning.teacher_answers import FeaturesByInput, TeacherAnswersByInput
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.teacher.feature_pass import FeaturePass
from bort.gluon.teacher.ordered import columns_of_student
from bort.ranks import Communicator
from bort.teacher.keeping_features import KeptFeaturesConfig, can_keep_features
from bort.teacher.task_features import (
    AnsweredInputs,
    FeatureParts,
    FeaturesKey,
    KeptAnswers,
    kept_features,
)
from bort.text.asking import ChosenInputs
from bort.text.labelled import LabelledExamples
from bort.training.objective import FeatureObjective


def ask_task_teacher(
    teacher: EncoderTeacher,
    examples: LabelledExamples,
    folder: Path,
    features: FeatureObjective,
    keeping: KeptFeaturesConfig,
    *,
    batch_size: int,
    communicator: Communicator,
    start: Optional[TeacherStart] = None,
    record: Optional[Path] = None,
    stop_requested: Callable[[], bool] = lambda: False,
) -> Optional[TeacherAnswersByInput]:
    """Return a teacher's answers to batches of a training.

    The outputs of a `TaskTeacher` are computed for all inputs first. So are the features that the
    losses read if they can be kept, in the same pass where MXNet computes both. Their order is
    fixed by the inputs, so the answers do not depend on when a batch comes or a run was stopped.

    Args:
        teacher: the teacher.
        examples: N inputs.
        folder: folder of the kept outputs and features, which all ranks see.
        features: the losses on features.
        keeping: whether features are kept.
        batch_size: inputs per batch of the teacher.
        communicator: the ranks that share the work.
        start: the model that the student starts from; if it is the teacher, its features are in the
            order of the student's parts.
        record: `run.json` of the run that continues, whose features are kept if they were before;
            None: a run begins.
        stop_requested: called before each part of the inputs.

    Returns:
        The answers; None if a rank was asked to stop.

    Raises:
        InputError: the record is damaged.
        WorkError: a number is not finite, or the disk is full.
    """
    parts: Optional[FeatureParts] = None
    if features.is_on and keeping.kept_features_gb > 0:
        key = FeaturesKey.of(
            teacher.fingerprint,
            teacher.architecture,
            features.features,
            examples.fingerprint,
            len(examples),
        )
        parts = FeatureParts(folder, key, examples.lengths)
        if not can_keep_features(parts, keeping.kept_features_gb, communicator, record=record):
            parts = None
    outputs: Optional[np.ndarray] = None
    in_one_pass = parts is not None and isinstance(teacher, TaskTeacher) and teacher.has_own_outputs
    if isinstance(teacher, TaskTeacher) and not in_one_pass:
        outputs = teacher.outputs(examples, folder, batch_size, communicator, stop_requested)
        if outputs is None:
            return None
    if parts is None:
        return teacher.answers(outputs, features.is_on, start)
    kept = _keep(teacher, examples, parts, in_one_pass, batch_size, communicator, stop_requested)
    if kept is None:
        return None
    columns = {} if start is None else columns_of_student(teacher.folder, start)
    return TeacherAnswersByInput(
        kept.outputs if in_one_pass else outputs,
        FeaturesByInput(kept.features, teacher.architecture, teacher.context, columns),
    )


def _keep(
    teacher: EncoderTeacher,
    examples: LabelledExamples,
    parts: FeatureParts,
    with_outputs: bool,
    batch_size: int,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Optional[KeptAnswers]:
    """Return the features of all inputs, and the outputs if they come from the same pass."""
    asked = FeaturePass(
        teacher.network,
        teacher.context,
        parts.key.features,
        with_outputs=with_outputs,
        batch_size=batch_size,
        pad_id=teacher.pad_id,
    )
    outputs = None
    if with_outputs:
        assert isinstance(teacher, TaskTeacher)
        outputs = teacher.output_parts(examples, parts.folder)
    what = "outputs and features" if with_outputs else "features"
    with ShownPass(what, communicator) as shown:

        def ask(rows: np.ndarray) -> Iterator[AnsweredInputs]:
            return asked.answers(ChosenInputs(examples, rows), shown.advance)

        return kept_features(
            parts,
            ask,
            communicator=communicator,
            outputs=outputs,
            stop_requested=stop_requested,
            on_begin=shown.begin,
        )
