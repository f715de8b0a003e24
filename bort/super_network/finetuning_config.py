"""The settings of an evaluation that fine-tunes many sub-networks on tasks."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.tasks.own.task_file import find_task
from bort.tasks.records import TaskRecord
from bort.training.finetuning_config import FinetuningConfig

BERT_RECIPE, AUTOTINYBERT_RECIPE = "bert", "autotinybert"

_BERT: Mapping[str, Any] = {
    "epochs": 3,
    "max_len": 128,
    "lr": 5e-5,
    "lr_floor": 0.0,
    "batch_size": 32,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "head": "release",
    "keep_checkpoints": 1,
}
_SQUAD = {"epochs": 4, "max_len": 384, "lr": 3e-5, "batch_size": 16}


def _of_task(epochs: int, max_len: int, lr: float) -> Mapping[str, Any]:
    return {"epochs": epochs, "max_len": max_len, "lr": lr}


_AUTOTINYBERT: Mapping[str, Mapping[str, Any]] = {
    "CoLA": _of_task(10, 64, 1e-5),
    "MNLI": _of_task(4, 128, 3e-5),
    "MRPC": _of_task(10, 128, 2e-5),
    "SST-2": _of_task(4, 64, 2e-5),
    "STS-B": _of_task(10, 128, 3e-5),
    "QQP": _of_task(5, 128, 2e-5),
    "QNLI": _of_task(10, 128, 2e-5),
    "RTE": _of_task(10, 128, 2e-5),
    "SQuAD1.1": _SQUAD,
    "SQuAD2.0": _SQUAD,
}


def recipe_of(recipe: str, task: str) -> Dict[str, Any]:
    """Return the settings of `FinetuningConfig` that a recipe has for a task.

    `bert` is that of arXiv:1810.04805 for every task but SQuAD. `autotinybert` has the epochs,
    lengths, rates and batch sizes of the evaluation program of arXiv:2107.13686; a task that it
    lacks has those of `bert`.

    Args:
        recipe: `bert` or `autotinybert`.
        task: name of a task.

    >>> recipe_of("autotinybert", "CoLA")["max_len"], recipe_of("bert", "CoLA")["max_len"]
    (64, 128)
    """
    tasks = _AUTOTINYBERT
    if recipe == BERT_RECIPE:
        tasks = {name: values for name, values in _AUTOTINYBERT.items() if values is _SQUAD}
    return {**_BERT, **tasks.get(task, {})}


@dataclasses.dataclass(frozen=True)
class PartFinetuningConfig(Config):
    """Tasks and settings of the fine-tuning of sub-networks."""

    tasks: Optional[Tuple[str, ...]] = setting(
        None,
        "tasks, such as RTE STS-B, or task files, on which each sub-network of a masked-token "
        "super-network is fine-tuned; default: sub-networks are scored without training",
    )
    seeds: int = setting(
        1,
        "number of fine-tuning runs of each sub-network on each task, from --seed on",
        minimum=1,
        maximum=10_000,
    )
    recipe: str = setting(
        BERT_RECIPE,
        "settings of the fine-tuning that no flag gives: bert (3 epochs, length 128, rate 5e-5, "
        "batches of 32; SQuAD as AutoTinyBERT), autotinybert (its own ones of each task)",
        choices=(BERT_RECIPE, AUTOTINYBERT_RECIPE),
    )
    epochs: Optional[int] = setting(
        None,
        "passes over the training data; default: of --recipe",
        minimum=1,
        maximum=1_000_000,
    )
    max_len: Optional[int] = setting(
        None, "longest input in tokens; default: of --recipe", minimum=8, maximum=1 << 15
    )
    lr: Optional[float] = setting(None, "peak learning rate; default: of --recipe", above=0.0)
    train_batch_size: Optional[int] = setting(
        None,
        "inputs of a training step, at most all of them; default: of --recipe",
        minimum=1,
        maximum=1 << 16,
    )
    warmup_ratio: Optional[float] = setting(
        None, "share of the steps for the warm-up; default: 0.1", minimum=0.0, maximum=1.0
    )
    weight_decay: Optional[float] = setting(
        None, "weight decay of BERTAdam; default: 0.01", minimum=0.0
    )
    dropout: Optional[float] = setting(
        None, "dropout probability of encoder and head; default: 0.1", minimum=0.0, maximum=0.9
    )
    early_stop: Optional[int] = setting(
        None, "stop after this many epochs without a better dev score; default: never", minimum=1
    )
    cache_dir: Optional[str] = setting(
        None, "with --tasks: folder for tokenised data sets; default: they are not stored"
    )
    keep_models: bool = setting(
        False, "with --tasks: keep the fine-tuned models in --output_dir", speed_only=True
    )

    def check(self) -> None:
        """Check that the tasks exist and can be trained."""
        if self.tasks is not None and not self.tasks:
            raise InputError("tasks is empty, allowed is at least one task")
        for record in self.records():
            if not record.trains:
                raise InputError(
                    f"tasks has {record.name!r}, which has no training data, allowed is "
                    f"{record.model_task!r}"
                )

    def records(self) -> Tuple[TaskRecord, ...]:
        """Return the records of the tasks, each once.

        Raises:
            InputError: a task is unknown, or two have the same name.
        """
        found = tuple(dict.fromkeys(find_task(name) for name in self.tasks or ()))
        names = [record.name for record in found]
        if len(set(names)) < len(names):
            raise InputError(f"tasks has two different tasks with one name: {', '.join(names)}")
        return found

    def settings_of(self, task: str, batch_size_eval: int = 32) -> FinetuningConfig:
        """Return the settings of fine-tuning on a task: those of the flags, then of the recipe.

        Args:
            task: name of the task.
            batch_size_eval: inputs per batch in evaluation.
        """
        own = ("epochs", "max_len", "lr", "warmup_ratio", "weight_decay", "dropout", "early_stop")
        given = {name: getattr(self, name) for name in own}
        given["batch_size"] = self.train_batch_size
        chosen = {name: value for name, value in given.items() if value is not None}
        fixed = {"batch_size_eval": batch_size_eval}
        return FinetuningConfig.from_dict({**recipe_of(self.recipe, task), **chosen, **fixed}, task)
