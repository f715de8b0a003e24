"""The last stage of the demonstration: the one command, for Agora's task and its teacher."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Dict, Optional

from bort.storage.files import read_json
from bort.storage.run_folder import RUN_FILE
from data.generated_tasks.scarce import scarce_files
from experiments.demo.agora import GOLD, SOCRATES_FOLDER, TASK_FILES
from experiments.demo.plan import DemoConfig
from experiments.demo.results import AGORA_TASK
from experiments.demo.small_model_numbers import REFUSED, small_model_numbers
from experiments.small_model.config import AGORA_NEVER, SmallModelConfig
from experiments.small_model.limit_check import LimitRefused

log = logging.getLogger(__name__)

_SPEED_UP = 2.0
"""Largest limit: on MXNet, the engine of a plain set-up, the smallest part of the teacher is 2 to 3
times as fast as the whole."""

_LR, _STUDENT_LR = 4e-4, 1e-3
"""Learning rates of so small networks, like those of Agora's teacher and student."""


def demo_small_model_config(config: DemoConfig, agora: Path, output: Path) -> SmallModelConfig:
    """Return the settings of the one command in the demonstration.

    The teacher is Agora's Socrates, which was fine-tuned on the training set and has seen neither
    the dev set nor the report split. Agora is left out, since the stage before has shown it.

    Args:
        config: settings of the demonstration.
        agora: folder of the comparison of Agora and plain fine-tuning.
        output: folder of the small model.
    """
    files = scarce_files(agora / TASK_FILES, AGORA_TASK, GOLD)
    return SmallModelConfig(
        teacher=str(agora / SOCRATES_FOLDER),
        task_name=files.task_name,
        data_dir=str(files.data_dir),
        report_file=str(files.report_file),
        output_dir=str(output),
        hours=config.small_model_hours,
        speed_up=min(config.speed_up, _SPEED_UP),
        max_len=config.max_seq_length,
        length=config.max_seq_length,
        agora=AGORA_NEVER,
        least_steps=0,
        lr=_LR,
        student_lr=_STUDENT_LR,
        seed=config.seed,
        gpu=False,
    )


def make_demo_small_model(config: DemoConfig, agora: Path, output: Path) -> Dict[str, Any]:
    """Make a small model of Agora's teacher; one that was killed continues.

    Args:
        config: time, limit and seed.
        agora: folder of the comparison of Agora and plain fine-tuning.
        output: folder of the small model.

    Returns:
        `task`, `metric`, `hours`, `chosen`, `served` (architecture, engine and precision), `limit`,
        `final`, `speed_up_fp32`, and `models`: the scores and latencies of teacher, student,
        truncated teacher and served model. If nothing of the teacher keeps the limit on this
        machine, `refused` alone, the reason.
    """
    from experiments.small_model.experiment import make_small_model

    settings = demo_small_model_config(config, agora, output)
    try:
        try:
            made = make_small_model(settings)
        except LimitRefused as error:
            looser = looser_speed_up(error.tightest)
            if looser is None:
                raise
            log.warning("warning: %s; the limit is %g", error, looser)
            made = make_small_model(dataclasses.replace(settings, speed_up=looser))
    except LimitRefused as error:
        log.warning("warning: no small model: %s", error)
        return {REFUSED: str(error)}
    return small_model_numbers(made)


def looser_speed_up(tightest: Optional[float]) -> Optional[float]:
    """Return a speed-up that a machine can keep where the demonstration's own is too tight.

    On MXNet, the engine of a plain set-up, a small network is hardly faster than a large one.

    Args:
        tightest: how many times as fast as the teacher its smallest part is.

    Returns:
        At most three quarters of it, in halves, so that a killed run finds the same number again;
        None if that is not above 1.

    >>> looser_speed_up(2.8), looser_speed_up(1.9), looser_speed_up(None)
    (2.0, None, None)
    """
    found = int(1.5 * (tightest or 0.0)) / 2
    return found if found > 1 else None


def show_small_model(config: DemoConfig, agora: Path, folder: Path) -> None:
    """Write the report of a published small model again, with the paths of the demonstration.

    Args:
        config: settings of the demonstration.
        agora: published folder of the comparison of Agora and plain fine-tuning.
        folder: published folder of the small model.
    """
    from experiments.small_model.experiment import rewrite_results

    settings = demo_small_model_config(config, agora, folder)
    used = read_json(folder / RUN_FILE)["settings"]["speed_up"]
    rewrite_results(dataclasses.replace(settings, speed_up=used))
