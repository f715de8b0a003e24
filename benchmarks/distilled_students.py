"""A corpus, a teacher, its kept answers and its trained students, for benchmarks of students.

Everything is a stage of one store (`benchmarks.stored`), so two benchmarks share their students. A
seed draws the initial weights, the order of the examples and all masks, those of the held-out text
included. Runs of one seed are therefore pairs.
"""

from __future__ import annotations

import dataclasses
import math
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmarks.demo_teacher import TEACHER_MODEL, teacher_stage, text_stage
from benchmarks.stored import Basis, Stored
from benchmarks.student_space import chosen, space
from bort.architecture import Architecture, get_architecture
from bort.report.learning_curves import Curve
from bort.settings.config import Config, setting
from bort.stages.stage import Stage, StageWork
from bort.super_network.parts import part_name
from bort.training.importance_config import IMPORTANCES, ImportanceConfig
from experiments.demo.plan import GENERATED, REAL_ENGLISH, DemoConfig

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork
    from bort.search.questions import SearchQuestions
    from bort.teacher.answers import TeacherAnswers
    from bort.text.examples import ExampleSource
    from experiments.demo.training import Text

RANDOM = "random"
STARTS = (RANDOM, *IMPORTANCES)
"""Starts of a student: random weights, or the teacher's by the order of importance of this name."""

KEPT_STEPS = 1.25
"""Steps whose answers are kept, for each step of a student."""


@dataclasses.dataclass(frozen=True)
class StudentsConfig(Config):
    """Settings of the teacher and of its students."""

    corpus: str = setting(GENERATED, f"{GENERATED}, or the path of a text file of real English")
    documents: int = setting(24_000, "documents of generated English", minimum=200)
    teacher: str = setting("4-4-128-256", "architecture of the teacher")
    teacher_steps: int = setting(2_000, "training steps of the teacher", minimum=1)
    steps: int = setting(600, "training steps of a student", minimum=1)
    evaluations: int = setting(20, "points of a student's learning curve", minimum=1)
    scored_examples: int = setting(192, "held-out sequences used for scores", minimum=8)
    seeds: int = setting(3, "seeds of students", minimum=2)

    def demo(self, seed: int = 0) -> DemoConfig:
        """Return these settings for the functions of the demonstration."""
        preset = {} if self.corpus == GENERATED else REAL_ENGLISH
        own = {
            "corpus": self.corpus,
            "documents": self.documents,
            "teacher": self.teacher,
            "teacher_steps": self.teacher_steps,
            "student_steps": self.steps,
            "evaluations": self.evaluations,
            "scored_examples": self.scored_examples,
            "seed": seed,
        }
        return DemoConfig.from_dict({**preset, **own}, "benchmark")


