"""Descriptions of the models that are trained on a task."""

from __future__ import annotations

from typing import Any, Dict

from bort.gluon.network.array_network import describe_network
from bort.gluon.network.networks import HeadedNetwork
from bort.network.description import ModelDescription, TaskDescription
from bort.tasks.formulations import input_labels
from bort.tasks.judging import TaskData
from bort.tasks.own.task import definition_of
from bort.text.pair_form import ROBERTA_PAIRS
from bort.training.finetuning_config import FinetuningConfig


def describe_for_task(
    network: HeadedNetwork, data: TaskData, config: FinetuningConfig
) -> ModelDescription:
    """Return the description of a network for a task, without scores."""
    return describe_network(
        network,
        labels=input_labels(data.record, data.options),
        vocabulary_fingerprint=data.vocabulary.fingerprint,
        notes={"training": config.as_dict()},
        **task_fields(data, config.max_len),
    )


def task_fields(data: TaskData, longest: int) -> Dict[str, Any]:
    """Return the fields of a `ModelDescription` that say what a model was trained on.

    Args:
        data: data of the task.
        longest: longest input, in tokens.
    """
    return {
        "task": TaskDescription(
            data.record.name, data.options.as_dict(), data.held_out, definition_of(data.record)
        ),
        "input_length": longest,
        # A fine-tuned model without a record has this form; see `ModelDescription.pair_form`.
        "pairs": None if data.pairs == ROBERTA_PAIRS else data.pairs,
    }
