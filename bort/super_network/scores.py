"""Scores of a super-network's sub-networks on disk, and their table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

from bort.architecture import Architecture
from bort.errors import InputError
from bort.process.text_table import text_table
from bort.storage.json_fields import JsonFields, errors_naming, read_fields
from bort.storage.result_store import KeyedStore
from bort.super_network.parts import part_name
from bort.tasks.metrics import mean_score

EVALUATION_FILE = "evaluation.json"
"""Settings of an evaluation in its folder."""

PART_SCORES = "scores"
"""Start of the names of the files with scores."""

MASKED_TOKEN_LOSS = "mlm_loss"
"""Metric of a masked-token model that is better when lower."""


@dataclass(frozen=True)
class PartScore:
    """The scores of one sub-network.

    Attributes:
        architecture: sizes of the sub-network.
        length: tokens of the sequence whose multiply-adds are counted.
        metrics: scores by name of metric.
    """

    architecture: Architecture
    length: int
    metrics: Mapping[str, float]

    @property
    def score(self) -> float:
        """The masked-token loss, where less is better, or the mean of a task's metrics."""
        loss = self.metrics.get(MASKED_TOKEN_LOSS)
        return mean_score(self.metrics) if loss is None else loss

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields of a line in the store, which `from_fields` reads."""
        return {
            "name": part_name(self.architecture),
            "architecture": self.architecture.as_dict(),
            "parameters": self.architecture.parameter_count(),
            "multiply_adds": self.architecture.multiply_adds(1, self.length),
            "length": self.length,
            "metrics": dict(self.metrics),
            "score": self.score,
        }

    @classmethod
    def from_fields(cls, fields: JsonFields) -> PartScore:
        """Return the scores in a line.

        Raises:
            InputError: a field is missing or bad; the message names file and line.
        """
        with errors_naming(fields.source):
            architecture = Architecture.from_dict(fields.fields("architecture").values)
        metrics = fields.fields("metrics").all_numbers()
        if not metrics:
            raise InputError(f"{fields.source}: metrics is {{}}, allowed is at least one")
        length = fields.integer("length", 1, architecture.maximum_length)
        return cls(architecture, length, metrics)


class ScoreStore(KeyedStore[Architecture, PartScore]):
    """The scores of an evaluation in its folder, in files `scores-rank<n>.jsonl`.

    Of a sub-network that was scored twice, the first scores count.

    Args:
        folder: folder of the evaluation.
        rank: rank whose file `append` writes.
    """

    def __init__(self, folder: Path, rank: int) -> None:
        super().__init__(
            folder, rank, PART_SCORES, PartScore.from_fields, lambda one: one.architecture
        )


def recorded_score(folder: Path, super_network: str, architecture: Architecture) -> PartScore:
    """Return the scores of a sub-network in the folder of an evaluation.

    Args:
        folder: folder of scripts/evaluate_architectures.py.
        super_network: fingerprint of the super-network.
        architecture: sizes of the sub-network.

    Raises:
        InputError: the folder holds no evaluation, one of another super-network, or no scores of
            this sub-network.
    """
    fields = read_fields(folder / EVALUATION_FILE)
    evaluated = fields.text("super_network")
    if evaluated != super_network:
        raise InputError(
            f"{fields.source}: super_network is {evaluated[:12]!r}, allowed is that of the given "
            f"super-network, {super_network[:12]!r}"
        )
    if fields.has("tasks"):
        raise InputError(
            f"{fields.source}: its scores are those of fine-tuned models; allowed are scores "
            "without training, of scripts/evaluate_architectures.py without --tasks"
        )
    scores = ScoreStore(folder, 0).load()
    if architecture not in scores:
        raise InputError(
            f"{folder}: holds no score of {part_name(architecture)}, evaluate it first"
        )
    return scores[architecture]


def best_first(scores: Sequence[PartScore]) -> List[PartScore]:
    """Return scores by falling quality; of equal ones, the one with fewer parameters first."""

    def key(one: PartScore) -> Any:
        lower_is_better = MASKED_TOKEN_LOSS in one.metrics
        value = one.score if lower_is_better else -one.score
        return (value, one.architecture.parameter_count(), one.architecture)

    return sorted(scores, key=key)


def score_rows(scores: Sequence[PartScore]) -> str:
    """Return a table of scores in the given order.

    >>> part = Architecture(2, 2, 16, 32, vocabulary_size=100, maximum_length=8)
    >>> print(score_rows([PartScore(part, 8, {"accuracy": 0.75})]))
    D-A-H-I-Q     parameters  multiply-adds  accuracy
    2-2-16-32-16       6,208         36,864    0.7500
    """
    metrics = list(dict.fromkeys(name for one in scores for name in one.metrics))
    lines = [("D-A-H-I-Q", "parameters", "multiply-adds", *metrics)]
    for one in scores:
        values = one.as_dict()
        numbers = [f"{one.metrics[name]:.4f}" if name in one.metrics else "" for name in metrics]
        lines.append(
            (
                values["name"],
                f"{values['parameters']:,}",
                f"{values['multiply_adds']:,}",
                *numbers,
            )
        )
    return text_table(lines, "<>")
