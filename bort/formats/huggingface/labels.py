"""The names and the meaning of a classifier's outputs in a `config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from bort.errors import InputError
from bort.network.head import check_problem_type


def label_names(config: Mapping[str, Any], classes: int, path: Path) -> Tuple[str, ...]:
    """Return the names of the outputs; () if they are only numbered.

    Args:
        config: the fields of the config.
        classes: number of outputs.
        path: path of the config, for errors.

    Raises:
        InputError: the config names another number of outputs, a name occurs twice, or two fields
            contradict each other.
    """
    count = config.get("num_labels")
    if count is not None and (type(count) is not int or count != classes):
        raise InputError(f"{path}: num_labels is {count!r}, the model has {classes} outputs")
    names = config.get("id2label") or _inverse(config.get("label2id"))
    if not names:
        return ()
    if not isinstance(names, dict) or set(names) != {str(n) for n in range(len(names))}:
        raise InputError(f"{path}: id2label does not name the outputs 0, 1, …")
    if len(names) != classes:
        raise InputError(f"{path}: id2label names {len(names)} labels, the model has {classes}")
    ordered = tuple(str(names[str(number)]) for number in range(classes))
    _check_names(config, ordered, path)
    numbered = tuple(f"LABEL_{number}" for number in range(classes))
    return () if ordered == numbered else ordered


def _inverse(numbers: Any) -> Any:
    """Return `id2label` from `label2id`, for a config that has the latter only."""
    if not isinstance(numbers, dict):
        return numbers
    return {str(number): label for label, number in numbers.items()}


def _check_names(config: Mapping[str, Any], labels: Tuple[str, ...], path: Path) -> None:
    """Check that no label occurs twice, and that `label2id` does not contradict `id2label`."""
    ids: Dict[str, int] = {}
    for number, label in enumerate(labels):
        if ids.setdefault(label, number) != number:
            raise InputError(
                f"{path}: id2label names {label!r} twice, allowed is one output a name"
            )
    given = config.get("label2id")
    for label, number in given.items() if isinstance(given, dict) else ():
        if label in ids and str(number) != str(ids[label]):
            raise InputError(
                f"{path}: label2id.{label} is {number!r}, but id2label has it as {ids[label]}"
            )


def problem_type_in(config: Mapping[str, Any], classes: int) -> str:
    """Return the meaning of the outputs; "" if the config does not say it.

    Args:
        config: the fields of the config.
        classes: number of outputs.

    Raises:
        InputError: the problem type is unknown, or does not fit the number of outputs.
    """
    value = config.get("problem_type")
    if value is None:
        return ""
    check_problem_type(value, classes)
    return str(value)
