"""The commands that a grid runs, its settings, and the command line of each combination."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shlex
import sys
from pathlib import Path
from typing import Any, FrozenSet, List, Mapping, Optional, Tuple, Type

from bort.agora.config import AgoraConfig, AgoraPaths, AgoraSets
from bort.agora.timaeus_config import TimaeusConfig
from bort.errors import InputError
from bort.settings.academic_grid import FINETUNING, PRETRAINING, as_ours, check_names, is_academic
from bort.settings.config import Config, setting, setting_names
from bort.settings.grid import SettingsGrid, flags_of
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.tasks.options import TaskOptions
from bort.training.finetuning_config import FinetuningConfig, FinetuningPaths
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from experiments.grid.grid_file import read_grid
from experiments.small_model.config import SmallModelConfig

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CELLS_FOLDER = "cells"


@dataclasses.dataclass(frozen=True)
class GridCommand:
    """A command that a grid can run.

    Attributes:
        folder_flag: flag of the folder of a run.
        metric: path of the result in the JSON that the command prints.
        configs: the configurations whose settings are its flags.
        lower_is_better: whether a lower result is better.
        release: the command of arXiv 2104.07705's release that does the same; None for none.
        has_resume: whether an interrupted run needs --resume; without it, the same command
            continues.
    """

    folder_flag: str
    metric: str
    configs: Tuple[Type[Config], ...]
    lower_is_better: bool = False
    release: Optional[str] = None
    has_resume: bool = True

    @property
    def settings(self) -> FrozenSet[str]:
        """The names of all its flags."""
        return frozenset(name for config in self.configs for name in setting_names(config))


COMMANDS: Mapping[str, GridCommand] = {
    "finetune": GridCommand(
        "output_dir",
        "best.mean",
        (FinetuningPaths, FinetuningConfig, TaskOptions),
        release=FINETUNING,
    ),
    "run_pretraining_distillation": GridCommand(
        "ckpt_dir",
        "validation.mlm_loss",
        (PretrainingPaths, PretrainingConfig),
        lower_is_better=True,
        release=PRETRAINING,
    ),
    "train_super_network": GridCommand(
        "output_dir", "steps", (SuperNetworkPaths, SuperNetworkConfig, TaskOptions)
    ),
    "run_agora": GridCommand(
        "output_dir", "dev.mean", (AgoraPaths, AgoraSets, AgoraConfig, TimaeusConfig)
    ),
    "make_small_model": GridCommand(
        "output_dir", "final.score", (SmallModelConfig,), has_resume=False
    ),
}
"""Commands by the names of their scripts."""


@dataclasses.dataclass(frozen=True)
class GridConfig(Config):
    """Settings of a grid run."""

    grid: str = setting(
        ..., "YAML or JSON file with hyperparameters (lists of values) and default_parameters"
    )
    command: str = setting("finetune", "the command to run", choices=tuple(COMMANDS))
    output_dir: Optional[str] = setting(
        None, "folder of the runs and results; default: the commands are printed"
    )
    metric: Optional[str] = setting(
        None,
        "path of the result in the JSON that the command prints, e.g. best.metrics.f1; default: "
        "set by the command",
    )
    lower_is_better: Optional[bool] = setting(
        None, "sort the table by rising results; default: set by the command"
    )
    keep_models: bool = setting(True, "keep the folder of each run; false keeps its result alone")
    print: bool = setting(False, "print the commands, one a line, and run nothing")
    resume: bool = setting(False, "continue the grid in --output_dir; failed runs are tried again")

    def check(self) -> None:
        """Check that there is a folder unless the commands are printed."""
        if self.output_dir is None and not self.print:
            raise InputError("output_dir is missing, needed unless --print is given")


def cell_name(cell: Mapping[str, Any]) -> str:
    """Return the name of a combination, which depends on its settings alone."""
    content = json.dumps(cell, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def command_line(config: GridConfig, cell: Mapping[str, Any], folder: Path) -> List[str]:
    """Return the command of a combination, whose parameters may be those of the release.

    Raises:
        InputError: a value is no flag of the command.
    """
    command = COMMANDS[config.command]
    given = dict(cell)
    if command.release is not None and is_academic({*cell}, command.settings, command.release):
        given = as_ours(cell, command.release, command.settings)
    script = str(SCRIPTS / f"{config.command}.py")
    return [sys.executable, script, *flags_of({**given, command.folder_flag: str(folder)})]


def checked_grid(config: GridConfig) -> SettingsGrid:
    """Read and check the grid of a command.

    Raises:
        InputError: the file is bad; it has a setting that the grid sets, or that the command does
            not have; a combination has no counterpart in the command's settings.
    """
    grid = read_grid(Path(config.grid))
    command = COMMANDS[config.command]
    names = {*grid.values, *grid.defaults}
    try:
        check_names(names, command.settings, command.release)
        if not is_academic(names, command.settings, command.release):
            for name in (command.folder_flag, "resume"):
                if name in names:
                    raise InputError(f"has {name}, which the grid sets for each run")
        for cell in grid.cells():
            command_line(config, cell, Path("run"))  # refuses what cannot be flags
    except InputError as error:
        raise InputError(f"{config.grid}: {error}") from error
    return grid


def printed_commands(config: GridConfig) -> List[str]:
    """Return the commands of all combinations, quoted for a shell."""
    folder = Path(config.output_dir or "runs/grid") / CELLS_FOLDER
    return [
        shlex.join(command_line(config, cell, folder / cell_name(cell) / "run"))
        for cell in checked_grid(config).cells()
    ]