class Students:
    """The text, the teacher, its answers and its students, as stages of one store.

    Args:
        config: sizes of the teacher and of the trainings.
        stored: the results.
    """

    def __init__(self, config: StudentsConfig, stored: Stored) -> None:
        self.config, self.stored = config, stored
        self._text_stage, self._teacher_stage = (
            text_stage(config.demo()),
            teacher_stage(config.demo()),
        )
        self._ranked: Dict[Tuple[str, int], OrderedNetwork] = {}

    @property
    def teacher_folder(self) -> Path:
        """The model folder of the teacher."""
        return self.stored.result(self._teacher_stage).folder / TEACHER_MODEL

    @cached_property
    def text(self) -> Text:
        """Training text, held-out text and vocabulary."""
        from experiments.demo.text import open_text

        return open_text(self.config.demo(), self.stored.result(self._text_stage).folder)

    def basis(self, seed: int, settings: Any) -> Basis:
        """Return what everything depends on that learns from the teacher.

        Args:
            seed: seed of weights, order and masks.
            settings: settings of the training, or of the search.
        """
        return Basis(
            {
                "training": settings.results_settings(),
                "scored_examples": self.config.scored_examples,
                "seed": seed,
            },
            {"text": self._text_stage, "teacher": self._teacher_stage},
        )

    @property
    def teacher_architecture(self) -> Architecture:
        """The architecture of the teacher, with the sizes of its text."""
        return self.sized(get_architecture(self.config.teacher))

    def sized(self, architecture: Architecture) -> Architecture:
        """Return an architecture with the vocabulary and the maximum length of the text."""
        longest = self.config.demo().max_seq_length
        return architecture.replace(
            vocabulary_size=len(self.text.vocabulary), maximum_length=longest
        )

    def architectures(self) -> List[Architecture]:
        """Return the architectures of the comparison; see `chosen`."""
        return [one for band in chosen(self._space()) for one in band]

    def first_of_bands(self) -> List[Architecture]:
        """Return the first architecture of each band of parameter counts."""
        return [band[0] for band in chosen(self._space())]

    def _space(self) -> List[Architecture]:
        return [self.sized(one) for one in space()]

    # --- the teacher's answers

    def questions(self, seed: int, steps: Optional[int] = None) -> SearchQuestions:
        """Return the batches of a seed: those of `steps` steps, by default of all that are kept."""
        from bort.search.questions import SearchQuestions, SearchText

        text = self.text
        kept_steps = math.ceil(KEPT_STEPS * self.config.steps)
        return SearchQuestions(
            self.search_settings(seed, kept_steps if steps is None else steps),
            SearchText(text.train, text.held_out, text.vocabulary),
        )

    def search_settings(self, seed: int, steps: int) -> Any:
        """Return the settings of a search with `steps` steps over the batches of a seed."""
        from experiments.demo.answers import search_settings

        demo = self.config.demo(seed)
        batches = math.ceil(len(self.text.held_out) / demo.batch_size)
        return dataclasses.replace(
            search_settings(demo, steps), error="kl", held_out_batches=batches, threads=1
        )

    def answers_stage(self, seed: int) -> Stage:
        """Return the stage of the teacher's answers for the batches of a seed."""

        def make(work: StageWork) -> Dict[str, Any]:
            from bort.gluon.teacher.live import load_teacher
            from bort.ranks import ALONE

            questions = self.questions(seed)
            teacher = load_teacher(str(self.teacher_folder))
            questions.fill(work.folder / "answers", teacher, ALONE, lambda: False)
            return {}

        settings = self.search_settings(seed, self._kept_steps)
        return self.basis(seed, settings).stage(f"answers-{seed}", make, continues=True)

    def answers_folder(self, seed: int) -> Path:
        """Return the folder of the teacher's answers for the batches of a seed."""
        return self.stored.result(self.answers_stage(seed)).folder / "answers"

    def answers(self, seed: int, steps: int) -> TeacherAnswers:
        """Return the kept answers for the batches of a seed, or the teacher if there are more."""
        from bort.gluon.teacher.live import load_teacher
        from bort.teacher.cache import TeacherCache

        if steps > self._kept_steps:
            return load_teacher(str(self.teacher_folder))
        temperature = self.settings(seed).objective.distillation_temperature
        return TeacherCache.open(self.answers_folder(seed), temperature=temperature, verify=False)

    @property
    def _kept_steps(self) -> int:
        return math.ceil(KEPT_STEPS * self.config.steps)

    # --- students

    def student_stage(self, architecture: Architecture, start: str, seed: int) -> Stage:
        """Return the stage of a student that is trained by distillation.

        Its value has the fields of `Curve`, and the processor seconds of the training and its
        evaluations.

        Args:
            architecture: one of `architectures`.
            start: one of `STARTS`.
            seed: seed of weights, order and masks.
        """
        return self.basis(seed, self.settings(seed)).stage(
            f"student-{part_name(architecture)}-{start}-{seed}",
            lambda work: self._train(architecture, start, seed),
            {
                "architecture": architecture.as_dict(),
                "evaluations": self.config.evaluations,
                "start": None if start == RANDOM else ImportanceConfig(start).as_dict(),
            },
            inputs={"answers": self.answers_stage(seed)},
        )

    def found(
        self, start: str, architectures: Sequence[Architecture]
    ) -> Dict[Tuple[Architecture, int], Mapping[str, Any]]:
        """Return the finished results of a start by architecture and seed."""
        keys = [(one, seed) for one in architectures for seed in range(self.config.seeds)]
        results = self.stored.finished([self.student_stage(one, start, s) for one, s in keys])
        return {key: result for key, result in zip(keys, results) if result is not None}

    def settings(self, seed: int) -> Any:
        """Return the settings of a student's training."""
        from experiments.demo.training import student_settings

        return student_settings(self.config.demo(seed), 0, True)

    def _train(self, architecture: Architecture, start: str, seed: int) -> Dict[str, Any]:
        from experiments.demo.training import train_model

        settings = self.settings(seed)
        began = time.process_time()
        _, curve = train_model(
            f"{part_name(architecture)} {start} {seed}",
            architecture,
            settings,
            self.text.with_masks(settings),
            self.answers(seed, settings.num_steps),
            network=None if start == RANDOM else self.start(architecture, start, seed),
        )
        return {**_as_json(curve), "processor_seconds": time.process_time() - began}

    def start(self, architecture: Architecture, importance: str, seed: int) -> ArrayNetwork:
        """Return a student's initial weights, taken from the teacher in order of importance."""
        from bort.network.from_teacher import student_from

        return student_from(self.ranked(importance, seed), architecture, decoder=True)

    def ranked(self, importance: str, seed: int) -> OrderedNetwork:
        """Return the teacher in order of importance, measured on the first batches of a seed."""
        from bort.gluon.network.measured_importance import ImportanceQuestions
        from bort.gluon.network.teacher_start import TeacherStart

        if (importance, seed) not in self._ranked:
            start = TeacherStart(str(self.teacher_folder), ImportanceConfig(importance=importance))

            def questions(count: int) -> ImportanceQuestions:
                batches = self.questions(seed, count).train_batches()
                return ImportanceQuestions(batches, seed=seed)

            self._ranked[importance, seed] = start.ranked(questions)
        return self._ranked[importance, seed]

    # --- scores

    def loss(self, answer: Callable[[Any], Any], seed: int) -> float:
        """Return the held-out loss of a model in nats per masked token, with the masks of a seed.

        Args:
            answer: returns the model's logits for a batch.
            seed: seed of the masks.
        """
        return float(self.score(answer, seed, self.text.held_out).mlm_loss)

    def score(self, answer: Callable[[Any], Any], seed: int, examples: ExampleSource) -> Any:
        """Return the masked-token score of a model on some examples, with the masks of a seed."""
        import mxnet as mx

        from bort.gluon.pretraining.evaluation import evaluation_batches, score_masked_tokens
        from bort.ranks import SingleProcess

        demo = self.config.demo()
        batches = evaluation_batches(
            examples,
            self.text.with_masks(self.settings(seed)).masking,
            batch_size=demo.batch_size,
            communicator=SingleProcess(),
            maximum_length=demo.max_seq_length,
        )
        return score_masked_tokens(answer, batches, SingleProcess(), mx.cpu())

    def teacher_stages(self) -> List[Stage]:
        """Return the stages of the teacher's held-out loss with the masks of each seed."""

        def stage(seed: int) -> Stage:
            def make(work: StageWork) -> Dict[str, Any]:
                from bort.gluon.teacher.live import load_teacher

                teacher = load_teacher(str(self.teacher_folder))
                return {"loss": self.loss(teacher.answer, seed)}

            return self.basis(seed, self.settings(seed).masks).stage(f"teacher-loss-{seed}", make)

        return [stage(seed) for seed in range(self.config.seeds)]

    def teacher_losses(self) -> List[float]:
        """Return the held-out loss of the teacher for each seed."""
        return [float(self.stored.value(one)["loss"]) for one in self._teacher_stages()]

    # --- the search

    def short_stage(self, architecture: Architecture, seed: int, steps: int = 3) -> Stage:
        """Return the stage of the search's error after a few steps, `kl` in nats."""
        return self.basis(seed, self.search_settings(seed, steps)).stage(
            f"short-{part_name(architecture)}-{steps}-{seed}",
            lambda work: self._short(architecture, seed, steps),
            {"architecture": architecture.as_dict()},
            inputs={"answers": self.answers_stage(seed)},
        )

    def found_short(self, architecture: Architecture, steps: int = 3) -> List[float]:
        """Return the finished errors of `short_stage`, one for each seed."""
        seeds = range(self.config.seeds)
        found = self.stored.finished([self.short_stage(architecture, s, steps) for s in seeds])
        return [float(one["kl"]) for one in found if one is not None]

    def _short(self, architecture: Architecture, seed: int, steps: int) -> Dict[str, Any]:
        import mxnet as mx

        from bort.gluon.search.candidate_error import DistillationError
        from bort.search.surrogates import Hyperparameters, Trial

        questions = self.questions(seed, steps)
        model = DistillationError(
            self.search_settings(seed, steps),
            questions.train_batches(),
            questions.held_out_batches(),
            *questions.open(self.answers_folder(seed)),
            mx.cpu(),
        )
        return {"kl": model.error(Trial(architecture, Hyperparameters(), seed))}


def _as_json(curve: Curve) -> Dict[str, Any]:
    return {"steps": curve.steps, "seconds": curve.seconds, **curve.values}
