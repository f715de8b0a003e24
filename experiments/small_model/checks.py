"""Everything that is checked before a small model costs time: teacher, data, disk, limit, hours."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from bort.errors import InputError
from bort.process.machine import describe_machine
from bort.report.html.seconds import spoken_seconds
from bort.search.limit import LATENCY
from bort.stages.key import canonical_hash
from bort.storage.files import write_json
from bort.storage.json_fields import read_fields
from bort.storage.locks import RUN_LOCK
from bort.storage.outputs import check_output_folder
from bort.tasks.formulations import output_count
from bort.tasks.records import TaskRecord
from data.tasks.own_description import resolve_task
from experiments.small_model.config import AGORA_ALWAYS, AGORA_AUTO, AGORA_ROWS, SmallModelConfig
from experiments.small_model.latency import latency_settings
from experiments.small_model.limit_check import (
    CheckedLimit,
    PairLatency,
    check_limit,
    measure_pair,
)
from experiments.small_model.plan import ESTIMATES, TimePlan, make_time_plan
from experiments.small_model.task import SmallTask, open_small_task, options_of_model
from experiments.small_model.task_check import (
    CheckedTask,
    check_is_trainable,
    check_task_data,
)
from experiments.small_model.teacher_check import (
    CheckedTeacher,
    check_teacher,
    check_teacher_of_task,
)
from experiments.small_model.time_check import (
    CheckedTime,
    StepCost,
    check_time,
    measure_steps,
    shortened,
)

log = logging.getLogger(__name__)

FINDINGS_FILE = "findings.json"
"""The measurements of the checks, which a continued run takes from here."""

STORE_FOLDER = "stages"
"""The folder of the results of the stages."""

_TRIAL_SECONDS, _TRIAL_SHARE = 4.0, 0.01
_PARTS_OF_TRAINING = 7  # the model, and two checkpoints with both moments of Adam
_EXPORTED_COPIES = 8
_LATENCY_ROWS = (6, 30)  # fewest and most architectures that are measured
_GIB = float(1 << 30)

DiskUsage = Callable[[Path], Any]


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
        plan: the plan of the hours, with the estimates of stages that are not by the clock.
        disk_bytes: bytes that the stages need, and bytes that are free.
        notes: remarks for the user.
    """

    config: SmallModelConfig
    record: TaskRecord
    teacher: CheckedTeacher
    data: SmallTask
    task: CheckedTask
    limit: CheckedLimit
    measured: Measured
    plan: TimePlan
    time: CheckedTime
    disk_bytes: Tuple[int, int]
    notes: Tuple[str, ...]

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
        needed, free = (count / _GIB for count in self.disk_bytes)
        found.append(f"disk: about {needed:.1f} GiB of {free:.1f} GiB that are free")
        steps = ", ".join(f"{count:,} of {name}" for name, count in self.time.steps.items())
        epoch = f"an epoch has {self.time.epoch_steps:,}"
        found.append(f"time: {spoken_seconds(self.plan.seconds)} buy about {steps} steps; {epoch}")
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
            "steps": dataclasses.asdict(self.measured.steps),
        }
        key = _key(self.config, self.teacher, self.data)
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
        times = f"teacher {1e3 * pair.teacher_seconds:.3g} ms"
        least = f"{self.limit.least:,.0f} parameters"
        if limit.kind == LATENCY:
            least = (
                f"{1e3 * self.limit.least:.3g} ms, a speed-up of "
                f"{pair.teacher_seconds / self.limit.least:.3g}"
            )
        return (
            f"limit: {limit.describe()}; {times} for {pair.conditions['length']} tokens on "
            f"{pair.conditions['engine']}, {pair.conditions['precision']}, the smallest part "
            f"{least}; about {self.limit.inside} of {of} architectures keep the limit"
        )


