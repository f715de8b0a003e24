"""The plan of a search, and the check that its folder belongs to it."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from bort.engines.latency import resolve_engine
from bort.engines.protocol import AUTO
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.from_teacher import check_student
from bort.search.config import SearchConfig
from bort.search.questions import SearchText
from bort.search.space import SearchSpace
from bort.search.surrogates import Hyperparameters
from bort.settings.config import defaults_of
from bort.storage.json_fields import errors_naming, read_fields
from bort.storage.run_claim import claim_folder
from bort.teacher.answers import LiveTeacher

log = logging.getLogger(__name__)

SEARCH_SETTINGS_FILE, SEARCH_ANSWERS_FOLDER = "search.json", "teacher_answers"
_RESULTS = ("results-rank*.jsonl", f"{SEARCH_ANSWERS_FOLDER}/*")


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """The settings, space, text and teacher of a search.

    Attributes:
        config: settings of the search.
        space: search space, Ξ, with the vocabulary size and length of the text.
        hyperparameters: hyperparameters, Θ.
        text: text to train and evaluate candidates on.
        folder: folder of the search.
        answers: folder of the teacher's answers.
        latencies: file of inference times.
        teacher: returns the teacher, T; called only if answers are missing.
        teacher_identity: JSON values that identify T without loading it; compared on resuming.
        start: model whose weights candidates start from; None for random weights.
    """

    config: SearchConfig
    space: SearchSpace
    hyperparameters: Sequence[Hyperparameters]
    text: SearchText
    folder: Path
    answers: Path
    latencies: Path
    teacher: Callable[[], LiveTeacher]
    teacher_identity: Optional[Mapping[str, Any]] = None
    start: Optional[TeacherStart] = None


def claim_search(plan: SearchPlan, resume: bool) -> str:
    """Claim the folder for a new search, or check that it holds the search to resume.

    Args:
        plan: the search.
        resume: whether to continue the search in the folder.

    Returns:
        The engine of inference times. `auto` becomes the engine of the resumed search, or for a new
        search the engine that it selects on this machine, so a search never mixes engines.

    Raises:
        InputError: the folder holds another search, or already holds one.
    """
    former = SearchConfig.defaults()
    config, path = plan.config, plan.folder / SEARCH_SETTINGS_FILE
    if config.latency_engine == AUTO:
        engine = AUTO
        if resume and path.exists():
            recorded = read_fields(path).fields("settings")
            engine = former["latency_engine"]
            if recorded.has("latency_engine"):
                engine = recorded.text("latency_engine")
        elif config.latency == "measured":
            engine = resolve_engine(AUTO, config.latency_precision)
        with errors_naming(str(path)):
            config = dataclasses.replace(config, latency_engine=engine)
    settings = {"settings": config.results_settings(), **search_inputs(plan)}
    defaults = {
        "settings": former,
        "space": defaults_of(SearchSpace),
        "hyperparameters": Hyperparameters.defaults(),
    }
    claim_folder(
        plan.folder,
        SEARCH_SETTINGS_FILE,
        settings,
        "search",
        resume,
        defaults=defaults,
        results=_RESULTS,
        unrecorded=("teacher",),
    )
    return config.latency_engine


def search_inputs(plan: SearchPlan) -> Dict[str, Any]:
    """Return what the errors of a search depend on beside its settings, JSON-ready."""
    inputs: Dict[str, Any] = {
        "space": plan.space.as_dict(),
        "hyperparameters": [theta.as_dict() for theta in plan.hyperparameters],
        "train": plan.text.train.fingerprint,
        "held_out": plan.text.held_out.fingerprint,
        "vocabulary": plan.text.vocabulary.fingerprint,
        "initialise_from": None if plan.start is None else plan.start.fingerprint,
    }
    if plan.teacher_identity is not None:
        inputs["teacher"] = dict(plan.teacher_identity)
    return inputs


def check_start(plan: SearchPlan) -> None:
    """Check that every candidate can be a slice of the model that candidates start from.

    Raises:
        InputError: the model has another vocabulary, or a candidate is larger along an axis.
    """
    start = plan.start
    if start is None:
        return
    start.check_vocabulary(plan.text.vocabulary)
    for candidate in plan.space.candidates():
        with errors_naming(f"search space: {candidate}"):
            check_student(start.network.architecture, candidate, start.folder)


def announce(plan: SearchPlan, candidates: int, trials: int, length: int) -> None:
    """Log the size of the search, and warn where the guarantee of the scheme does not hold.

    Args:
        plan: the search.
        candidates: largest number of candidates that the strategy proposes.
        trials: largest number of trials for them.
        length: tokens per sequence.
    """
    excluded: Dict[str, int] = {}
    for exclusion in plan.space.exclusions():
        excluded[exclusion.reason] = excluded.get(exclusion.reason, 0) + 1
    reasons = "".join(f"; {count} excluded: {reason}" for reason, count in excluded.items())
    log.info("search space: %d candidates%s", len(plan.space), reasons)
    config = plan.config
    log.info(
        "%s: %d candidates, %d trials of %d steps",
        config.strategy,
        candidates,
        trials,
        config.train_steps,
    )
    for warning in plan.space.weak_property_warnings(length):
        log.warning("warning: %s", warning)
