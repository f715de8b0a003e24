"""The teachers of a training on masked text: of logits, live or cached, and of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np

from bort.errors import InputError
from bort.gluon.teacher.caching import open_teacher_cache
from bort.gluon.teacher.choosing import load_feature_teacher_on, load_teacher_on
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.gluon.teacher.ordered import in_order_of_student
from bort.network.from_teacher import OrderedNetwork
from bort.teacher.answers import NO_ANSWERS, Answers, TeacherAnswers
from bort.teacher.features import Features, FeatureTeacher
from bort.teacher.source import TeacherSource
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.vocabulary import Vocabulary
from bort.training.pretraining_config import PretrainingConfig


class Teachers(NamedTuple):
    """The teachers of a training; both can be one object.

    Attributes:
        logits: answers at masked positions; None if there is no such teacher.
        features: hidden states and attention; None if no loss needs them.
    """

    logits: Optional[TeacherAnswers] = None
    features: Optional[FeatureTeacher] = None

    def answers(self, batch: MaskedBatch, context: mx.Context) -> Answers:
        """Return the answers of both for a batch, from one pass if both are one network.

        Args:
            batch: the batch.
            context: device of the logits.
        """
        if self.logits is None and self.features is None:
            return NO_ANSWERS
        both: Any = self.features
        if isinstance(both, GluonFeatureTeacher) and both is self.logits:
            return both.answers(batch)
        logits = None if self.logits is None else self.logits.answer(batch)
        if isinstance(logits, np.ndarray):
            logits = mx.nd.array(logits, ctx=context)
        return Answers(logits, None if self.features is None else self.features_of(batch))

    def features_of(self, batch: MaskedBatch) -> Features:
        """Return the features of a batch."""
        assert self.features is not None, "the losses on features have a teacher"
        return self.features.features(batch.input_ids, batch.valid_lengths, batch.token_types)

    def in_order_of_student(self, folder: str, start: str, ordered: OrderedNetwork) -> Teachers:
        """Return the teachers of a student that starts from a model in order of importance.

        The arguments are those of `bort.gluon.teacher.ordered.in_order_of_student`.
        """
        if not isinstance(self.features, GluonFeatureTeacher):
            return self
        features = in_order_of_student(self.features, folder, start, ordered)
        return Teachers(features if self.logits is self.features else self.logits, features)

    def fingerprints(self) -> Dict[str, Optional[str]]:
        """Return the fingerprints of both for the record of a run."""
        return {
            "teacher": None if self.logits is None else self.logits.fingerprint,
            "feature_teacher": None if self.features is None else self.features.fingerprint,
        }


def open_teachers(
    source: TeacherSource,
    cache: Optional[str],
    config: PretrainingConfig,
    train: ExampleSource,
    vocabulary: Vocabulary,
    *,
    rows: int,
    context: mx.Context,
) -> Tuple[Teachers, PretrainingConfig]:
    """Return the teachers that the losses of a training need.

    Args:
        source: source of a live teacher; its `teacher_model` may be `none`.
        cache: folder of a cache of logits, used instead of a live teacher; None for none.
        config: settings of the training: losses, masks, engine.
        train: training examples, which a cache must hold answers for.
        vocabulary: the student's vocabulary.
        rows: rows of the student's token embedding.
        context: device of the training.

    Returns:
        The teachers, and the settings, whose `mask_epochs` are those of a cache if there is one.

    Raises:
        InputError: the teacher is unknown, has another vocabulary, or cannot give what a loss
            needs; or the cache has other data, masks or temperatures.
    """
    features = config.features
    asking = [
        f"{name} is {getattr(features, name)!r}"
        for name in ("hidden_weight", "relation_weight")
        if getattr(features, name) > 0
    ]
    if cache is not None:
        _refuse_engine(config, f"teacher_cache is {cache!r}")
        if asking:
            raise InputError(
                f"teacher_cache is {cache!r} and {asking[0]}; a cache holds logits alone, allowed "
                "is a live teacher (teacher_model)"
            )
        answers, config = open_teacher_cache(Path(cache), config, train, vocabulary)
        return Teachers(answers), config
    if source.teacher_model.lower() == "none":
        _refuse_engine(config, "teacher_model is 'none'")
        if asking:
            raise InputError(
                f"teacher_model is 'none' and {asking[0]}; allowed without a teacher is 0"
            )
        if config.objective.mlm_weight == 0:
            raise InputError(
                "teacher_model is 'none' and mlm_weight is 0.0; allowed without a teacher is more "
                "than 0"
            )
        return Teachers(), config
    weight = config.objective.teacher_ce_weight
    place: Dict[str, Any] = {
        "vocabulary": vocabulary,
        "vocabulary_size": rows,
        "context": context,
        "dtype": config.dtype,
    }
    if not asking:
        return Teachers(load_teacher_on(source, config.teacher_runtime, **place)), config
    logits = f"teacher_ce_weight is {weight!r}" if weight > 0 else None
    both = load_feature_teacher_on(source, config.teacher_runtime, logits=logits, **place)
    return Teachers(both if weight > 0 else None, both), config


def _refuse_engine(config: PretrainingConfig, why: str) -> None:
    engine = config.teacher_runtime.teacher_engine
    if engine != "mxnet":
        raise InputError(f"teacher_engine is {engine!r} and {why}, so there is no teacher to run")
