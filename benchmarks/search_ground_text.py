"""Generated English, or a text file, as the ground of `search_methods`."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from benchmarks.distilled_students import Students, StudentsConfig
from benchmarks.search_ground import OnStep, halves
from benchmarks.stored import Basis, Stored
from bort.architecture import Architecture
from bort.ranks import ALONE
from bort.stages.stage import Stage, StageWork
from bort.super_network.sampling import UNIFORM, SamplingConfig
from bort.super_network.space import SubNetworkSpace
from bort.training.importance_config import ImportanceConfig

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork

IMPORTANCE = "taylor"
SAMPLES = SamplingConfig(UNIFORM, random_samples=4)
FEW_STEPS = 3
_ANSWERS = "answers"


class TextGround:
    """A teacher and its students on text; implements `Ground`. The error is the loss in nats.

    Args:
        config: the text, the teacher, and the seeds.
        stored: the results.
    """

    measure = "held-out loss"

    def __init__(self, config: StudentsConfig, stored: Stored) -> None:
        self._students, self._stored = Students(config, stored), stored

    def basis(self, seed: int) -> Basis:
        """See `Ground`; with the teacher's answers for the first steps."""
        basis = self._plain_basis(seed)
        return dataclasses.replace(
            basis, inputs={**basis.inputs, "few-answers": self._answers_stage(seed)}
        )

    def _plain_basis(self, seed: int) -> Basis:
        students = self._students
        found = students.basis(seed, students.settings(seed).replace(num_steps=1))
        own = {
            "few_steps": students.search_settings(seed, FEW_STEPS).results_settings(),
            "samples": SAMPLES.as_dict(),
            "in_order_of": ImportanceConfig(IMPORTANCE).as_dict(),
        }
        return dataclasses.replace(found, settings={**found.settings, **own})

    def _answers_stage(self, seed: int) -> Stage:
        def make(work: StageWork) -> Dict[str, Any]:
            questions = self._questions(seed)
            questions.fill(work.folder / _ANSWERS, self._teacher, ALONE, lambda: False)
            return {}

        return self._plain_basis(seed).stage(f"few-answers-{seed}", make, continues=True)

    def _answers(self, seed: int) -> Path:
        return self._stored.result(self._answers_stage(seed)).folder / _ANSWERS

    @property
    def whole(self) -> Architecture:
        """Sizes of the teacher."""
        return self._students.teacher_architecture

    @property
    def space(self) -> SubNetworkSpace:
        """All depths and heads of the teacher, and eighths of its widths."""
        whole = self.whole
        return SubNetworkSpace(
            tuple(range(1, whole.depth + 1)),
            tuple(whole.hidden * n // 8 for n in range(2, 9)),
            tuple(whole.intermediate * n // 8 for n in range(1, 9)),
            heads=tuple(range(1, whole.heads + 1)),
        )

    @property
    def vocabulary(self) -> Any:
        """The vocabulary of the text."""
        return self._students.text.vocabulary

    @property
    def length(self) -> int:
        """The longest sequence, in tokens."""
        return self.whole.maximum_length

    def ordered(self, seed: int) -> OrderedNetwork:
        """See `Ground`."""
        return self._students.ranked(IMPORTANCE, seed)

    def start(self, architecture: Architecture, seed: int) -> ArrayNetwork:
        """See `Ground`."""
        return self._students.start(architecture, IMPORTANCE, seed)

    def train(self, network: ArrayNetwork, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """See `Ground`."""
        from bort.gluon.network.array_network import as_arrays
        from experiments.demo.training import train_model

        settings = self._settings(seed, steps)
        data = dataclasses.replace(self._students.text.with_masks(settings), validation=None)
        model, _ = train_model(
            "student",
            network.architecture,
            settings,
            data,
            self._teacher,
            on_step_done=on_step,
            network=network,
        )
        return as_arrays(model)

    def train_super_network(self, seed: int, steps: int, on_step: OnStep) -> ArrayNetwork:
        """See `Ground`."""
        import mxnet as mx

        from bort.gluon.network.array_network import as_arrays, as_network
        from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
        from bort.gluon.super_network.lessons import MaskedTokenLessons
        from bort.gluon.super_network.trainer import SuperNetworkTrainer
        from bort.super_network.config import SuperNetworkConfig

        settings = self._settings(seed, steps)
        config = SuperNetworkConfig(pretraining=settings, samples=SAMPLES)
        data = self._students.text.with_masks(settings)
        ranked = self.ordered(seed)
        network = as_network(ranked.network, grad_req="write")
        trainer = SuperNetworkTrainer(
            network,
            MaskedTokenLessons(config, mx.cpu(), self._teacher),
            self.space,
            config,
            ALONE,
            mx.cpu(),
            layer_order=ranked.layer_order,
        )
        plan = plan_batches(data.train, settings, ALONE.size)
        batches = planned_batches(plan, data, settings, ALONE, 1)
        for number, batch in zip(range(1, steps + 1), batches):
            trainer.step(number, batch)
            on_step()
        mx.nd.waitall()
        return as_arrays(network)

    def search_error(self, network: ArrayNetwork, seed: int) -> float:
        """See `Ground`."""
        return self._score(network, seed, 0)["error"]

    def report(self, network: ArrayNetwork, seed: int) -> Dict[str, float]:
        """See `Ground`; with the share of correct predictions as `accuracy`."""
        return self._score(network, seed, 1)

    def teacher_report(self, seed: int) -> Dict[str, float]:
        """See `Ground`."""
        return self._scores(self._teacher.answer, seed, 1)

    def unit(self, seed: int) -> float:
        """Return one nat."""
        return 1.0

    def few_step_error(self, architecture: Architecture, seed: int) -> float:
        """See `Ground`."""
        import mxnet as mx

        from bort.gluon.search.candidate_error import DistillationError
        from bort.search.surrogates import Hyperparameters, Trial

        questions = self._questions(seed)
        model = DistillationError(
            self._students.search_settings(seed, FEW_STEPS),
            questions.train_batches(),
            questions.held_out_batches(),
            *questions.open(self._answers(seed)),
            mx.cpu(),
        )
        return float(model.error(Trial(architecture, Hyperparameters(), seed)))

    def _settings(self, seed: int, steps: int) -> Any:
        settings = self._students.settings(seed)
        return dataclasses.replace(settings, num_steps=steps, eval_interval=steps)

    @cached_property
    def _teacher(self) -> Any:
        from bort.gluon.teacher.live import load_teacher

        return load_teacher(str(self._students.teacher_folder))

    def _half(self, number: int) -> Any:
        from experiments.demo.training import Selection

        held_out = self._students.text.held_out
        return Selection(held_out, halves(len(held_out))[number])

    def _score(self, network: ArrayNetwork, seed: int, half: int) -> Dict[str, float]:
        from bort.gluon.network.array_network import as_network
        from bort.gluon.teacher.live import GluonTeacher

        model = GluonTeacher(as_network(network), network.architecture, fingerprint="a student")
        return self._scores(model.answer, seed, half)

    def _scores(self, answer: Any, seed: int, half: int) -> Dict[str, float]:
        found = self._students.score(answer, seed, self._half(half))
        return {"error": float(found.mlm_loss), "accuracy": float(found.mlm_accuracy)}

    def _questions(self, seed: int) -> Any:
        from bort.search.questions import SearchQuestions, SearchText

        text = self._students.text
        return SearchQuestions(
            self._students.search_settings(seed, FEW_STEPS),
            SearchText(text.train, self._half(0), text.vocabulary),
        )
