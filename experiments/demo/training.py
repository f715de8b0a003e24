"""Training of the demonstration's models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import mxnet as mx
import numpy as np

from bort.architecture import Architecture, get_architecture
from bort.gluon.network.array_network import as_network, describe_network
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.pretraining.evaluation import MaskedTokenScore
from bort.gluon.pretraining.pretrain import PretrainingData, PretrainingHooks, pretrain
from bort.gluon.teacher.live import GluonTeacher
from bort.network.array_network import ArrayNetwork
from bort.ranks import SingleProcess
from bort.report.learning_curves import Curve
from bort.teacher.answers import TeacherAnswers
from bort.text.examples import ExampleSource
from bort.text.masking import Masking
from bort.text.vocabulary import Vocabulary
from bort.training.clock import TrainingClock
from bort.training.objective import WITHOUT_TEACHER, Objective
from bort.training.pretraining_config import PretrainingConfig
from experiments.demo.plan import DemoConfig

INITIALIZER_RANGE = 0.06
"""Standard deviation of initial weights. With the usual 0.02, these narrow models stay at word
frequencies for many steps."""


class Selection:
    """A subset of the examples of a source; implements `bort.text.examples.ExampleSource`.

    Args:
        source: the source.
        numbers: the numbers of the examples, an integer array.
    """

    def __init__(self, source: ExampleSource, numbers: np.ndarray) -> None:
        self._source = source
        self._numbers = numbers
        self.lengths = np.asarray(source.lengths)[numbers]
        self.vocabulary_fingerprint = source.vocabulary_fingerprint
        self.fingerprint = f"{source.fingerprint}-{len(numbers)}"

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, example_id: int) -> np.ndarray:
        return self._source[int(self._numbers[example_id])]


@dataclass(frozen=True)
class Text:
    """The text of the demonstration: training examples, held-out examples and vocabulary."""

    train: ExampleSource
    held_out: ExampleSource
    vocabulary: Vocabulary

    def with_masks(self, config: PretrainingConfig) -> PretrainingData:
        """Return the data of a training, with the masks of its settings."""
        masking = Masking(self.vocabulary, config.masks.policy, config.order_seed)
        return PretrainingData(self.train, self.held_out, masking)


def evenly_chosen(source: ExampleSource, count: int) -> ExampleSource:
    """Return at most `count` examples, evenly spaced over the source."""
    if len(source) <= count:
        return source
    return Selection(source, np.linspace(0, len(source) - 1, count).astype(np.int64))


def unigram_accuracy(text: Text) -> float:
    """Return the share of held-out tokens that are the most frequent token of the training text."""
    size = len(text.vocabulary)
    special = list(text.vocabulary.special_ids)
    train = np.zeros(size, dtype=np.int64)
    for example in range(min(len(text.train), 5_000)):
        train += np.bincount(text.train[example], minlength=size)
    train[special] = 0
    held_out = np.zeros(size, dtype=np.int64)
    for example in range(len(text.held_out)):
        held_out += np.bincount(text.held_out[example], minlength=size)
    held_out[special] = 0
    return float(held_out[int(train.argmax())] / max(1, held_out.sum()))


def teacher_settings(config: DemoConfig) -> PretrainingConfig:
    """Return the settings of the teacher, which trains on the masked-token loss alone."""
    return PretrainingConfig(
        seed=config.seed,
        num_steps=config.teacher_steps,
        batch_size=config.batch_size,
        batch_size_eval=config.batch_size,
        lr=config.teacher_lr,
        warmup_ratio=0.1,
        dropout=config.dropout,
        initializer_range=INITIALIZER_RANGE,
        objective=WITHOUT_TEACHER,
        eval_interval=max(1, config.teacher_steps // 4),
        log_interval=50,
    )


def student_settings(config: DemoConfig, seed: int, distilled: bool) -> PretrainingConfig:
    """Return the settings of a student.

    The students of a seed see the same examples in the same order with the same masks.

    Args:
        config: settings of the demonstration.
        seed: seed of initial weights, dropout, order and masks.
        distilled: train by distillation with the paper's loss weights; otherwise self-supervised,
            with the masked-token loss alone.
    """
    return PretrainingConfig(
        seed=config.seed + 1 + seed,
        data_seed=config.seed + seed,
        num_steps=config.student_steps,
        batch_size=config.batch_size,
        batch_size_eval=config.batch_size,
        lr=config.student_lr,
        warmup_ratio=0.1,
        dropout=config.dropout,
        initializer_range=INITIALIZER_RANGE,
        eval_interval=max(1, config.student_steps // config.evaluations),
        log_interval=50,
        objective=Objective() if distilled else WITHOUT_TEACHER,
    )


def architecture_for(name: str, text: Text, config: DemoConfig) -> Architecture:
    """Return a named architecture with the demonstration's vocabulary size and length."""
    return get_architecture(name).replace(
        vocabulary_size=len(text.vocabulary), maximum_length=config.max_seq_length
    )


def train_model(
    title: str,
    architecture: Architecture,
    settings: PretrainingConfig,
    data: PretrainingData,
    teacher: Optional[TeacherAnswers] = None,
    on_step_done: Optional[Callable[[], None]] = None,
    network: Optional[ArrayNetwork] = None,
) -> Tuple[BortModel, Curve]:
    """Train one model.

    Args:
        title: the title of the progress bar.
        architecture: the architecture of the model.
        settings: the settings of the training.
        data: training and held-out examples.
        teacher: answers of the teacher, for distillation.
        on_step_done: called after each step; if given, no progress bar is shown.
        network: initial weights of this architecture; None draws them.

    Returns:
        The model, and its held-out scores against steps and training seconds.
    """
    mx.random.seed(settings.seed)
    if network is None:
        model = BortModel(architecture, dropout=settings.dropout)
        model.initialize(mx.init.Normal(settings.initializer_range))
    else:
        model = as_network(network, grad_req="write")
    clock = TrainingClock()
    steps: List[float] = []
    seconds: List[float] = []
    values: Dict[str, List[float]] = {"mlm_loss": [], "mlm_accuracy": [], "perplexity": []}

    def on_step(step: int, report: Any) -> None:
        if on_step_done is not None:
            on_step_done()

    def on_evaluation(step: int, score: MaskedTokenScore) -> None:
        steps.append(step)
        seconds.append(clock.training_seconds)
        for name in values:
            values[name].append(getattr(score, name))

    hooks = PretrainingHooks(
        on_step=on_step,
        on_evaluation=on_evaluation,
        title=title,
        show_progress=on_step_done is None,
        clock=clock,
    )
    pretrain(model, data, settings, SingleProcess(), mx.cpu(), teacher=teacher, hooks=hooks)
    frozen = {name: tuple(column) for name, column in values.items()}
    return model, Curve(tuple(steps), tuple(seconds), frozen)


def train_teacher(config: DemoConfig, text: Text, folder: Path) -> Tuple[GluonTeacher, Curve]:
    """Train the teacher and save it as a model folder.

    Returns:
        The teacher, and its held-out scores during the training.
    """
    settings = teacher_settings(config)
    architecture = architecture_for(config.teacher, text, config)
    data = text.with_masks(settings)
    model, curve = train_model("teacher", architecture, settings, data)
    described = describe_network(model, vocabulary_fingerprint=text.vocabulary.fingerprint)
    save_model_folder(folder, model, described)
    text.vocabulary.save(folder / "vocabulary")
    return GluonTeacher(model, architecture), curve
