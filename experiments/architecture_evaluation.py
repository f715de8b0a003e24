"""Scoring of a super-network's sub-networks on held-out text or on a task's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.distributed import find_communicator
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.super_network.evaluation import (
    MaskedTokenScorer,
    PartScorer,
    TaskScorer,
    evaluate_parts,
)
from bort.network.model_folder import MODEL_DESCRIPTION_FILE
from bort.storage.outputs import check_output_folder
from bort.storage.run_folder import MODEL_FOLDER
from bort.super_network.evaluation_config import PartEvaluationConfig, PartEvaluationPaths
from bort.super_network.folder import SuperNetwork, open_super_network
from bort.super_network.parts import read_parts
from bort.tasks.records import DEV, TaskRecord
from data.corpus.shards import open_held_out
from data.tasks.evaluation import open_labelled_set


def evaluate_architectures(
    paths: PartEvaluationPaths,
    config: PartEvaluationConfig,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[str, Any]]:
    """Score the sub-networks that `paths` names.

    Args:
        paths: the super-network, sub-networks, data and folder.
        config: settings of the evaluation.
        stop_requested: returns whether the evaluation should end early.

    Returns:
        The folder and the scores, the best first; None on ranks other than 0.

    Raises:
        InputError: a file or value is missing or bad, or the folder holds another evaluation.
    """
    folder = Path(paths.output_dir)
    source = open_super_network(paths.super_network)
    parts = chosen_parts(paths, source)
    scorer = open_scorer(paths, config, source)
    check_output_folder(folder)
    communicator = find_communicator()
    scores = evaluate_parts(
        source,
        parts,
        scorer,
        config,
        folder,
        communicator,
        resume=paths.resume,
        cpu_only=paths.cpu_only,
        stop_requested=stop_requested,
    )
    if communicator.rank != 0:
        return None
    return {
        "folder": str(folder),
        "stopped": scores is None,
        "scores": [one.as_dict() for one in scores or []],
    }


def chosen_parts(paths: PartEvaluationPaths, source: SuperNetwork) -> List[Architecture]:
    """Return the sub-networks that are named and those that are drawn, each once.

    Raises:
        InputError: a name is bad, or an architecture does not fit into the super-network.
    """
    whole, space = source.whole, source.record.space
    named = read_parts(paths.architectures or (), whole, space)
    drawn: List[Architecture] = []
    if paths.draw:
        drawn = space.sample(whole, paths.draw, np.random.default_rng(paths.draw_seed))
    return list(dict.fromkeys([*named, *drawn]))


def open_scorer(
    paths: PartEvaluationPaths, config: PartEvaluationConfig, source: SuperNetwork
) -> PartScorer:
    """Open the data that a super-network is scored on.

    Raises:
        InputError: the data are missing or bad, or do not fit the super-network.
    """
    described = source.folder / MODEL_FOLDER / MODEL_DESCRIPTION_FILE
    if source.description.head is not None:
        if paths.data is not None:
            raise InputError(
                f"data is {paths.data!r}, but {described} is of a task, allowed is data_dir"
            )
        model = TaskClassifier.load(source.folder / MODEL_FOLDER)
        first, *further = (
            open_labelled_set(
                model, model.record, split, data_dir=paths.data_dir, sample=paths.sample
            )
            for split in _splits(model.record, config.split)
        )
        pad_id = model.vocabulary.pad_id
        return TaskScorer(first, model.options, pad_id, config.batch_size, further)
    if not source.description.has_decoder:
        raise InputError(f"{described}: has no masked-token decoder and no head, nothing to score")
    if paths.data is None:
        raise InputError(f"data is missing, {described} is of a masked-token model")
    if paths.data_dir is not None or paths.sample:
        name, value = ("sample", True) if paths.sample else ("data_dir", paths.data_dir)
        raise InputError(
            f"{name} is {value!r}, but {described} is of a masked-token model, allowed is data"
        )
    vocabulary = source.read_vocabulary()
    examples = open_held_out(paths.data, vocabulary)
    return MaskedTokenScorer(examples, vocabulary, config, source.whole.maximum_length)


def _splits(record: TaskRecord, split: str) -> List[str]:
    """Return the splits that a name stands for: `dev` is both halves of MNLI's dev set."""
    known = [one.name for one in record.splits]
    halves = [one.name for one in record.splits_of(DEV)]
    return halves if split == DEV and DEV not in known and halves else [split]
