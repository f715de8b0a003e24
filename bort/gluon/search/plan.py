"""A search once everything is read: its settings, and the folder that it claims."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Sequence

from bort.engines.choosing import AUTO
from bort.engines.latency import resolve_engine
from bort.search.config import SearchConfig
from bort.search.questions import SearchText
from bort.search.space import SearchSpace
from bort.search.surrogates import Hyperparameters
from bort.settings.config import defaults_of
from bort.storage.files import read_json
from bort.storage.run_claim import claim_folder
from bort.teacher.answers import LiveTeacher

log = logging.getLogger(__name__)

SEARCH_SETTINGS_FILE = "search.json"


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """What is searched, once everything is read.

    Attributes:
        config: settings.
        space: Ξ, with the vocabulary and the length of the text.
        hyperparameters: Θ.
        text: to train and to judge candidates on.
        folder: of the search.
        answers: folder of T's answers.
        latencies: file of inference times.
        teacher: makes T; called only when something must be asked.
    """

    config: SearchConfig
    space: SearchSpace
    hyperparameters: Sequence[Hyperparameters]
    text: SearchText
    folder: Path
    answers: Path
    latencies: Path
    teacher: Callable[[], LiveTeacher]


def claim_search(plan: SearchPlan, resume: bool) -> str:
    """Take the folder for this search, or go on with the search that it holds.

    Returns:
        The engine of inference times. `auto` becomes that of the search that is resumed, or else
        the engine that it stands for here, so that a search never mixes the times of two.

    Raises:
        InputError: the folder holds another search, holds none to resume, or holds one already.
    """
    former = SearchConfig.defaults()
    config, path = plan.config, plan.folder / SEARCH_SETTINGS_FILE
    if config.latency_engine == AUTO:
        engine = AUTO
        if resume and path.exists():
            recorded = read_json(path).get("settings", {})
            engine = recorded.get("latency_engine", former["latency_engine"])
        elif config.latency == "measured":
            engine = resolve_engine(AUTO, config.latency_precision)
        config = dataclasses.replace(config, latency_engine=engine)
    settings: Dict[str, Any] = {
        "settings": config.results_settings(),
        "space": plan.space.as_dict(),
        "hyperparameters": [theta.as_dict() for theta in plan.hyperparameters],
        "train": plan.text.train.fingerprint,
        "held_out": plan.text.held_out.fingerprint,
        "vocabulary": plan.text.vocabulary.fingerprint,
    }
    defaults = {
        "settings": former,
        "space": defaults_of(SearchSpace),
        "hyperparameters": Hyperparameters.defaults(),
    }
    claim_folder(plan.folder, SEARCH_SETTINGS_FILE, settings, "search", resume, defaults=defaults)
    return config.latency_engine


def announce(plan: SearchPlan, candidates: int, trials: int, length: int) -> None:
    """Log the sizes of the search, and where the guarantee of the scheme does not hold.

    Args:
        plan: the search.
        candidates: that the strategy asks for, at most.
        trials: that they make, at most.
        length: tokens a sequence.
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
