"""Students and teachers with random weights, and random examples, for benchmarks."""

from __future__ import annotations

from typing import Tuple

import mxnet as mx
import numpy as np

from bort.architecture import Architecture, get_architecture
from bort.gluon.network.model import BortModel
from bort.gluon.pretraining.pretrain import PretrainingData
from bort.gluon.teacher.live import GluonTeacher
from bort.text.masking import Masking
from bort.text.masking_config import TrainingMasks
from bort.training.pretraining_config import PretrainingConfig


class RandomVocabulary:
    """A vocabulary without text, with the special ids of RoBERTa."""

    bos_id, pad_id, eos_id, unk_id = 0, 1, 2, 3
    fingerprint = "random"
    pair_separators, pair_second_type, pair_recorded = 2, 0, True

    def __init__(self, size: int) -> None:
        self._size = size
        self.mask_id = size - 1
        self.special_ids = (0, 1, 2, 3, size - 1)
        self.starts_word = np.ones(size, dtype=bool)

    def __len__(self) -> int:
        return self._size


class RandomExamples:
    """Full sequences of random tokens whose frequencies follow Zipf's law, as in text."""

    vocabulary_fingerprint = "random"

    def __init__(self, count: int, length: int, size: int) -> None:
        generator = np.random.default_rng(0)
        odds = 1.0 / np.arange(10, size - 5 + 10)
        words = generator.choice(size - 5, size=(count, length - 2), p=odds / odds.sum()) + 4
        self._rows = np.pad(words.astype(np.int32), ((0, 0), (1, 1)))
        self._rows[:, -1] = 2
        self.lengths = np.full(count, length)
        self.fingerprint = f"random-{count}-{length}"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, example_id: int) -> np.ndarray:
        return self._rows[example_id]


def settings(batch_size: int, length: int, predictions: int, steps: int) -> PretrainingConfig:
    """Return settings that give a full sequence of `length` tokens `predictions` masks."""
    return PretrainingConfig(
        num_steps=steps,
        batch_size=batch_size,
        masks=TrainingMasks(min(1.0, predictions / (length - 2)), predictions),
    )


def make_student_and_teacher(student: str, teacher: str) -> Tuple[BortModel, GluonTeacher]:
    """Return a student and a teacher with random weights and the student's vocabulary."""
    model = make_student(student)
    return model, make_teacher(teacher, model.architecture)


def make_student(student: str) -> BortModel:
    """Return a student with random weights, which are the same at every call."""
    mx.random.seed(0)
    model = BortModel(get_architecture(student))
    model.initialize()
    return model


def make_teacher(teacher: str, student: Architecture) -> GluonTeacher:
    """Return a teacher with random weights and the student's vocabulary size."""
    shape = get_architecture(teacher).replace(
        vocabulary_size=student.vocabulary_size, maximum_length=student.maximum_length
    )
    network = BortModel(shape, dropout=0.0)
    network.collect_params().setattr("grad_req", "null")
    network.initialize()
    return GluonTeacher(network, shape)


def make_data(config: PretrainingConfig, length: int, size: int, examples: int) -> PretrainingData:
    """Return random examples with the masks of `config`."""
    masking = Masking(RandomVocabulary(size), config.masks.policy, config.order_seed)
    return PretrainingData(RandomExamples(examples, length, size), None, masking)
