"""The error of the paper, after a few steps of training, for a search under a limit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.gluon.distributed import choose_context
from bort.gluon.engine import set_openmp_threads
from bort.gluon.search.plan import SearchPlan, check_start, search_inputs
from bort.gluon.search.run import ask_teacher, error_model
from bort.ranks import Communicator
from bort.search.questions import SearchQuestions
from bort.search.space import SearchSpace
from bort.search.surrogates import ErrorModel, Hyperparameters


class FewStepErrors:
    """Errors after s steps of distillation; implements `ErrorSource`.

    Source: arXiv 2010.10499, section 3; see `DistillationError`.

    Args:
        plan: settings, space, text and teacher of the search.
        cpu_only: run on the CPU even if there is a GPU.

    Raises:
        InputError: there are fewer examples than one batch needs, or a candidate is no slice of the
            model that candidates start from.
    """

    def __init__(self, plan: SearchPlan, *, cpu_only: bool = True) -> None:
        check_start(plan)
        self._plan, self._cpu_only = plan, cpu_only
        self._questions = SearchQuestions(plan.config, plan.text)
        self.name = f"{plan.config.error} after {plan.config.train_steps} steps"
        self.hyperparameters: Sequence[Hyperparameters] = plan.hyperparameters
        self.seeds: Sequence[int] = plan.config.trial_seeds
        self.whole: Optional[Architecture] = None
        self.reference: Optional[Architecture] = None
        self.identity: Mapping[str, Any] = {
            "few_steps": plan.config.results_settings(),
            **search_inputs(plan),
        }

    @property
    def length(self) -> Optional[int]:
        """The length in tokens that rows are padded to."""
        return self._questions.length

    @property
    def space(self) -> SearchSpace:
        """The search space."""
        return self._plan.space

    def prepare(
        self,
        folder: Path,
        communicator: Communicator,
        stop_requested: Callable[[], bool],
    ) -> Optional[Callable[[], ErrorModel]]:
        """Let the teacher answer all batches once; see `ErrorSource`."""
        plan = dataclasses.replace(self._plan, folder=folder)
        teacher = ask_teacher(plan, self._questions, communicator, stop_requested)
        if teacher is None:
            return None
        self.reference = teacher
        context = choose_context(communicator, self._cpu_only)
        build = error_model(plan, self._questions, context, communicator)

        def ready() -> ErrorModel:
            set_openmp_threads(plan.config.threads)  # timing may have changed the number
            return build()

        return ready

    def noise(self, error: float) -> Optional[float]:
        """Return None: several seeds tell the noise; see `ErrorSource`."""
        return None
