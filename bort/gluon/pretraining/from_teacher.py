"""Students of pre-training that start from a teacher's weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Callable, Optional

import mxnet as mx

from bort.gluon.network.array_network import as_network
from bort.gluon.network.measured_importance import ImportanceQuestions, masked_questions
from bort.gluon.network.model import BortModel
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.array_network import ArrayNetwork
from bort.network.from_teacher import OrderedNetwork, as_whole, student_from
from bort.text.examples import ExampleSource
from bort.text.masking import Masking
from bort.text.vocabulary import Vocabulary
from bort.training.pretraining_config import PretrainingConfig


def student_of(
    start: TeacherStart,
    architecture: str,
    config: PretrainingConfig,
    train: ExampleSource,
    vocabulary: Vocabulary,
    context: mx.Context,
    *,
    is_fresh: bool = True,
    stored_in: Optional[Path] = None,
) -> BortModel:
    """Return a student with a slice of its teacher's weights, and a masked-token decoder.

    Args:
        start: the teacher.
        architecture: name of the student's architecture, see `TeacherStart.sizes`.
        config: settings of the training.
        train: training examples, on which importance is measured.
        vocabulary: vocabulary of the examples.
        context: device of the student.
        is_fresh: whether the weights count; those of a resumed run come from its checkpoint.
        stored_in: see `TeacherStart.ranked`.

    Raises:
        InputError: the student does not fit its teacher, or the vocabularies differ.
    """
    sizes = start.sizes(architecture, vocabulary)

    def student(ranked: OrderedNetwork) -> ArrayNetwork:
        return student_from(
            ranked,
            sizes,
            decoder=True,
            seed=config.seed,
            spread=config.initializer_range,
            source=start.folder,
        )

    network = student(as_whole(start.network))  # checks the sizes before importance is measured
    if is_fresh:
        questions = text_questions(train, config, vocabulary)
        network = student(start.ranked(questions, context, stored_in))
    return as_network(network.replace(dropout=config.dropout), context, grad_req="write")


def text_questions(
    train: ExampleSource, config: PretrainingConfig, vocabulary: Vocabulary
) -> Callable[[int], ImportanceQuestions]:
    """Return the function that gives `TeacherStart.ranked` masked batches.

    Args:
        train: training examples.
        config: seed of the order and the masks, and their shares.
        vocabulary: vocabulary of the examples.
    """
    masking = Masking(vocabulary, config.masks.policy, config.order_seed)
    return functools.partial(masked_questions, train, masking, config.order_seed)
