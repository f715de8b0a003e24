"""Pre-training in parts under one schedule, and the training of a super-network that is sliced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from bort.architecture import get_architecture
from bort.gluon.pretraining.run import run_pretraining
from bort.gluon.super_network.text_run import train_on_text
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.ranks import SingleProcess
from bort.storage.files import new_folder, write_json
from bort.storage.run_folder import METRICS_FILE, RUN_FILE
from bort.super_network.config import SuperNetworkPaths
from bort.super_network.extraction import extract_model
from bort.super_network.folder import open_super_network
from bort.teacher.source import TeacherSource
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from experiments.demo.text import open_text
from experiments.large_then_compressed.plan import LargeConfig

RUN, POINT_FILE = "run", "point.json"
"""The folder of a run in a stage's result, and the file with its seconds and scores."""

_SECONDS, _SCORES = "train/seconds", "validation/"


def train_part(
    config: LargeConfig,
    text: Path,
    settings: PretrainingConfig,
    model: str,
    folder: Path,
    before: Optional[Path],
    stop_requested: Callable[[], bool],
) -> None:
    """Train one part of a pre-training, up to `settings.stop_at_step`.

    The first part starts at step 0, the others go on in a copy of the run of the part before. A
    part that was killed goes on from its own newest checkpoint.

    Args:
        config: the experiment.
        text: folder of the text stage.
        settings: settings of the whole pre-training, with the step at which this part ends.
        model: the architecture.
        folder: folder of this part; the run is in its subfolder `run`.
        before: folder of the part before; None for the first.
        stop_requested: whether to stop early.

    Raises:
        InputError: text, settings and run do not fit together.
        WorkError: the loss is not finite, or the disk is full.
    """
    place = folder / RUN
    if before is not None and not place.exists():
        _copy_run(before / RUN, place)
    opened = open_text(config.text(), text)
    architecture = config.architecture(model, len(opened.vocabulary))
    sizes = folder / "architecture.json"
    write_json(sizes, architecture.as_dict())
    summary = run_pretraining(
        PretrainingPaths(
            data=str(text / "shards"),
            ckpt_dir=str(place),
            architecture=str(sizes),
            teacher=TeacherSource("none"),
            resume=True,
            cpu_only=not config.gpu,
        ),
        settings,
        opened.train,
        opened.held_out,
        opened.vocabulary,
        SingleProcess(),
        stop_requested,
    )
    if not summary["stopped"]:
        write_json(folder / POINT_FILE, last_record(place))


def last_record(run: Path) -> Dict[str, Any]:
    """Return steps, seconds and held-out scores at the end of a run, from its `metrics.jsonl`.

    The seconds are those of the steps alone. Evaluations, checkpoints, the time between two parts
    and steps that were lost with a kill are not among them.
    """
    found: Dict[str, Any] = {}
    for line in (run / METRICS_FILE).read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        found["steps"] = record["step"]
        if _SECONDS in record:
            found["seconds"] = record[_SECONDS]
        found.update((n[len(_SCORES) :], x) for n, x in record.items() if n.startswith(_SCORES))
    return found


def train_to_slice(
    config: LargeConfig,
    text: Path,
    seed: int,
    large: Path,
    folder: Path,
    stop_requested: Callable[[], bool],
) -> None:
    """Train the large model for some steps as a super-network, and take out the smaller sizes.

    Every step trains the largest and the smallest sub-network and a random one; all but the largest
    learn from its outputs of the same step.

    Args:
        config: the experiment.
        text: folder of the text stage.
        seed: number of the run.
        large: model folder of the pre-trained large model.
        folder: folder of the stage; the models are in its subfolder `models`, by architecture.
        stop_requested: whether to stop early.
    """
    place = folder / RUN
    if not (folder / POINT_FILE).exists():
        opened = open_text(config.text(), text)
        summary = train_on_text(
            SuperNetworkPaths(
                output_dir=str(place),
                data=str(text / "shards"),
                start=str(large),
                teacher=TeacherSource("none"),
                resume=True,
                cpu_only=not config.gpu,
                **_axes(config),
            ),
            config.slicing(seed),
            opened.train,
            None,
            opened.vocabulary,
            SingleProcess(),
            stop_requested,
        )
        if summary["stopped"]:
            return
        source = open_super_network(place)
        for name in config.smaller:
            target = folder / "models" / name
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                extract_model(source, config.architecture(name, len(opened.vocabulary)), target)
        write_json(folder / POINT_FILE, last_record(place))
    for step in checkpoint_steps(place):  # from now on nothing continues the training
        shutil.rmtree(place / f"step-{step:08d}")


def _axes(config: LargeConfig) -> Dict[str, Any]:
    """Return the sizes of the models along each axis in which they differ."""
    sizes = [get_architecture(name) for name in config.architectures]
    fields = {
        "depths": "depth",
        "hiddens": "hidden",
        "intermediates": "intermediate",
        "heads": "heads",
    }
    values = {axis: sorted({getattr(one, name) for one in sizes}) for axis, name in fields.items()}
    return {axis: tuple(map(str, found)) for axis, found in values.items() if len(found) > 1}


def _copy_run(source: Path, target: Path) -> None:
    """Copy what a run needs to go on: its newest checkpoint, its record and its numbers."""
    newest = f"step-{max(checkpoint_steps(source)):08d}"
    with new_folder(target, clean=True) as making:
        for name in (RUN_FILE, METRICS_FILE):
            shutil.copyfile(source / name, making / name)
        (making / newest).mkdir()
        for path in (source / newest).iterdir():
            shutil.copyfile(path, making / newest / path.name)
