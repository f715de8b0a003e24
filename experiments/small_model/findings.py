"""`Findings`: the facts that the checks before a run found, their record and their words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from bort.process.machine import describe_machine
from bort.report.html.seconds import spoken_seconds
from bort.search.limit import LATENCY
from bort.stages.key import canonical_hash
from bort.storage.amounts import spoken_bytes
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields
from bort.tasks.records import TaskRecord
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.limit_check import CheckedLimit, PairLatency
from experiments.small_model.plan import TimePlan
from experiments.small_model.statements import MATH_WORDS
from experiments.small_model.step_costs import StepCost
from experiments.small_model.task import SmallTask
from experiments.small_model.task_check import CheckedTask
from experiments.small_model.teacher_check import CheckedTeacher
from experiments.small_model.time_check import CheckedTime

FINDINGS_FILE = "findings.json"
"""The measurements of the checks, which a continued run takes from here."""


@dataclass(frozen=True)
class Measured:
    """The measurements of the checks, which a continued run does not repeat.

    Attributes:
        latency: latencies of the teacher and of its smallest parts.
        steps: seconds of training steps.
    """

    latency: PairLatency
    steps: StepCost


@dataclass(frozen=True)
class Findings:
    """The facts that the checks found; the run can begin.

    Attributes:
        config: the settings.
        record: the task.
        teacher, data, task, limit, time: results of the checks; `task` is open.
        measured: latencies and seconds of steps.
        math: the arithmetic of the trainings, `exact` or `fast`.
        plan: the plan of the hours, with the estimates of stages that are not by the clock.
        disk_bytes: bytes that the stages need, and bytes that are free.
        notes: remarks for the user.
        in_file: what a file of labelled texts holds, in words, with the rows that are left out.
    """

    config: SmallModelConfig
    record: TaskRecord
    teacher: CheckedTeacher
    data: SmallTask
    task: CheckedTask
    limit: CheckedLimit
    measured: Measured
    math: str
    plan: TimePlan
    time: CheckedTime
    disk_bytes: Tuple[int, int]
    notes: Tuple[str, ...]
    in_file: Tuple[str, ...] = ()

    @property
    def trains_teacher(self) -> bool:
        """Whether the teacher is fine-tuned on the task first."""
        return not self.teacher.has_head

    @property
    def with_agora(self) -> bool:
        """Whether the run ends with Agora."""
        return "agora" in self.plan.stages

    def lines(self) -> List[str]:
        """Return the facts in words, a line for each check, then the notes."""
        found = [self._teacher_line(), self._task_line(), self._limit_line()]
        needed, free = map(spoken_bytes, self.disk_bytes)
        found.append(f"training: {MATH_WORDS[self.math]}")
        found.append(f"disk: about {needed} of {free} that are free")
        steps = ", ".join(
            f"{count:,} of {name} ({self.time.epochs(name):.3g} epochs)"
            for name, count in self.time.steps.items()
        )
        found.append(f"time: {spoken_seconds(self.plan.seconds)} buy about these steps: {steps}")
        return [*found, *(f"note: {note}" for note in self.notes)]

    def as_dict(self) -> Dict[str, Any]:
        """Return the facts, JSON-ready."""
        limit = self.limit.limit
        return {
            "teacher": {
                "folder": self.teacher.folder,
                "architecture": str(self.teacher.architecture),
                "parameters": self.teacher.architecture.parameter_count(),
                "is_fine_tuned": self.teacher.has_head,
                "latency_ms": 1e3 * self.measured.latency.teacher_seconds,
            },
            "task": {
                **self.task.facts,
                "usual_length": self.data.usual_length,
                "unknown_tokens": self.task.unknown_share,
                "single_letters": self.task.single_letters,
                "in_file": list(self.in_file),
            },
            "limit": {
                "kind": limit.kind,
                "most": limit.most,
                "teacher": limit.reference,
                "least": self.limit.least,
                "architectures": len(self.limit.members),
                "inside": self.limit.inside,
            },
            "conditions": dict(self.measured.latency.conditions),
            "math": self.math,
            "disk_bytes": self.disk_bytes[0],
            "time": {
                "seconds": self.plan.seconds,
                "planned": self.plan.expected({}),
                "steps": dict(self.time.steps),
                "least_steps": dict(self.time.least),
                "epoch_steps": self.time.epoch_steps,
            },
            "notes": list(self.notes),
        }

    def save(self, folder: Path) -> None:
        """Write the facts and the measurements into the folder of the run.

        Raises:
            WorkError: the file cannot be written.
        """
        measured = {
            "latency": self.measured.latency.as_dict(),
            "steps": {
                name: value
                for name, value in dataclasses.asdict(self.measured.steps).items()
                if value is not None
            },
        }
        key = measurements_key(self.config, self.teacher, self.data, self.math)
        write_json(folder / FINDINGS_FILE, {"key": key, "measured": measured, **self.as_dict()})

    def _teacher_line(self) -> str:
        millions = self.teacher.architecture.parameter_count() / 1e6
        state = "fine-tuned on this task already: it is taken as it is"
        if self.trains_teacher:
            state = "an encoder without a head for this task: it is fine-tuned first"
        return (
            f"teacher: {self.teacher.folder}, {self.teacher.architecture}, {millions:.3g} M "
            f"parameters, {state}"
        )

    def _task_line(self) -> str:
        facts = self.task.facts
        word = "labels, any number for a text" if self.record.several_labels else "classes"
        kind = f"{len(facts['labels'])} {word}" if facts["labels"] else "numbers"
        sizes = ", ".join(f"{name} {facts[name]:,}" for name in ("train", "dev", "report"))
        more = f", {facts['unlabelled']:,} texts without a label" if facts["unlabelled"] else ""
        return (
            f"task: {facts['name']}, {facts['rows']:,} rows ({sizes}), {kind}{more}; 90 % of the "
            f"inputs have at most {self.data.usual_length} tokens"
        )

    def _limit_line(self) -> str:
        limit, of = self.limit.limit, len(self.limit.members)
        pair = self.measured.latency
        times = f"{1e3 * pair.teacher_seconds:.3g} ms"
        if pair.reference_seconds is not None:
            times += f" in fp32, {1e3 * pair.seconds[0]:.3g} ms in {pair.precision}"
        if limit.kind != LATENCY:
            times = f"{limit.reference:,.0f} parameters, {times}"
        least = f"{self.limit.least:,.0f} parameters"
        if limit.kind == LATENCY:
            least = (
                f"{1e3 * self.limit.least:.3g} ms, a speed-up of "
                f"{pair.teacher_seconds / self.limit.least:.3g}"
            )
        return (
            f"limit: {limit.describe()}; teacher {times} for {pair.conditions['length']} tokens on "
            f"{pair.conditions['engine']}, {pair.conditions['precision']}, the smallest part "
            f"{least}; about {self.limit.inside} of {of} architectures keep the limit"
        )


def describe_plan(findings: Findings) -> str:
    """Return the text of `--dry_run`: the facts in words, and the plan of the hours as a table."""
    return "\n".join([*findings.lines(), "", findings.plan.table()])


def measurements_key(
    config: SmallModelConfig, teacher: CheckedTeacher, data: SmallTask, math: str
) -> str:
    """Return a hash of what the measurements depend on, but for the limit.

    The limit decides the sizes of the small network whose steps are measured. The line through its
    steps and the teacher's serves other limits, too.

    Args:
        config: engine, threads, length and device, and the settings of a step.
        teacher: the teacher, of which only the sizes count.
        data: the task.
        math: the arithmetic of the trainings, `exact` or `fast`.
    """
    return canonical_hash(
        {
            "architecture": teacher.architecture.as_dict(),
            "data": data.data.train.features.fingerprint,
            "engine": config.engine,
            "precision": config.precision,
            "threads": config.threads,
            "length": config.length or data.usual_length,
            "gpu": config.gpu,
            "batch_size": config.batch_size,
            "freeze_embeddings": config.freeze_embeddings,
            "math": math,
            "machine": describe_machine(),
        }
    )


def recorded_measurements(folder: Path, key: str) -> Optional[Measured]:
    """Return the measurements in the folder of a run; None without any, or with other ones.

    Args:
        folder: the folder.
        key: result of `measurements_key`.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FINDINGS_FILE
    if not path.exists():
        return None
    fields = read_fields(path)
    if fields.text("key") != key:
        return None
    measured = fields.fields("measured")
    steps = measured.fields("steps")
    return Measured(
        PairLatency.from_fields(measured.fields("latency")),
        StepCost(
            float(steps.number("fixed", 0)),
            float(steps.number("each", 0)),
            steps.integer("batch_size", 1),
            steps.integer("length", 1),
            float(steps.number("relations", 0)) if steps.has("relations") else 0.0,
            float(steps.number("answering", 0)) if steps.has("answering") else None,
            float(steps.number("sharing")) if steps.has("sharing") else 0.0,
        ),
    )
