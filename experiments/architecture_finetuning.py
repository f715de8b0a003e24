"""Fine-tuning of a super-network's sub-networks on several tasks' files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from bort.errors import InputError
from bort.gluon.distributed import find_communicator
from bort.gluon.super_network.finetuning import (
    PartFinetuner,
    PartTask,
    check_masked_token_model,
    finetune_parts,
)
from bort.ranks import Communicator, on_rank_0
from bort.storage.outputs import check_output_folder
from bort.super_network.evaluation_config import PartEvaluationConfig, PartEvaluationPaths
from bort.super_network.finetuning_config import PartFinetuningConfig
from bort.super_network.folder import SuperNetwork, open_super_network
from bort.tasks.options import TaskOptions
from data.tasks.sets import open_task_data
from experiments.architecture_evaluation import chosen_parts

_OF_SCORING = ("held_out_batches", "split", "engine")


def finetune_architectures(
    paths: PartEvaluationPaths,
    config: PartEvaluationConfig,
    training: PartFinetuningConfig,
    stop_requested: Callable[[], bool],
) -> Optional[Dict[str, Any]]:
    """Fine-tune the sub-networks that `paths` names on the tasks that `training` names.

    Args:
        paths: the super-network, sub-networks, data and folder.
        config: first seed, batches in evaluation and threads.
        training: tasks, seeds and settings of the fine-tuning.
        stop_requested: returns whether the evaluation should end early.

    Returns:
        The folder and the scores, the best first; None on ranks other than 0.

    Raises:
        InputError: a file or value is missing or bad, or the folder holds another evaluation.
    """
    _check_flags(paths, config)
    folder = Path(paths.output_dir)
    source = open_super_network(paths.super_network)
    check_masked_token_model(source)
    parts = chosen_parts(paths, source)
    for part in parts:
        source.part(part)
    check_output_folder(folder)
    communicator = find_communicator()
    tasks = open_part_tasks(
        source,
        training,
        communicator,
        data_dir=paths.data_dir,
        sample=paths.sample,
        batch_size_eval=config.batch_size,
    )
    finetuner = PartFinetuner(
        source,
        tasks,
        folder,
        communicator,
        cpu_only=paths.cpu_only,
        stop_requested=stop_requested,
    )
    longest = max(int(max(one.features.lengths)) for t in tasks for one in t.data.sets)
    scores = finetune_parts(
        finetuner,
        parts,
        range(config.seed, config.seed + training.seeds),
        folder,
        communicator,
        length=config.length or longest,
        threads=config.threads,
        resume=paths.resume,
        keep_models=training.keep_models,
        stop_requested=stop_requested,
    )
    if communicator.rank != 0:
        return None
    return {
        "folder": str(folder),
        "stopped": scores is None,
        "scores": [one.as_dict() for one in scores or []],
    }


def open_part_tasks(
    source: SuperNetwork,
    training: PartFinetuningConfig,
    communicator: Communicator,
    *,
    data_dir: Optional[str] = None,
    sample: bool = False,
    batch_size_eval: int = 32,
) -> List[PartTask]:
    """Read and tokenise the data of all tasks, each once for all sub-networks.

    Args:
        source: the super-network, which gives vocabulary and form of inputs.
        training: tasks, settings and the folder of tokenised sets.
        communicator: the ranks; rank 0 fills the folder of tokenised sets before the others read.
        data_dir: folder of the official data; None for GluonNLP's cache.
        sample: use the small sample of each task that is part of this project.
        batch_size_eval: inputs per batch in evaluation.

    Raises:
        InputError: a file is missing or invalid, or an input is longer than the super-network
            takes.
    """
    vocabulary = source.read_vocabulary()
    longest = source.whole.maximum_length

    def open_all() -> List[PartTask]:
        opened = []
        for record in training.records():
            settings = training.settings_of(record.name, batch_size_eval)
            if settings.max_len > longest:
                raise InputError(
                    f"max_len is {settings.max_len} for {record.name}, allowed is at most "
                    f"{longest}, the longest input of {source.folder}"
                )
            data = open_task_data(
                record,
                vocabulary,
                TaskOptions(),
                settings.max_len,
                data_dir=data_dir,
                sample=sample,
                cache=training.cache_dir,
                pairs=source.description.pair_form(vocabulary),
            )
            opened.append(PartTask(data, settings))
        return opened

    if training.cache_dir is not None and communicator.size > 1:
        on_rank_0(communicator, lambda: len(open_all()))  # the others read what rank 0 wrote
    return open_all()


def _check_flags(paths: PartEvaluationPaths, config: PartEvaluationConfig) -> None:
    """Raise `InputError` if a flag of scoring without training is given."""
    if paths.data is not None:
        raise InputError(f"data is {paths.data!r}, allowed with tasks are data_dir and sample")
    defaults = PartEvaluationConfig.defaults()
    for name in _OF_SCORING:
        value = getattr(config, name)
        if value != defaults[name]:
            raise InputError(f"{name} is {value!r}, allowed with tasks is {defaults[name]!r}")
