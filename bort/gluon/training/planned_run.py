"""`run_planned`: a training of a number of steps with the settings of pre-training."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Optional, TypeVar

from bort.gluon.training.flat_trainer import FlatTrainer
from bort.gluon.training.loop import Cadence, LoopHooks, LoopResult, run_loop
from bort.gluon.training.procedure import StepNumbers, TrainingProcedure
from bort.gluon.training.run_checkpoints import RunCheckpoints
from bort.training.pretraining_config import PretrainingConfig
from bort.training.schedule import warn_of_flat_decay, warn_of_long_warmup
from bort.training.time_budget import MAY_CHANGE

_Batch = TypeVar("_Batch")
_Report = TypeVar("_Report", bound=StepNumbers)


def run_planned(
    training: TrainingProcedure[_Batch, _Report],
    trainer: FlatTrainer,
    config: PretrainingConfig,
    hooks: LoopHooks[_Report],
    *,
    evaluates: bool,
    folder: Optional[Path],
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
    resume: bool,
    resume_step: Optional[int] = None,
) -> LoopResult:
    """Train for `config.num_steps` steps, as `run_loop` does; warn of an unusual schedule first.

    Records, evaluations, checkpoints, the ramp of the batch size and the stop come from `config`. A
    run may be resumed with another number of steps.

    Args:
        training: makes the steps.
        trainer: has the state of the checkpoints.
        config: settings of the training.
        hooks: connect the run with its caller.
        evaluates: whether there is something to evaluate on.
        folder: folder of checkpoints; None saves none.
        settings, defaults: see `RunCheckpoints`.
        resume: whether to continue from a checkpoint.
        resume_step: step of that checkpoint; None takes the newest.

    Raises:
        InputError: the checkpoint does not exist or belongs to another run; see also `run_loop`.
        WorkError: a checkpoint cannot be written.
    """
    is_chief = trainer.communicator.rank == 0
    if is_chief:
        warn_of_long_warmup(config.num_steps, config.warmup_ratio, config.warmup_steps)
        warn_of_flat_decay(config.schedule, config.warmup_ratio, config.decay)
    checkpoints = None
    if folder is not None:
        checkpoints = RunCheckpoints(
            folder,
            trainer,
            settings,
            defaults,
            config.keep_checkpoints,
            may_change={"num_steps": "the schedule changes", **MAY_CHANGE},
        )
    return run_loop(
        training,
        Cadence(
            last=config.num_steps,
            log=config.log_interval,
            evaluate=config.eval_interval if evaluates else None,
            save=(config.ckpt_interval,),
            validation=config.validation,
            stop=config.stop_at_step,
        ),
        hooks,
        accumulation=config.accumulation,
        checkpoints=checkpoints,
        resume=resume,
        resume_step=resume_step,
        is_chief=is_chief,
    )
