"""A corpus, a teacher, its kept answers and its trained students, for benchmarks of students.

Everything is made once in a folder and read afterwards, so a killed benchmark continues, and two
benchmarks share their students. A seed draws the initial weights, the order of the examples and all
masks, those of the held-out text included. Runs of one seed are therefore pairs.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from benchmarks.agora_arms import claim
from benchmarks.student_space import chosen, space
from bort.architecture import Architecture, get_architecture
from bort.report.learning_curves import Curve
from bort.settings.config import Config, setting
from bort.storage.files import read_json, write_json
from bort.training.importance_config import IMPORTANCES, ImportanceConfig
from experiments.demo.plan import GENERATED, REAL_ENGLISH, DemoConfig

if TYPE_CHECKING:
    from bort.network.array_network import ArrayNetwork
    from bort.network.from_teacher import OrderedNetwork
    from bort.search.questions import SearchQuestions
    from bort.teacher.answers import TeacherAnswers
    from bort.text.examples import ExampleSource
    from experiments.demo.training import Text

log = logging.getLogger(__name__)

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

    def demo(self, folder: Path, seed: int = 0) -> DemoConfig:
        """Return these settings for the functions of the demonstration."""
        preset = {} if self.corpus == GENERATED else REAL_ENGLISH
        own = {
            "corpus": self.corpus,
            "documents": self.documents,
            "folder": str(folder),
            "teacher": self.teacher,
            "teacher_steps": self.teacher_steps,
            "student_steps": self.steps,
            "evaluations": self.evaluations,
            "scored_examples": self.scored_examples,
            "seed": seed,
        }
        return DemoConfig.from_dict({**preset, **own}, "benchmark")


_GROWING = ("seeds",)
"""Settings that may differ between calls with the same folder."""


class Students:
    """The students of one teacher, with a folder of finished results.

    Args:
        config: sizes of the teacher and of the trainings.
        folder: folder of everything that is made.

    Raises:
        InputError: the folder holds results of other settings.
    """

    def __init__(self, config: StudentsConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self._text: Optional[Text] = None
        self._ranked: Dict[Tuple[str, int], OrderedNetwork] = {}
        folder.mkdir(parents=True, exist_ok=True)
        fixed = {k: v for k, v in config.as_dict().items() if k not in _GROWING}
        claim(folder, "settings.json", fixed, config.defaults())

    def prepare_all(self) -> None:
        """Make the text, the teacher and its answers for each seed, unless they exist."""
        from bort.gluon.teacher.live import load_teacher
        from bort.ranks import SingleProcess

        self.prepare_teacher()
        for seed in range(self.config.seeds):
            questions, folder = self.questions(seed), self.answers_folder(seed)
            if not questions.is_complete(folder):
                teacher = load_teacher(str(self.teacher_folder))
                questions.fill(folder, teacher, SingleProcess(), lambda: False)

    def prepare_teacher(self) -> None:
        """Make the text and the teacher, unless they exist."""
        from experiments.demo.text import prepare_text
        from experiments.demo.training import train_teacher

        demo = self.config.demo(self.folder)
        if not (self.folder / "shards").is_dir():
            prepare_text(demo, self.folder)
        if not (self.teacher_folder / "model.json").is_file():
            train_teacher(demo, self.text, self.teacher_folder)

    @property
    def teacher_folder(self) -> Path:
        """The model folder of the teacher."""
        return self.folder / "teacher"

    @property
    def text(self) -> Text:
        """Training text, held-out text and vocabulary."""
        from experiments.demo.text import open_text

        if self._text is None:
            self._text = open_text(self.config.demo(self.folder), self.folder)
        return self._text

    @property
    def teacher_architecture(self) -> Architecture:
        """The architecture of the teacher, with the sizes of its text."""
        return self.sized(get_architecture(self.config.teacher))

    def sized(self, architecture: Architecture) -> Architecture:
        """Return an architecture with the vocabulary and the maximum length of the text."""
        longest = self.config.demo(self.folder).max_seq_length
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

        demo = self.config.demo(self.folder, seed)
        batches = math.ceil(len(self.text.held_out) / demo.batch_size)
        return dataclasses.replace(
            search_settings(demo, steps), error="kl", held_out_batches=batches, threads=1
        )

    def answers_folder(self, seed: int) -> Path:
        """The folder of the teacher's answers for the batches of a seed."""
        return self.folder / f"answers-{seed}"

    def answers(self, seed: int, steps: int) -> TeacherAnswers:
        """Return the kept answers for the batches of a seed, or the teacher if there are more."""
        from bort.gluon.teacher.live import load_teacher
        from bort.teacher.cache import TeacherCache

        if steps > KEPT_STEPS * self.config.steps:
            return load_teacher(str(self.teacher_folder))
        temperature = self.settings(seed).objective.distillation_temperature
        return TeacherCache.open(self.answers_folder(seed), temperature=temperature, verify=False)

    # --- students

    def student(self, architecture: Architecture, start: str, seed: int) -> Dict[str, Any]:
        """Train a student by distillation unless its result exists, and return the result.

        Args:
            architecture: one of `architectures`.
            start: one of `STARTS`.
            seed: seed of weights, order and masks.

        Returns:
            The fields of `Curve`, and the processor seconds of the training and its evaluations.
        """
        path = self.folder / "students" / f"{_name(architecture)}-{start}-{seed}.json"
        return kept(path, lambda: self._train(architecture, start, seed))

    def found(
        self, start: str, architectures: Sequence[Architecture]
    ) -> Dict[Tuple[Architecture, int], Mapping[str, Any]]:
        """Return the finished results of a start by architecture and seed."""
        results = {}
        for architecture in architectures:
            for seed in range(self.config.seeds):
                path = self.folder / "students" / f"{_name(architecture)}-{start}-{seed}.json"
                if path.is_file():
                    results[architecture, seed] = read_json(path)
        return results

    def settings(self, seed: int) -> Any:
        """Return the settings of a student's training."""
        from experiments.demo.training import student_settings

        return student_settings(self.config.demo(self.folder, seed), 0, True)

    def _train(self, architecture: Architecture, start: str, seed: int) -> Dict[str, Any]:
        from experiments.demo.training import train_model

        settings = self.settings(seed)
        began = time.process_time()
        _, curve = train_model(
            f"{_name(architecture)} {start} {seed}",
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

        demo = self.config.demo(self.folder)
        batches = evaluation_batches(
            examples,
            self.text.with_masks(self.settings(seed)).masking,
            batch_size=demo.batch_size,
            communicator=SingleProcess(),
            maximum_length=demo.max_seq_length,
        )
        return score_masked_tokens(answer, batches, SingleProcess(), mx.cpu())

    def teacher_losses(self) -> List[float]:
        """Return the held-out loss of the teacher for each seed."""
        from bort.gluon.teacher.live import load_teacher

        def make() -> Dict[str, Any]:
            teacher = load_teacher(str(self.teacher_folder))
            return {"losses": [self.loss(teacher.answer, s) for s in range(self.config.seeds)]}

        path = self.folder / f"teacher-{self.config.seeds}.json"
        return list(kept(path, make)["losses"])

    # --- the search

    def short_error(self, architecture: Architecture, seed: int, steps: int = 3) -> float:
        """Return the error of the search after a few steps: KL divergence in nats."""
        path = self._short_path(architecture, seed, steps)
        return float(kept(path, lambda: self._short(architecture, seed, steps))["kl"])

    def found_short(self, architecture: Architecture, steps: int = 3) -> List[float]:
        """Return the finished errors of `short_error`, one for each seed."""
        seeds = range(self.config.seeds)
        paths = [self._short_path(architecture, seed, steps) for seed in seeds]
        return [float(read_json(path)["kl"]) for path in paths if path.is_file()]

    def _short_path(self, architecture: Architecture, seed: int, steps: int) -> Path:
        return self.folder / "short" / f"{_name(architecture)}-{steps}-{seed}.json"

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


def kept(path: Path, make: Callable[[], Dict[str, Any]]) -> Dict[str, Any]:
    """Return the JSON object in `path`; `make` it first if it does not exist."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, make())
    found: Dict[str, Any] = read_json(path)
    return found


def _as_json(curve: Curve) -> Dict[str, Any]:
    return {"steps": curve.steps, "seconds": curve.seconds, **curve.values}


def _name(architecture: Architecture) -> str:
    sizes = (architecture.depth, architecture.heads, architecture.hidden)
    return "-".join(map(str, (*sizes, architecture.intermediate, architecture.qkv)))
