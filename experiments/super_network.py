"""The training of a super-network, from its data to its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from bort.architecture import get_architecture
from bort.errors import InputError
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.gluon.distributed import find_communicator
from bort.gluon.network.teacher_start import folder_to_start_from
from bort.gluon.super_network.task_run import train_on_task
from bort.gluon.super_network.text_run import train_on_text
from bort.ranks import Communicator
from bort.storage.run_folder import MODEL_FOLDER
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.folder import SUPER_NETWORK_FILE
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import OwnDataConfig
from bort.tasks.records import TaskRecord
from bort.text.pair_form import PairForm, natural_pair_form
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary
from data.corpus.shards import open_examples, open_held_out, open_vocabulary
from data.tasks.own_description import resolve_task
from data.tasks.sets import open_task_data
from data.tasks.unlabelled import open_unlabelled

StopRequested = Callable[[], bool]


def make_super_network(
    paths: SuperNetworkPaths,
    config: SuperNetworkConfig,
    options: TaskOptions,
    reading: OwnDataConfig,
    stop_requested: StopRequested,
) -> Optional[Dict[str, Any]]:
    """Train a super-network on masked text or on a task.

    Args:
        paths: data, teacher, start and folder of the run, and the space.
        config: settings of the training.
        options: the formulation of a task's items as inputs.
        reading: how a file of labelled texts is read, if it is the task.
        stop_requested: returns whether the run should end early.

    Returns:
        The summary of the run; None on ranks other than 0.

    Raises:
        InputError: data, start, teacher, space and folder do not fit together.
    """
    communicator = find_communicator()
    if paths.task_name is None:
        reading.check_unused(f"the text {paths.data!r}")
        summary = _on_text(paths, config, communicator, stop_requested)
    else:
        record = resolve_task(paths.task_name, reading)
        summary = _on_task(record, paths, config, options, communicator, stop_requested)
    return summary if communicator.rank == 0 else None


def _on_text(
    paths: SuperNetworkPaths,
    config: SuperNetworkConfig,
    communicator: Communicator,
    stop_requested: StopRequested,
) -> Dict[str, Any]:
    assert paths.data is not None
    vocabulary = open_vocabulary(paths.data, paths.vocab)
    train = open_examples(paths.data, "train", vocabulary)
    held_out = open_held_out(paths.data_eval, vocabulary) if paths.data_eval else None
    return train_on_text(paths, config, train, held_out, vocabulary, communicator, stop_requested)


def _on_task(
    record: TaskRecord,
    paths: SuperNetworkPaths,
    config: SuperNetworkConfig,
    options: TaskOptions,
    communicator: Communicator,
    stop_requested: StopRequested,
) -> Dict[str, Any]:
    model = _model_to_start_from(paths)
    if paths.vocab is None and model is None:
        raise InputError("vocab and start are both missing, a task needs one of them")
    vocabulary = load_vocabulary(paths.vocab or str(vocabulary_of(str(model))))
    data = open_task_data(
        record,
        vocabulary,
        options,
        config.max_len,
        data_dir=paths.data_dir,
        sample=paths.sample,
        pairs=_pair_form(paths, model, vocabulary),
    )
    if paths.unlabelled is not None:
        unlabelled = open_unlabelled(
            paths.unlabelled, data, config.max_len, data_dir=paths.data_dir
        )
        data = dataclasses.replace(data, unlabelled=unlabelled)
    return train_on_task(paths, config, data, communicator, stop_requested)


def _model_to_start_from(paths: SuperNetworkPaths) -> Optional[Path]:
    """Return the model folder that the network starts from; None for random weights."""
    if paths.start is None:
        return None
    folder = Path(folder_to_start_from(paths.start, paths.teacher.teacher_model, flag="start"))
    if not folder.is_dir():
        raise InputError(f"start is {str(folder)!r}: no such folder")
    return folder / MODEL_FOLDER if (folder / SUPER_NETWORK_FILE).exists() else folder


def _pair_form(paths: SuperNetworkPaths, model: Optional[Path], vocabulary: Vocabulary) -> PairForm:
    if model is None:
        types = (
            0 if paths.architecture is None else get_architecture(paths.architecture).token_types
        )
        return natural_pair_form(vocabulary, types)
    return read_folder_description(str(model)).pair_form(vocabulary)
