"""Everything that is checked before a small model costs time: teacher, data, disk, limit, hours."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple

from bort.errors import InputError
from bort.storage.amounts import spoken_bytes
from bort.storage.locks import RUN_LOCK
from bort.storage.outputs import check_output_folder
from bort.tasks.formulations import output_count
from data.tasks.own_description import resolve_task
from experiments.small_model.arithmetic import training_math
from experiments.small_model.asked_inputs import inputs_by_stage, keeps_relations
from experiments.small_model.config import AGORA_ALWAYS, AGORA_AUTO, AGORA_ROWS, SmallModelConfig
from experiments.small_model.defaults import with_defaults
from experiments.small_model.findings import (
    FINDINGS_FILE,
    Findings,
    Measured,
    measurements_key,
    recorded_measurements,
)
from experiments.small_model.latency import serving_settings
from experiments.small_model.limit_check import (
    CheckedLimit,
    PairLatency,
    check_limit,
    measure_pair,
)
from experiments.small_model.plan import ESTIMATES, TimePlan, make_time_plan
from experiments.small_model.serving import STAGE_AGORA
from experiments.small_model.step_costs import (
    ASKING,
    importance_seconds,
    measure_steps,
    stepless_seconds,
)
from experiments.small_model.students import STAGE_SUPER_NETWORK, STAGE_TEACHER
from experiments.small_model.task import SmallTask, open_small_task, options_of_model
from experiments.small_model.task_check import (
    CheckedTask,
    check_is_trainable,
    check_task_data,
)
from experiments.small_model.teacher_check import (
    KNOWN_REPORT,
    CheckedTeacher,
    check_teacher,
    check_teacher_of_task,
    may_know_report,
)
from experiments.small_model.time_check import (
    CheckedTime,
    check_time,
    seconds_of_steps,
    shortened,
)
from experiments.small_model.training import importance_batches, most_epochs

log = logging.getLogger(__name__)

STAGES_FOLDER = "stages"
"""The folder of the results of the stages."""

_TRIAL_SECONDS, _TRIAL_SHARE = 4.0, 0.01
_PARTS_OF_TRAINING = 7  # the model, and two checkpoints with both moments of Adam
_EXPORTED_COPIES = 8  # exports, the folder that serves, and `model`, each in three forms
_SPARE = 1.25
_BUSY = 0.7
"""Share of a core below which other programs are told of."""

_LATENCY_ROWS = (6, 30)  # fewest and most architectures that are measured

DiskUsage = Callable[[Path], Any]


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
    math = training_math(config)
    teacher = check_teacher(config.teacher)
    in_file: List[str] = []

    def on_line(line: str) -> None:
        log.info("%s", line)
        in_file.append(line)

    record = resolve_task(
        config.task_name, config.own_data, on_line, report_file=config.report_file
    )
    check_is_trainable(record)
    options = options_of_model(teacher.description, config.teacher)
    check_teacher_of_task(teacher, record, options)
    data = open_small_task(record, config)
    task = check_task_data(data, config.teacher)
    config = with_defaults(config, task.facts["train"], teacher.architecture.hidden)
    measured = recorded_measurements(folder, measurements_key(config, teacher, data, math))
    if measured is not None:
        latency = measured.latency
    else:
        log.info("measuring the latency of the teacher and of its smallest parts")
        settings = serving_settings(config, config.length or data.usual_length)
        latency = measure_pair(teacher.architecture, settings)
    limit = check_limit(config, teacher.architecture, latency)
    with_agora = uses_agora(config, task.facts["train"])
    disk = _check_disk(config, teacher, limit, with_agora, disk_usage)
    if measured is None:
        log.info("measuring some steps of training")
        steps = measure_steps(
            (teacher.architecture, limit.likely),
            data.data.train.features.lengths,
            output_count(record, options),
            batch_size=config.inputs_in_a_step,
            seconds=min(_TRIAL_SECONDS, _TRIAL_SHARE * config.seconds),
            gpu=config.gpu,
            math=math,
            freeze_embeddings=config.freeze_embeddings,
        )
        measured = Measured(latency, steps)
    room = disk[1] + _bytes_in(folder)
    estimates = _estimates(config, measured, teacher, limit, task)
    notes: Tuple[str, ...] = ()
    try:
        plan, time = _planned(config, teacher, data, limit, measured, estimates, with_agora, room)
    except InputError as error:
        if not with_agora or config.agora != AGORA_AUTO:
            raise
        # The refusal of what is left names fewer hours.
        plan, time = _planned(config, teacher, data, limit, measured, estimates, False, room)
        notes = (_without_agora(error),)
    known = may_know_report(teacher.description, record, data.whole.report_key)
    notes = (
        *notes,
        *([KNOWN_REPORT] if known else []),
        *teacher.notes,
        *task.notes,
        *limit.notes,
        *_notes_on_machine(latency),
    )
    return Findings(
        *(config, record, teacher, data, task, limit, measured, math, plan, time, disk, notes),
        tuple(in_file),
    )


def _planned(
    config: SmallModelConfig,
    teacher: CheckedTeacher,
    data: SmallTask,
    limit: CheckedLimit,
    measured: Measured,
    estimates: Mapping[str, float],
    with_agora: bool,
    room: int,
) -> Tuple[TimePlan, CheckedTime]:
    """Return the plan of the hours, and the steps that they buy.

    `room` is the bytes of the disk that are free or that the run has filled, so that a run which
    continues finds the same steps.

    Raises:
        InputError: the hours are too few.
    """
    is_shortened = not config.least_steps
    asked = inputs_by_stage(data.inputs, data.training_inputs)
    kept = keeps_relations(teacher.architecture, asked, measured.steps.length, room)
    costs = measured.steps.by_stage(
        teacher.architecture,
        limit.candidates,
        limit.likely,
        [name for name in ASKING if name not in kept],
    )
    before = stepless_seconds(
        measured.steps, teacher.architecture, asked, importance_batches(config)
    )
    epoch = -(-data.inputs // config.inputs_in_a_step)
    others = {
        STAGE_TEACHER: -(-data.training_inputs // config.inputs_in_a_step),
        STAGE_AGORA: -(-asked[STAGE_AGORA] // config.inputs_in_a_step),
    }
    most = {
        name: epochs * others.get(name, epoch)
        for name, epochs in most_epochs(data.training_inputs).items()
    }
    plan = make_time_plan(
        config.seconds,
        trains_teacher=not teacher.has_head,
        with_baseline=config.baseline,
        with_agora=with_agora,
        estimates=shortened(estimates, config.seconds) if is_shortened else estimates,
        ends=seconds_of_steps(most, costs, before),
        preparation=before[STAGE_SUPER_NETWORK],
    )
    time = check_time(
        config.hours,
        plan,
        costs,
        epoch,
        config.least_steps,
        before,
        batch_size=config.inputs_in_a_step,
        most=most,
        other_epochs=others,
        estimates=estimates if is_shortened else None,
    )
    return plan, time


def _without_agora(error: InputError) -> str:
    """Return the note of a run that has no time for new examples."""
    return f"no time for Agora's new examples, which are left out; with --agora always: {error}"


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
    if found and not found & {FINDINGS_FILE, STAGES_FOLDER}:
        raise InputError(
            f"output_dir is {str(folder)!r}, which holds {min(found)!r} and no run of this "
            "command; allowed is a new or empty folder, or that of a run to continue"
        )


def _notes_on_machine(latency: PairLatency) -> Iterator[str]:
    """Yield a note if other programs use the processor, so that estimates are too short."""
    share = latency.share_of_core
    if latency.conditions.get("threads") == 1 and share < _BUSY:
        yield (
            f"other programs use the processor: the trial had {100 * share:.0f} % of a core; "
            "stages without the clock may take longer than planned, and trainings make fewer steps"
        )


def _check_disk(
    config: SmallModelConfig,
    teacher: CheckedTeacher,
    limit: CheckedLimit,
    with_agora: bool,
    disk_usage: DiskUsage,
) -> Tuple[int, int]:
    """Return the bytes that the stages need and those that are free.

    A stage removes what its training leaves, so the largest stage counts, beside the results of
    those before it: the training of the super-network behind the teacher, or the export behind both
    and all small models.

    Raises:
        InputError: they are more.
    """
    share = limit.likely.parameter_count() / teacher.architecture.parameter_count()
    students = 1 + config.baseline + with_agora
    copies = max(1 + _PARTS_OF_TRAINING, 2 + share * (students + _EXPORTED_COPIES))
    folder = Path(config.output_dir).absolute()
    needed = int(_SPARE * copies * teacher.weight_bytes)
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = int(disk_usage(place).free)
    if needed > free + _bytes_in(folder):
        raise InputError(
            f"output_dir is {config.output_dir!r}, whose disk has {spoken_bytes(free)} free; the "
            f"stages need about {spoken_bytes(needed)}: name a folder on another disk, or make room"
        )
    return needed, free


def _bytes_in(folder: Path) -> int:
    """Return the bytes of all files in a folder, which may not exist."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _estimates(
    config: SmallModelConfig,
    measured: Measured,
    teacher: CheckedTeacher,
    limit: CheckedLimit,
    task: CheckedTask,
) -> Dict[str, float]:
    """Return the expected seconds of the stages that are not by the clock."""
    pair, forward = measured.latency, measured.steps.forward
    dev, report = task.facts["dev"], task.facts["report"]
    in_fp32 = pair.reference_seconds is None
    fewest, all_rows = (pair.process_seconds + n * pair.row_seconds for n in _LATENCY_ROWS)
    found = {
        # This stage stops measuring at the end of its time.
        "latency": min(all_rows, max(fewest, ESTIMATES["latency"][0] * config.seconds)),
        "search": sum(forward(one, dev) for one in limit.candidates) + 6 * pair.process_seconds,
        # Three precisions, and the check of the Hugging Face export, which imports Transformers.
        # A latency near the limit takes three processes. If the limit is in the precision that
        # serves, the latency of what serves is always near it.
        "export": (4 if in_fp32 else 6) * pair.process_seconds + 3 * forward(limit.likely, dev),
        "final": (2 if in_fp32 else 4) * pair.process_seconds
        + 2 * forward(teacher.architecture, report),
    }
    if teacher.has_head:
        batches = importance_batches(config)
        found["teacher"] = pair.process_seconds + forward(teacher.architecture, dev)
        found["teacher"] += importance_seconds(measured.steps, teacher.architecture, batches)
    return found
