"""`Stage`: a named, versioned function with settings and inputs, as the code declares it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping

from bort.errors import InputError
from bort.stages.key import canonical_json
from bort.storage.files import remove_folder
from bort.storage.json_fields import errors_naming
from bort.storage.json_text import parse_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class StageWork:
    """The task that a running stage is given.

    Attributes:
        folder: the folder that the stage fills with its results. It belongs to this process. After
            a kill, a stop or a failure it still holds the files of that attempt.
        inputs: the folder of each input's result, by label. The stage must not change them.
        stop_requested: whether to stop early. A stage that has got the answer True may return
            before its results are complete: it runs again the next time.
        settings: the stage's own settings.
    """

    folder: Path
    inputs: Mapping[str, Path]
    stop_requested: Callable[[], bool]
    settings: Mapping[str, Any]

    def clear(self) -> None:
        """Empty the folder of what an earlier attempt left, for a stage that cannot continue."""
        for path in list(self.folder.iterdir()):
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink()


@dataclass(frozen=True)
class Stage:
    """One step of an experiment.

    Attributes:
        name: name of the stage, unique in its experiment.
        run: writes the results into `StageWork.folder`.
        version: version of the code, a number from 1. Raise it when the code changes results:
            nothing else notices that.
        settings: JSON-ready settings that can change the results. Other settings, such as a number
            of threads, reach `run` as variables of its closure.
        inputs: the stages whose results it reads, by label.
        sources: files or folders of the user that it reads, by label. Their contents count, their
            paths do not.
        kind: name of the code; by default `name`. Stages of one kind share a result if all else is
            equal.

    Raises:
        InputError: a name is not allowed, the version is no number from 1, or the settings are not
            JSON-ready.
    """

    name: str
    run: Callable[[StageWork], None]
    version: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Stage] = field(default_factory=dict)
    sources: Mapping[str, Path] = field(default_factory=dict)
    kind: str = ""

    def __post_init__(self) -> None:
        check_stage_name(self.name, "a stage's name")
        where = f"stage {self.name}"
        if not self.kind:
            object.__setattr__(self, "kind", self.name)
        for name in (self.kind, *self.inputs, *self.sources):
            check_stage_name(name, where)
        if type(self.version) is not int or self.version < 1:
            raise InputError(
                f"{where}: version is {self.version!r}, allowed is an integer of at least 1"
            )
        with errors_naming(f"{where}: settings"):
            settings = parse_json(canonical_json(dict(self.settings)).decode("utf-8"), "value")
        object.__setattr__(self, "settings", settings)  # a copy that nobody changes


def check_stage_name(name: Any, where: str) -> None:
    """Refuse a name that cannot be part of a path.

    Args:
        name: name of a stage, an experiment, an input or a source.
        where: begin of the error message.

    Raises:
        InputError: the name is not allowed.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: {name!r} is not allowed as a name; allowed are up to 100 letters, digits, "
            '"-", "_" and ".", the first one a letter or digit'
        )
