"""The checkpoints of one run: the state of a trainer and the settings of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from bort.gluon.training.checkpoint import load_checkpoint, save_checkpoint
from bort.gluon.training.flat_trainer import FlatTrainer
from bort.storage.run_claim import check_same_run


class RunCheckpoints:
    """The checkpoints of one run; only a run with the same settings can restore them.

    Args:
        folder: folder of the run.
        trainer: the trainer whose buffers and scalars are stored.
        settings: all settings of the run that can change results, as JSON values.
        defaults: default values of the settings; see `bort.storage.run_claim.differences`.
        keep: number of newest checkpoints to keep.
        may_change: settings that may differ when resuming; see `check_same_run`.
    """

    def __init__(
        self,
        folder: Path,
        trainer: FlatTrainer,
        settings: Mapping[str, Any],
        defaults: Mapping[str, Any],
        keep: int,
        may_change: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._folder = folder
        self._trainer = trainer
        self._settings = settings
        self._defaults = defaults
        self._keep = keep
        self._may_change = may_change

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step; only rank 0 writes.

        Raises:
            WorkError: the checkpoint cannot be written; earlier checkpoints are unchanged.
        """
        trainer = self._trainer
        if trainer.communicator.rank != 0:
            return
        values = {"settings": self._settings, "trainer": trainer.scalars(), **state}
        save_checkpoint(self._folder, step, trainer.flat, trainer.buffers(), values, self._keep)

    def restore(self, step: Optional[int]) -> Tuple[int, Dict[str, Any]]:
        """Read the checkpoint of `step`, None for the newest, into the trainer.

        Returns:
            The step of the checkpoint and its state.

        Raises:
            InputError: the checkpoint does not exist, is damaged, or belongs to another run.
        """
        trainer = self._trainer
        done, state = load_checkpoint(self._folder, trainer.flat, trainer.buffers(), step)
        check_same_run(
            self._folder,
            "run",
            state["settings"],
            self._settings,
            self._defaults,
            self._may_change,
        )
        trainer.restore(state["trainer"])
        return done, state