def check_everything(
    config: SmallModelConfig, *, disk_usage: DiskUsage = shutil.disk_usage
) -> Findings:
    """Check all that a run needs, the cheap things first, in seconds and without writing a file.

    A run that is continued takes its measurements from `FINDINGS_FILE`, so it finds the same plan.

    Args:
        config: the settings.
        disk_usage: replaces `shutil.disk_usage`.

    Raises:
        InputError: something does not fit; the message says what would do.
    """
    folder = Path(config.output_dir)
    check_place(folder)
    teacher = check_teacher(config.teacher)
    record = resolve_task(config.task_name, config.own_data)
    check_is_trainable(record)
    options = options_of_model(teacher.description, config.teacher)
    note = check_teacher_of_task(teacher, record, options)
    data = open_small_task(record, config)
    task = check_task_data(data, config.teacher)
    measured = _recorded(folder, _key(config, teacher, data))
    if measured is not None:
        latency = measured.latency
    else:
        log.info("measuring the latency of the teacher and of its smallest parts")
        settings = latency_settings(config, config.length or data.usual_length)
        latency = measure_pair(teacher.architecture, settings)
    limit = check_limit(config, teacher.architecture, latency)
    with_agora = uses_agora(config, task.facts["train"])
    disk = _check_disk(config, teacher, limit, with_agora, disk_usage)
    if measured is None:
        log.info("measuring some steps of training")
        steps = measure_steps(
            (teacher.architecture, limit.smallest),
            data.data.train.features.lengths,
            output_count(record, options),
            batch_size=config.batch_size,
            seconds=min(_TRIAL_SECONDS, _TRIAL_SHARE * config.seconds),
            gpu=config.gpu,
        )
        measured = Measured(latency, steps)
    estimates = _estimates(config.seconds, measured, teacher, limit, task)
    if not config.least_steps:
        estimates = shortened(estimates, config.seconds)
    plan = make_time_plan(
        config.seconds,
        trains_teacher=not teacher.has_head,
        with_baseline=config.baseline,
        with_agora=with_agora,
        estimates=estimates,
    )
    costs = measured.steps.by_stage(teacher.architecture, limit.members, limit.likely)
    inputs = task.facts["train"] + task.facts["unlabelled"]
    time = check_time(
        config.hours, plan, costs, -(-inputs // config.batch_size), config.least_steps
    )
    notes = (*([note] if note else []), *task.notes, *limit.notes)
    return Findings(config, record, teacher, data, task, limit, measured, plan, time, disk, notes)


def describe_plan(findings: Findings) -> str:
    """Return the text of `--dry_run`: the facts in words, and the plan of the hours as a table."""
    return "\n".join([*findings.lines(), "", findings.plan.table()])


def uses_agora(config: SmallModelConfig, training_rows: int) -> bool:
    """Return whether a run makes new examples: always, or if there are few training rows."""
    if config.agora == AGORA_AUTO:
        return training_rows <= AGORA_ROWS
    return config.agora == AGORA_ALWAYS


def check_place(folder: Path) -> None:
    """Check that a folder can be written, and that it is empty or holds a small model's run.

    Raises:
        InputError: it cannot be written, or holds something else.
    """
    check_output_folder(folder)
    if not folder.is_dir():
        return
    found = {path.name for path in folder.iterdir()} - {RUN_LOCK}
    if found and not found & {FINDINGS_FILE, STORE_FOLDER}:
        raise InputError(
            f"output_dir is {str(folder)!r}, which holds {min(found)!r} and no run of this "
            "command; allowed is a new or empty folder, or that of a run to continue"
        )


def _check_disk(
    config: SmallModelConfig,
    teacher: CheckedTeacher,
    limit: CheckedLimit,
    with_agora: bool,
    disk_usage: DiskUsage,
) -> Tuple[int, int]:
    """Return the bytes that the stages need and those that are free.

    Raises:
        InputError: they are more.
    """
    share = limit.likely.parameter_count() / teacher.architecture.parameter_count()
    students = 1 + config.baseline + with_agora
    copies: float = _PARTS_OF_TRAINING * (1 + (not teacher.has_head))
    copies += share * (_PARTS_OF_TRAINING * students + _EXPORTED_COPIES)
    folder = Path(config.output_dir).absolute()
    needed = int(copies * teacher.weight_bytes)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = int(disk_usage(place).free)
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if needed > free + there:
        raise InputError(
            f"output_dir is {config.output_dir!r}, whose disk has {free / _GIB:.2f} GiB free; the "
            f"stages need about {needed / _GIB:.2f} GiB: name a folder on another disk, or make "
            "room"
        )
    return needed, free


def _estimates(
    seconds: float,
    measured: Measured,
    teacher: CheckedTeacher,
    limit: CheckedLimit,
    task: CheckedTask,
) -> Dict[str, float]:
    """Return the expected seconds of the stages that are not by the clock."""
    pair, forward = measured.latency, measured.steps.forward
    dev, report = task.facts["dev"], task.facts["report"]
    fewest, all_rows = (pair.process_seconds + n * pair.row_seconds for n in _LATENCY_ROWS)
    found = {
        # This stage stops measuring at the end of its time.
        "latency": min(all_rows, max(fewest, ESTIMATES["latency"][0] * seconds)),
        "search": sum(forward(one, dev) for one in limit.candidates) + 3 * pair.process_seconds,
        "export": 3 * (pair.process_seconds + forward(limit.likely, dev)),
        "final": 2 * pair.process_seconds + 2 * forward(teacher.architecture, report),
    }
    if teacher.has_head:
        found["teacher"] = pair.process_seconds + forward(teacher.architecture, dev)
    return found


def _key(config: SmallModelConfig, teacher: CheckedTeacher, data: SmallTask) -> str:
    """Return a hash of all that the measurements depend on."""
    return canonical_hash(
        {
            "architecture": teacher.architecture.as_dict(),
            "data": data.data.train.features.fingerprint,
            "engine": config.engine,
            "threads": config.threads,
            "length": config.length or data.usual_length,
            "gpu": config.gpu,
            "machine": describe_machine(),
        }
    )


def _recorded(folder: Path, key: str) -> Optional[Measured]:
    """Return the measurements in the folder of a run; None without any, or with other ones.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FINDINGS_FILE
    if not path.exists():
        return None
    fields = read_fields(path)
    if not fields.has("key") or fields.text("key") != key:
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
        ),
    )
