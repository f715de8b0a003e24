"""Socrates, the labeller: its protocol, a cache of its answers, and a check of its accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Optional, Protocol, Sequence, Tuple

from bort.agora.examples import Example, Point, PointLabel, content_key
from bort.agora.label_classes import CLASS_IDS, LabelClasses
from bort.agora.store import Answered, AnswerStore
from bort.errors import InputError, WorkError
from bort.ranks import ALONE, Communicator, on_rank_0
from bort.tasks import statistics

LABELS = ("hard", "soft")
MINIMUM_ACCURACY = 2 / 3


@dataclass(frozen=True)
class SocratesAnswer:
    """Socrates' answer for one example.

    Attributes:
        label: class id, or the value of a regression.
        probabilities: one probability per class, summing to 1; None for a regression.
    """

    label: PointLabel
    probabilities: Optional[Tuple[float, ...]] = None

    @classmethod
    def from_probabilities(cls, probabilities: Sequence[float]) -> SocratesAnswer:
        """Return an answer with the most probable class; of equal classes the first.

        >>> SocratesAnswer.from_probabilities([0.25, 0.5, 0.25]).label
        1
        """
        numbers = tuple(float(number) for number in probabilities)
        return cls(numbers.index(max(numbers)), numbers)

    @property
    def confidence(self) -> Optional[float]:
        """The probability of the label; None without probabilities."""
        return None if self.probabilities is None else max(self.probabilities)


class SocratesLabeller(Protocol):
    """A model that labels examples.

    Attributes:
        fingerprint: identifies the model and its settings; stored answers are keyed by it.
    """

    fingerprint: str

    def label(self, examples: Sequence[Example]) -> Sequence[SocratesAnswer]:
        """Return one answer for each example; the same for the same examples."""


class CachedSocrates:
    """A labeller that computes each answer only once and stores it.

    Rank 0 computes and writes answers, the other ranks read them. Examples are labelled in chunks
    of a fixed size, and a chunk is stored as a whole, so a resumed run forms the same chunks. This
    matters because batching can change the last bits of a probability.

    Args:
        labeller: Socrates; called only for examples without a stored answer.
        store: stores the answers; None keeps them in memory only.
        communicator: the ranks; all of them call `label` with the same examples.
        chunk: number of examples per call of the labeller.
    """

    def __init__(
        self,
        labeller: SocratesLabeller,
        store: Optional[AnswerStore] = None,
        *,
        communicator: Communicator = ALONE,
        chunk: int = 64,
    ) -> None:
        assert store is not None or communicator.size == 1
        self.fingerprint = labeller.fingerprint
        self._labeller = labeller
        self._store = store
        self._communicator = communicator
        self._chunk = chunk
        self._known: Dict[str, SocratesAnswer] = {}

    def label(self, examples: Sequence[Example]) -> List[SocratesAnswer]:
        """Return one answer for each example.

        Raises:
            WorkError: Socrates does not answer every example, or a number is not finite.
        """
        keys = [content_key([self.fingerprint, example.segments]) for example in examples]
        self._read()
        missing = {key: e for key, e in zip(keys, examples) if key not in self._known}
        on_rank_0(self._communicator, lambda: self._ask_in_chunks(list(missing.items())))
        self._read()  # what rank 0 has written
        return [self._known[key] for key in keys]

    @property
    def answers(self) -> Dict[str, Answered]:
        """All answers so far by key, in the form of `AnswerStore.append`."""
        return {key: (one.label, one.probabilities) for key, one in self._known.items()}

    def _ask_in_chunks(self, items: Sequence[Tuple[str, Example]]) -> None:
        for start in range(0, len(items), self._chunk):
            self._ask(items[start : start + self._chunk])

    def _ask(self, items: Sequence[Tuple[str, Example]]) -> None:
        answers = self._labeller.label([example for _, example in items])
        if len(answers) != len(items):
            raise WorkError(f"Socrates answered {len(answers)} of {len(items)} examples")
        for answer in answers:
            if not all(map(math.isfinite, (answer.label, *(answer.probabilities or ())))):
                raise WorkError(f"Socrates' answer is {answer}, allowed are finite numbers")
        found = {key: answer for (key, _), answer in zip(items, answers)}
        if self._store is None:
            self._known.update(found)
            return
        values = {key: (answer.label, answer.probabilities) for key, answer in found.items()}
        self._store.append(values)

    def _read(self) -> None:
        if self._store is not None:
            for key, (label, probabilities) in self._store.load().items():
                self._known[key] = SocratesAnswer(label, probabilities)


@dataclass(frozen=True)
class SocratesCheck:
    """Socrates' scores on the dev set, by classes; see `LabelClasses` for a regression.

    Attributes:
        accuracy: share of answers with the class of the gold label.
        matthews: Matthews correlation with the gold labels; 0 for the majority class.
    """

    accuracy: float
    matthews: float

    @property
    def is_strong(self) -> bool:
        """Whether the accuracy is above 2/3 and the Matthews correlation above 0."""
        return self.accuracy > MINIMUM_ACCURACY and self.matthews > 0


def check_socrates(
    answers: Sequence[SocratesAnswer],
    dev: Sequence[Point],
    classes: LabelClasses = CLASS_IDS,
    *,
    allow_weak: bool = False,
) -> SocratesCheck:
    """Compare Socrates with the gold labels of the dev set.

    The bound of 2/3 is from arXiv 2010.07990. The bound on the Matthews correlation is ours: where
    the majority class has more than 2/3 of the examples, always predicting it passes the first one.

    Raises:
        InputError: Socrates is too weak and `allow_weak` is false.
    """
    labels = [classes.of(answer.label) for answer in answers]
    gold = [classes.of(point.label) for point in dev]
    check = SocratesCheck(
        statistics.accuracy(labels, gold), statistics.matthews_correlation(labels, gold)
    )
    if not check.is_strong and not allow_weak:
        raise InputError(
            f"Socrates is too weak: its dev accuracy is {check.accuracy:.4f} and its Matthews "
            f"correlation {check.matthews:.4f}, needed are more than 2/3 and more than 0 "
            "(--allow_weak_socrates continues anyway)"
        )
    return check


def points_from(
    examples: Sequence[Example], answers: Sequence[SocratesAnswer], labels: str
) -> List[Point]:
    """Return points made of examples and Socrates' answers.

    Args:
        examples: the labelled examples.
        answers: one answer for each example.
        labels: one of `LABELS`; `soft` keeps the probabilities for distillation, `hard` drops them.

    Raises:
        InputError: labels are soft and an answer has no probabilities.
    """
    assert labels in LABELS
    points = []
    for example, answer in zip(examples, answers):
        if labels == "soft" and answer.probabilities is None:
            raise InputError("labels is 'soft', but Socrates gives no probabilities")
        kept = answer.probabilities if labels == "soft" else None
        points.append(Point(example, answer.label, kept, from_socrates=True))
    return points
