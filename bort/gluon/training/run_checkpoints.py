"""The checkpoints of one run: the state of a trainer and the settings of the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from bort.architecture import Architecture
from bort.gluon.training.checkpoint import (
    load_checkpoint,
    remove_old_checkpoints,
    save_checkpoint,
)
from bort.gluon.training.flat_trainer import FlatTrainer
from bort.network.model_folder import fingerprint_of_model
from bort.storage.json_fields import JsonFields, read_fields
from bort.storage.run_claim import check_same_run
from bort.storage.run_folder import CHECKPOINT_STATE, RUN_FILE, mark_checkpoint

_STARTS = {"pretrained_parameters": "pretrained", "initial_model": "initial_model"}
"""Settings that hold the fingerprint of the model that a run starts from → names of its path."""

_IDENTITY = ("task", "architecture", "options", "vocabulary", "dev", *_STARTS)
"""Settings that checkpoints of version 0.2.0 lack; the run's `run.json` records most of them."""


class RunCheckpoints:
    """The checkpoints of one run; only a run with the same settings can restore them.

    Args:
        folder: folder of the run.
        trainer: the trainer whose buffers and scalars are stored.
        settings: all settings of the run that can change results, as JSON values, in the order in
            which they are compared; `architecture` is `str` of an `Architecture`.
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
        scale = trainer.label_scale
        self._settings = settings if scale == 1.0 else {**settings, "label_scale": scale}
        self._defaults = {"label_scale": 1.0, **defaults}
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
        mark_checkpoint(self._folder)

    def restore(self, step: Optional[int]) -> Tuple[int, Dict[str, Any]]:
        """Read the checkpoint of `step`, None for the newest, into the trainer.

        The settings are compared first; a refused checkpoint leaves the trainer unchanged.

        Returns:
            The step of the checkpoint and its state.

        Raises:
            InputError: the checkpoint does not exist, is damaged, or belongs to another run.
        """
        trainer = self._trainer
        done, state = load_checkpoint(
            self._folder, trainer.flat, trainer.buffers(), step, self._check_same_run
        )
        trainer.restore(self._fields(state).fields("trainer").values)
        if trainer.communicator.rank == 0:
            remove_old_checkpoints(self._folder, done, self._keep)
        return done, state

    def _check_same_run(self, state: Mapping[str, Any]) -> None:
        then = self._fields(state).fields("settings").values
        missing = [name for name in _IDENTITY if name in self._settings and name not in then]
        if missing:
            then = {**then, **self._recorded(missing)}
        check_same_run(self._folder, "run", then, self._settings, self._defaults, self._may_change)

    def _fields(self, state: Mapping[str, Any]) -> JsonFields:
        return JsonFields(state, f"{self._folder}: {CHECKPOINT_STATE}")

    def _recorded(self, names: Sequence[str]) -> Dict[str, Any]:
        """Return settings from `run.json`; the current value of one that it does not record."""
        path = self._folder / RUN_FILE
        record = read_fields(path).values if path.exists() else {}
        found = {name: record.get(name, self._settings[name]) for name in names}
        for name in _STARTS:
            if name in found and name not in record:
                found[name] = self._recorded_start(name, record)
        if isinstance(found.get("architecture"), dict):
            source = f"{path}: architecture"
            found["architecture"] = str(Architecture.from_dict(found["architecture"], source))
        return found

    def _recorded_start(self, name: str, record: Mapping[str, Any]) -> Any:
        """Return the fingerprint of the model that a run of version 0.2.0 started from.

        Such a run recorded its path alone. The current value is returned if nothing is there.
        """
        given = {**record.get("paths", {}), **record}
        path = given.get(_STARTS[name], "")
        if path is not None and not os.path.exists(path):
            return self._settings[name]
        return fingerprint_of_model(path)
