"""The paper's search over a search space, on the files that a command names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Optional

from bort.errors import InputError
from bort.gluon.distributed import find_communicator
from bort.gluon.network.teacher_start import open_teacher_start
from bort.gluon.search.plan import SEARCH_ANSWERS_FOLDER, SearchPlan
from bort.gluon.search.run import run_search
from bort.gluon.teacher.choosing import load_teacher_on, teacher_identity
from bort.search.config import SearchConfig, SearchPaths, make_space, read_hyperparameters
from bort.search.questions import SearchText
from data.corpus.shards import open_examples, open_held_out, open_vocabulary


def search_architecture(
    paths: SearchPaths, config: SearchConfig, stop_requested: Callable[[], bool]
) -> Optional[Dict[str, Any]]:
    """Rank the candidates of a search space by the W-coefficient.

    Args:
        paths: data, teacher, space and folder.
        config: settings of the search.
        stop_requested: returns whether the search should end early.

    Returns:
        The folder and the summary of the result; None on ranks other than 0.

    Raises:
        InputError: a file or value is missing or bad, or the folder holds another search.
    """
    communicator = find_communicator()
    plan = open_search_plan(paths, config)
    result = run_search(
        plan,
        communicator,
        resume=paths.resume,
        cpu_only=paths.cpu_only,
        stop_requested=stop_requested,
    )
    if communicator.rank != 0:
        return None
    summary = {"folder": str(plan.folder), "stopped": result is None}
    if result is not None:
        summary.update(result.summary())
    return summary


def open_search_plan(paths: SearchPaths, config: SearchConfig) -> SearchPlan:
    """Open the text, and return the plan of a search that trains candidates for a few steps.

    Raises:
        InputError: a file is missing or bad.
    """
    hyperparameters = read_hyperparameters(paths.hyperparameters)
    if paths.data is None:
        raise InputError("data is missing, needed is a folder of shards")
    vocabulary = open_vocabulary(paths.data, paths.vocab)
    train = open_examples(paths.data, "train", vocabulary)
    if paths.data_eval is None:
        held_out = open_examples(paths.data, "validation", vocabulary)
    else:
        held_out = open_held_out(paths.data_eval, vocabulary)
    text = SearchText(train, held_out, vocabulary)
    folder = Path(paths.output_dir)
    return SearchPlan(
        config,
        make_space(paths, len(vocabulary), text.longest),
        hyperparameters,
        text,
        folder,
        answers=Path(paths.teacher_cache or folder / SEARCH_ANSWERS_FOLDER),
        latencies=Path(paths.latency_cache or folder / "latencies.json"),
        teacher=lambda: load_teacher_on(
            paths.teacher, config.teacher_runtime, vocabulary=vocabulary
        ),
        teacher_identity=teacher_identity(paths.teacher),
        start=open_teacher_start(
            paths.initialise_from, paths.teacher.teacher_model, config.ranking
        ),
    )
