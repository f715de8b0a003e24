"""Checkpoints of a training run: tensors and JSON values, written atomically.

A checkpoint is a folder `step-00000250/` with `tensors.safetensors` and `state.json`, which is
written last and holds the hash of the tensors. The folder is written under a temporary name and
renamed, so a run that is killed while saving still has its previous checkpoint. Nothing is
unpickled.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import mxnet as mx
import numpy as np
from safetensors.numpy import save as save_tensors

from bort.errors import InputError, WorkError
from bort.gluon.training.flat import FlatParameters
from bort.storage.array_files import read_safetensors
from bort.storage.files import new_folder
from bort.storage.json_fields import JsonFields
from bort.storage.sealed_folder import SealedFile, SealedFormat
from bort.storage.unfinished import remove_unfinished

CHECKPOINT_FORMAT = SealedFormat(
    "state.json",
    "the state of a checkpoint",
    lambda record: [SealedFile(_TENSORS, record["sha256"])],
    version=1,
)
_TENSORS = "tensors.safetensors"
_NAME = re.compile(r"step-(\d{8})$")
_OLD_TEMPORARY = ".saving-*"  # unfinished checkpoints of version 0.2.0


def checkpoint_steps(folder: Path) -> List[int]:
    """Return the steps of the complete checkpoints in `folder`, ascending."""
    if not folder.is_dir():
        return []
    found = []
    for entry in folder.iterdir():
        match = _NAME.match(entry.name)
        if match and CHECKPOINT_FORMAT.is_in(entry):
            found.append(int(match.group(1)))
    return sorted(found)


def save_checkpoint(
    folder: Path,
    step: int,
    flat: FlatParameters,
    buffers: Mapping[str, mx.nd.NDArray],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write a checkpoint, and remove all but the newest `keep` checkpoints.

    Args:
        folder: folder of the run, in which the checkpoint folder is created.
        step: number of optimizer steps done.
        flat: layout of the buffers; each is stored as one tensor per parameter.
        buffers: weights and optimizer state, float32, in the layout of `flat`.
        state: JSON values, such as the settings and the loss scale.
        keep: number of newest checkpoints to keep.

    Returns:
        The folder of the checkpoint.

    Raises:
        WorkError: the checkpoint cannot be written; earlier checkpoints are unchanged.
    """
    tensors = {}
    for name, buffer in buffers.items():
        values = buffer.asnumpy()
        for slot in flat.held_by(buffer):
            piece = values[slot.offset : slot.offset + slot.size].reshape(slot.shape)
            tensors[f"{name}/{slot.name}"] = np.ascontiguousarray(piece)
    payload = save_tensors(tensors)
    target = folder / f"step-{step:08d}"
    try:
        _remove_partial(folder)
        with new_folder(target, replace=True) as making:
            writer = CHECKPOINT_FORMAT.writer(making)
            digest = writer.write(_TENSORS, payload)
            writer.seal({"step": step, "sha256": digest, "state": dict(state)})
    except (OSError, WorkError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise WorkError(f"{target}: the checkpoint cannot be written: {reason}") from error
    remove_old_checkpoints(folder, step, keep)
    return target


def remove_old_checkpoints(folder: Path, step: int, keep: int) -> None:
    """Remove all but the newest checkpoints, and what a kill left of such a removal.

    Args:
        folder: folder of the run.
        step: step of a checkpoint that stays in any case.
        keep: number of newest checkpoints to keep.
    """
    newest = {step, *checkpoint_steps(folder)[-keep:]}
    for entry in folder.iterdir():
        match = _NAME.match(entry.name)
        if match and int(match.group(1)) not in newest:
            # The record goes first: a folder without it is no checkpoint.
            with contextlib.suppress(OSError):
                (entry / CHECKPOINT_FORMAT.record_name).unlink()
            shutil.rmtree(entry, ignore_errors=True)


def load_checkpoint(
    folder: Path,
    flat: FlatParameters,
    buffers: Mapping[str, mx.nd.NDArray],
    step: Optional[int],
    check: Callable[[Mapping[str, Any]], None] = lambda state: None,
) -> Tuple[int, Dict[str, Any]]:
    """Read a checkpoint into `buffers`.

    Args:
        folder: folder of the run.
        flat: layout of the buffers.
        buffers: filled in place.
        step: step of the checkpoint; None takes the newest.
        check: called with the state before the tensors are read; raises to refuse it.

    Returns:
        (step, state) as given to `save_checkpoint`.

    Raises:
        InputError: the checkpoint does not exist, is damaged, or belongs to another network.
    """
    known = checkpoint_steps(folder)
    if not known:
        raise InputError(f"{folder}: holds no complete checkpoint to continue from")
    chosen = known[-1] if step is None else step
    if chosen not in known:
        raise InputError(f"{folder}: holds no checkpoint of step {chosen}, there are {known}")
    where = folder / f"step-{chosen:08d}"
    sealed = CHECKPOINT_FORMAT.open(where)
    record = JsonFields.of(sealed.record, str(sealed.source))
    done, state = record.integer("step", 0), dict(record.fields("state").values)
    check(state)
    tensors = read_safetensors(sealed.verified(_TENSORS))
    for name, buffer in buffers.items():
        values = np.zeros(buffer.shape, dtype="float32")
        for slot in flat.held_by(buffer):
            key = f"{name}/{slot.name}"
            if key not in tensors or tensors[key].shape != slot.shape:
                found = tensors[key].shape if key in tensors else "nothing"
                raise InputError(
                    f"{where}: {key} is {found}, the network has {slot.shape} "
                    "(another architecture or vocabulary)"
                )
            values[slot.offset : slot.offset + slot.size] = tensors[key].reshape(-1)
        buffer[:] = values
    return done, state


def _remove_partial(folder: Path) -> None:
    if not folder.is_dir():
        return
    remove_unfinished(folder, r"step-\d{8}")
    for entry in folder.glob(_OLD_TEMPORARY):
        shutil.rmtree(entry, ignore_errors=True)
