"""The rule that decides whether two runs are the same, and folders that belong to one run."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

from bort.errors import InputError
from bort.storage.files import PathLike, write_json
from bort.storage.json_fields import read_fields

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
        if isinstance(value, dict) and (before is None or isinstance(before, dict)):
            yield from differences(before or {}, value, default or {})
            continue
        if isinstance(before, list) and isinstance(default, dict):
            before = [{**default, **one} if isinstance(one, dict) else one for one in before]
        if not _is_same(value, before):
            yield Difference(name, before, value)


def _is_same(first: Any, second: Any) -> bool:
    """Return whether two JSON values are equal; in contrast to `==`, true is not 1."""
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_is_same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return set(first) == set(second) and all(_is_same(first[k], second[k]) for k in first)
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


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
            values. Of fingerprints it shows the first 12 characters.
    """
    for name, before, value in differences(then, now, defaults):
        consequence = (may_change or {}).get(name)
        if consequence is None and _are_fingerprints(name, before, value):
            raise InputError(
                f"{where}: {name} differs from that of the {what} to resume: "
                f"its fingerprint is {str(value)[:12]!r}, "
                f"the {what} to resume started with {before[:12]!r}"
            )
        if consequence is None:
            raise InputError(
                f"{where}: {name} is {value!r}, the {what} to resume started with {before!r}"
            )
        log.info("%s was %s and is %s now: %s", name, before, value, consequence)


def _are_fingerprints(name: str, *values: Any) -> bool:
    if name == "data":
        return isinstance(values[0], str)
    return all(isinstance(one, str) and re.fullmatch("[0-9a-f]{64}", one) for one in values)


def is_begun(folder: Path, file: str, results: Sequence[str] = ()) -> bool:
    """Return whether a folder holds a run with results; see `claim_folder`.

    A run that was killed before its first result has its settings file alone.
    """
    if not (folder / file).exists():
        return False
    return not results or any(any(folder.glob(pattern)) for pattern in results)


def _refuse_unknown_results(path: Path, what: str, results: Sequence[str]) -> None:
    """Refuse results whose settings are unknown; folders of results have records of their own."""
    for pattern in results:
        for found in path.parent.glob(pattern):
            if found.parent != path.parent:
                continue
            raise InputError(
                f"{path}: is missing, so the settings of the {what} that wrote {found.name} are "
                "unknown; name another folder"
            )


def claim_folder(
    folder: Path,
    file: str,
    settings: Settings,
    what: str,
    resume: bool,
    *,
    defaults: Optional[Settings] = None,
    results: Sequence[str] = (),
    remains: Sequence[str] = (),
    unrecorded: Sequence[str] = (),
) -> None:
    """Claim a folder for a new run, or for resuming the run that it holds.

    A run without results has nothing to continue, and a new one replaces it; with `resume` too.

    Args:
        folder: folder of the run.
        file: name of the settings file in it.
        settings: JSON-ready, all settings that can change results.
        what: name of the kind of run in messages, such as "search".
        resume: whether to continue the run that the folder holds.
        defaults: defaults of the settings, in the same shape; see `differences`.
        results: patterns of the files that hold results; without patterns, the settings file counts
            as one.
        remains: patterns of the files that a run without results leaves, which are removed.
        unrecorded: settings that older runs do not record; they are compared only if recorded.

    Raises:
        InputError: the folder is a file; it holds a run and `resume` is false; it holds a run with
            other settings; or it holds results next to which the settings file is missing.
    """
    path = folder / file
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, expected a folder")
    if not path.exists():
        _refuse_unknown_results(path, what, results)
    if not is_begun(folder, file, results):
        if resume:
            log.info("%s: holds no result yet, the %s starts at its beginning", folder, what)
        if path.exists():
            for pattern in remains:
                for left in folder.glob(pattern):
                    left.unlink()
        write_json(path, settings)
        return
    if not resume:
        raise InputError(
            f"{folder}: already holds a {what} (--resume continues it, or name another folder)"
        )
    then = read_fields(path).values
    compared = {n: value for n, value in settings.items() if n not in unrecorded or n in then}
    check_same_run(path, what, then, compared, defaults or {})
