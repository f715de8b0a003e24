"""Super-networks that learn from masked text."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

import numpy as np

from bort.errors import InputError
from bort.gluon.pretraining.evaluation import score_features, score_masked_tokens
from bort.gluon.pretraining.from_teacher import text_questions
from bort.gluon.pretraining.learner import MaskedTokenLearner
from bort.gluon.pretraining.pretrain import (
    PretrainingData,
    check_lengths,
    held_out_batches,
    plan_batches,
    planned_batches,
)
from bort.gluon.pretraining.run import check_shards
from bort.gluon.pretraining.teachers import Teachers, open_teachers
from bort.gluon.super_network.lessons import MaskedTokenLessons
from bort.gluon.super_network.run import SuperNetworkRun, check_features_fit
from bort.gluon.super_network.train import SuperNetworkData
from bort.ranks import Communicator
from bort.storage.locks import hold_run_folder
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.teacher.features import FeatureTeacher
from bort.text.examples import ExampleSource, MaskedBatch
from bort.text.masking import Masking
from bort.text.vocabulary import Vocabulary
from bort.training.pretraining_config import PretrainingConfig


def train_on_text(
    paths: SuperNetworkPaths,
    config: SuperNetworkConfig,
    train: ExampleSource,
    validation: Optional[ExampleSource],
    vocabulary: Vocabulary,
    communicator: Communicator,
    stop_requested: Callable[[], bool],
) -> Dict[str, Any]:
    """Train a super-network on masked text in the folder `paths.output_dir`, and save it there.

    Args:
        paths: files and folders of the run, and the space.
        config: settings of the training.
        train: training examples.
        validation: held-out examples; None evaluates nothing.
        vocabulary: vocabulary of the examples and the network.
        communicator: the ranks that train together.
        stop_requested: called before every step; True stops the run after that step.

    Returns:
        The values that the command prints: steps, whether the run was stopped, scores and folder.

    Raises:
        InputError: vocabulary, space, start, teacher or folder do not fit together, or another
            process uses the folder.
        WorkError: the loss is not finite, or the disk is full.
    """
    kept = config.kept.kept_features_gb
    if kept > 0:
        raise InputError(
            f"kept_features_gb is {kept!r}, which has no effect with data; allowed is 0"
        )
    with hold_run_folder(Path(paths.output_dir), communicator):
        for examples in (train, validation):
            check_shards(examples, vocabulary)
        run = SuperNetworkRun(paths, config, vocabulary, communicator)
        teachers, settings = open_teachers(
            paths.teacher,
            paths.teacher_cache,
            config.pretraining,
            train,
            vocabulary,
            rows=run.architecture.vocabulary_size,
            context=run.context,
        )
        config = _settled(dataclasses.replace(config, pretraining=settings), teachers)
        if teachers.features is not None:
            check_features_fit(
                settings.features, run.space, run.architecture, teachers.features.architecture
            )
        masking = Masking(vocabulary, settings.masks.policy, settings.order_seed)
        text = _Text(PretrainingData(train, validation, masking), run, settings, communicator)
        text.check_lengths(teachers)
        run.start(text_questions(train, settings, vocabulary))
        identity = teachers.fingerprints()
        name = paths.teacher.teacher_model
        start = run.numbering(name)
        if start is not None and start.ordered is not None:
            teachers = teachers.in_order_of_student(name, start.folder, start.ordered)
        text.feature_teacher = teachers.features
        return run.train(
            config,
            MaskedTokenLessons(config, run.context, teachers.logits, teachers.features),
            SuperNetworkData(
                text.batches,
                None if validation is None else text.score,
                train.fingerprint,
                None if validation is None else validation.fingerprint,
            ),
            stop_requested,
            feature_teacher=None if teachers.features is None else teachers.features.architecture,
            identity=identity,
        )


class _Text:
    """Batches and held-out scores of masked text.

    Attributes:
        feature_teacher: teacher of the losses on features, which are scored too; None for none.
    """

    def __init__(
        self,
        data: PretrainingData,
        run: SuperNetworkRun,
        settings: PretrainingConfig,
        communicator: Communicator,
    ) -> None:
        self._data = data
        self._settings = settings
        self._communicator = communicator
        self._context = run.context
        self._longest = run.architecture.maximum_length
        self._plan = plan_batches(data.train, settings, communicator.size)
        self._held_out: List[MaskedBatch] = []
        self.feature_teacher: Optional[FeatureTeacher] = None

    def check_lengths(self, teachers: Teachers) -> None:
        """Check that the network and the teacher of features take the longest example."""
        check_lengths(self._plan, self._data.validation, "architecture", self._longest)
        if teachers.features is not None:
            longest = teachers.features.architecture.maximum_length
            check_lengths(self._plan, self._data.validation, "teacher", longest)

    def batches(self, first: int) -> Iterator[List[MaskedBatch]]:
        """Yield the micro-batches of this rank for each batch of the plan from `first`."""
        return planned_batches(self._plan, self._data, self._settings, self._communicator, first)

    def score(self, learner: MaskedTokenLearner) -> Mapping[str, float]:
        """Return held-out scores by name, of the terms that are learnt."""
        if not self._held_out:
            self._held_out = held_out_batches(
                self._data, self._settings, self._communicator, self._longest
            )
        batches, ranks = self._held_out, self._communicator
        scores: Dict[str, float] = {}
        if learner.learns_from_logits:
            found = score_masked_tokens(learner.predict, batches, ranks, self._context)
            scores["mlm_loss"] = found.mlm_loss
            scores["mlm_accuracy"] = found.mlm_accuracy
            scores["perplexity"] = found.perplexity
        teacher = self.feature_teacher
        if teacher is not None:

            def sums(batch: MaskedBatch) -> np.ndarray:
                given = (batch.input_ids, batch.valid_lengths, batch.token_types)
                return learner.feature_sums(batch, teacher.features(*given))

            losses = score_features(sums, batches, ranks)
            scores.update((f"{name}_loss", losses[name]) for name in self._settings.features.losses)
        return scores


def _settled(config: SuperNetworkConfig, teachers: Teachers) -> SuperNetworkConfig:
    """Return the settings, without targets in place if the largest learns no masked tokens.

    Raises:
        InputError: there are no losses, or targets in place are asked for without such a loss.
    """
    objective = config.pretraining.objective
    if objective.mlm_weight > 0 or teachers.logits is not None and objective.teacher_ce_weight > 0:
        return config
    if teachers.features is None:
        raise InputError(
            f"mlm_weight is {objective.mlm_weight!r} and there is no teacher, so there is nothing "
            "to learn; allowed is above 0"
        )
    if config.in_place:
        raise InputError(
            "in_place is true with mlm_weight 0 and teacher_ce_weight 0, so the largest "
            "sub-network learns no masked tokens; allowed is false, or one weight above 0"
        )
    return dataclasses.replace(config, in_place=False)
