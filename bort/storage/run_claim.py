"""The rule that decides whether two runs are the same, and folders that belong to one run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from bort.errors import InputError
from bort.storage.files import PathLike, read_json, write_json

log = logging.getLogger(__name__)

Settings = Mapping[str, Any]


class Difference(NamedTuple):
    """A setting with its value in an earlier run and its value now."""

    name: str
    then: Any
    now: Any


def differences(then: Settings, now: Settings, defaults: Settings) -> Iterator[Difference]:
    """Yield the settings that have changed, in the order of `now`.

    A setting that `then` lacks is newer than that run, which therefore used its default. A setting
    that `now` lacks no longer exists and is not compared. Objects are compared field by field.

    Args:
        then: settings as they were recorded, read from JSON.
        now: current settings, JSON-ready.
        defaults: defaults of the settings, in the same shape; for a list of objects, those of one.

    >>> list(differences({"lr": 0.1}, {"lr": 0.2, "clip": 1.0}, {"clip": 1.0}))
    [Difference(name='lr', then=0.1, now=0.2)]
    """
    for name, value in json.loads(json.dumps(now)).items():
        default = json.loads(json.dumps(defaults.get(name)))
        before = then.get(name, default)
        if isinstance(value, dict) and isinstance(before or {}, dict):
            yield from differences(before or {}, value, default or {})
            continue
        if isinstance(before, list) and isinstance(default, dict):
            before = [{**default, **one} if isinstance(one, dict) else one for one in before]
        if value != before:
            yield Difference(name, before, value)


def check_same_run(
    where: PathLike,
    what: str,
    then: Settings,
    now: Settings,
    defaults: Settings,
    may_change: Optional[Mapping[str, str]] = None,
) -> None:
    """Refuse to resume a run with other settings than it started with; see `differences`.

    Args:
        where: the file or folder of the run.
        what: name of the kind of run in messages, such as "search".
        then: settings as they were recorded.
        now: current settings.
        defaults: defaults of the settings, in the same shape.
        may_change: settings that may differ → the consequence, which is logged.

    Raises:
        InputError: a setting differs; the message names `where`, the first such setting, and both
            values. Of `data`, a fingerprint, it shows the first 12 characters.
    """
    for name, before, value in differences(then, now, defaults):
        consequence = (may_change or {}).get(name)
        if consequence is None and name == "data" and isinstance(before, str):
            raise InputError(
                f"{where}: data differs from that of the {what} to resume: "
                f"its fingerprint is {str(value)[:12]!r}, "
                f"the {what} to resume started with {before[:12]!r}"
            )
        if consequence is None:
            raise InputError(
                f"{where}: {name} is {value!r}, the {what} to resume started with {before!r}"
            )
        log.info("%s was %s and is %s now: %s", name, before, value, consequence)


def claim_folder(
    folder: Path,
    file: str,
    settings: Settings,
    what: str,
    resume: bool,
    *,
    defaults: Optional[Settings] = None,
) -> None:
    """Claim a folder for a new run, or for resuming the run that it holds.

    Args:
        folder: folder of the run.
        file: name of the settings file in it.
        settings: JSON-ready, all settings that can change results.
        what: name of the kind of run in messages, such as "search".
        resume: whether the folder must already hold the run.
        defaults: defaults of the settings, in the same shape; see `differences`.

    Raises:
        InputError: the folder is a file; it holds a run and `resume` is false; it holds none and
            `resume` is true; or it holds a run with other settings.
    """
    path = folder / file
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    if not path.exists():
        if resume:
            raise InputError(f"{folder}: holds no {what} to resume")
        write_json(path, settings)
        return
    if not resume:
        raise InputError(
            f"{folder}: already holds a {what} (--resume continues it, or name another folder)"
        )
    check_same_run(path, what, read_json(path), settings, defaults or {})
