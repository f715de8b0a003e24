"""Small sample models of Timaeus and Socrates, to try Agora without trained models."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Tuple

import mxnet as mx

from bort.architecture import get_architecture
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.network.array_network import describe_network
from bort.gluon.network.model import BortModel
from bort.gluon.network.model_folder import save_model_folder
from bort.ranks import Communicator, SingleProcess, on_rank_0
from bort.storage.files import move_into_place, new_folder, temporary_folder
from bort.storage.locks import hold_folder
from bort.storage.run_folder import MODEL_FOLDER
from bort.storage.unfinished import remove_remains
from bort.tasks.judging import TaskData
from bort.training.finetuning_config import FinetuningConfig

log = logging.getLogger(__name__)


def make_sample_models(
    folder: Path, data: TaskData, architecture: str, max_len: int, communicator: Communicator
) -> Tuple[Path, Path]:
    """Make a small random model, Timaeus, and a model fine-tuned from it on the task, Socrates.

    Rank 0 makes the models that do not exist yet; the other ranks wait. Every call makes the same
    models.

    Args:
        folder: folder of both model folders.
        data: the task.
        architecture: architecture of the models, see `get_architecture`.
        max_len: longest input in tokens.
        communicator: the ranks.

    Returns:
        The folders of Timaeus and Socrates.

    Raises:
        InputError: another process is making them.
    """
    # Each report split has its own Socrates, which is not trained on that split.
    name = "socrates" if data.held_out is None else f"socrates-{data.held_out[:12]}"
    timaeus, socrates = folder / "timaeus", folder / name

    def make() -> None:
        with hold_folder(folder):
            remove_remains(folder)
            make_missing()

    def make_missing() -> None:
        log.info("making a small Timaeus with random weights and a Socrates in %s", folder)
        if not timaeus.exists():
            mx.random.seed(0)
            model = BortModel(
                get_architecture(architecture).replace(vocabulary_size=len(data.vocabulary))
            )
            model.initialize()
            described = describe_network(model, vocabulary_fingerprint=data.vocabulary.fingerprint)
            with new_folder(timaeus, clean=True) as making:
                save_model_folder(making, model, described)
                data.vocabulary.save(making / "vocabulary")
        if not socrates.exists():
            config = FinetuningConfig(epochs=8, lr=1e-3, weight_decay=0.0, max_len=max_len)
            make_socrates(socrates, data, timaeus, config)

    on_rank_0(communicator, make)
    return timaeus, socrates


def make_socrates(
    folder: Path, data: TaskData, pretrained: Path, config: FinetuningConfig
) -> Dict[str, Any]:
    """Fine-tune a model on a task, and write the model folder `folder` atomically.

    Args:
        folder: the model folder, which must not exist.
        data: the task.
        pretrained: folder of the model to start from.
        config: settings of the fine-tuning.

    Returns:
        The summary of `run_finetuning`.
    """
    start = StartingPoint(str(pretrained), "")
    with temporary_folder(folder, clean=True) as making:
        result = run_finetuning(data, start, config, making, SingleProcess())
        move_into_place(making / MODEL_FOLDER, folder)
    return result
