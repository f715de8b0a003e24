"""The super-networks of `super_network`: one for each way of sampling and each seed."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Dict, Mapping

from benchmarks.distilled_students import Students
from benchmarks.student_space import DEPTHS, HEADS, HIDDENS, INTERMEDIATES
from bort.architecture import Architecture
from bort.stages.stage import Stage
from bort.super_network.sampling import SamplingConfig, sampled
from bort.super_network.space import SubNetworkSpace
from bort.training.importance_config import ImportanceConfig

if TYPE_CHECKING:
    from bort.super_network.config import SuperNetworkConfig

SANDWICH, UNIFORM, SINGLE = "sandwich", "uniform", "single"
WITHOUT_IN_PLACE = "sandwich_without_in_place"
ARMS = (SANDWICH, UNIFORM, SINGLE, WITHOUT_IN_PLACE)
SAMPLING = {
    SANDWICH: SamplingConfig("sandwich", random_samples=2),
    UNIFORM: SamplingConfig("uniform", random_samples=4),
    SINGLE: SamplingConfig("uniform", random_samples=1),
    WITHOUT_IN_PLACE: SamplingConfig("sandwich", random_samples=2),
}
SPACE = SubNetworkSpace(DEPTHS, HIDDENS, INTERMEDIATES, heads=HEADS)
IMPORTANCE = "taylor"


def arm_stage(students: Students, arm: str, seed: int) -> Stage:
    """Return the stage of a super-network.

    Its value has `steps`, `processor_seconds` of the training without the teacher's answers, and
    the losses `first_losses` (before the training) and `losses` by architecture, `largest` and
    `smallest`.
    """
    config = _settings(students, arm, seed)
    return students.basis(seed, config).stage(
        f"super-network-{arm}-{seed}",
        lambda work: _train(students, arm, seed),
        {
            "space": SPACE.as_dict(),
            "scored": [str(one) for one in students.architectures()],
            "in_order_of": ImportanceConfig(IMPORTANCE).as_dict(),
        },
        inputs={"answers": students.answers_stage(seed)},
    )


def found_arms(students: Students) -> Dict[str, Dict[int, Mapping[str, Any]]]:
    """Return the finished results of each arm by seed."""
    seeds = range(students.config.seeds)
    found: Dict[str, Dict[int, Mapping[str, Any]]] = {}
    for arm in ARMS:
        results = students.stored.finished([arm_stage(students, arm, seed) for seed in seeds])
        found[arm] = {s: result for s, result in zip(seeds, results) if result is not None}
    return found


def steps_of(students: Students, arm: str, seed: int) -> int:
    """Return the steps of an arm that cost the multiply-adds of the steps of `SANDWICH`."""
    steps = students.config.steps
    budget = sum(_cost(students, SANDWICH, seed, step) for step in range(steps))
    done = 0
    while budget > 0:
        budget -= _cost(students, arm, seed, done)
        done += 1
    return done


def _cost(students: Students, arm: str, seed: int, step: int) -> int:
    """Return the multiply-adds of a step's forward passes, for one sequence."""
    whole = students.teacher_architecture
    length = whole.maximum_length
    predictions = round(students.settings(seed).masks.mask_probability * length)
    return sum(
        one.multiply_adds(1, length, predictions)
        for one in sampled(SPACE, whole, SAMPLING[arm], seed=seed + 1, step=step)
    )


def _settings(students: Students, arm: str, seed: int) -> SuperNetworkConfig:
    from bort.super_network.config import SuperNetworkConfig

    pretraining = students.settings(seed)
    assert pretraining.seed == seed + 1, "the seed of the costs is that of the training"
    return SuperNetworkConfig(
        pretraining=dataclasses.replace(pretraining, num_steps=steps_of(students, arm, seed)),
        samples=SAMPLING[arm],
        in_place=False if arm == WITHOUT_IN_PLACE else None,
        cached_parts=SPACE.size(),
    )


def _train(students: Students, arm: str, seed: int) -> Dict[str, Any]:
    import mxnet as mx

    from bort.gluon.network.array_network import as_network
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.gluon.super_network.lessons import MaskedTokenLessons
    from bort.gluon.super_network.trainer import SuperNetworkTrainer
    from bort.process.progress import Progress
    from bort.ranks import ALONE

    config = _settings(students, arm, seed)
    settings = config.pretraining
    data = students.text.with_masks(settings)
    ranked = students.ranked(IMPORTANCE, seed)
    teacher = TimedAnswers(students.answers(seed, settings.num_steps))
    trainer = SuperNetworkTrainer(
        as_network(ranked.network, grad_req="write"),
        MaskedTokenLessons(config, mx.cpu(), teacher),
        SPACE,
        config,
        ALONE,
        mx.cpu(),
        layer_order=ranked.layer_order,
    )

    def loss(architecture: Architecture) -> float:
        return students.loss(lambda batch: trainer.predict(architecture, batch), seed)

    first_losses = {str(one): loss(one) for one in students.architectures()}
    plan = plan_batches(data.train, settings, ALONE.size)
    began, teacher.seconds = time.process_time(), 0.0
    progress = Progress(settings.num_steps, f"{arm} {seed}")
    for number, batch in enumerate(planned_batches(plan, data, settings, ALONE, 1), start=1):
        report = trainer.step(number, batch)
        progress.advance(1, loss=report.loss)
    mx.nd.waitall()
    seconds = time.process_time() - began - teacher.seconds
    progress.close()
    whole = trainer.whole
    return {
        "steps": settings.num_steps,
        "processor_seconds": seconds,
        "first_losses": first_losses,
        "losses": {str(one): loss(one) for one in students.architectures()},
        "largest": loss(SPACE.maximum(whole)),
        "smallest": loss(SPACE.minimum(whole)),
    }


class TimedAnswers:
    """A teacher's answers, and the processor seconds that they take.

    Args:
        teacher: the teacher or its kept answers.
    """

    def __init__(self, teacher: Any) -> None:
        self._teacher = teacher
        self.vocabulary_size = teacher.vocabulary_size
        self.seconds = 0.0

    def answer(self, batch: Any) -> Any:
        """Return the answers for a batch."""
        began = time.process_time()
        answers = self._teacher.answer(batch)
        if hasattr(answers, "wait_to_read"):
            answers.wait_to_read()
        self.seconds += time.process_time() - began
        return answers
