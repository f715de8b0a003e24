"""The decision whether a teacher's features are kept on disk, which a run takes once, at its start.

Kept features and those that are computed in every step differ by rounding, so a run that goes on
with the others would not end with the bits of an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from bort.errors import InputError
from bort.ranks import Communicator, on_rank_0
from bort.settings.config import Config, setting
from bort.storage.json_fields import read_fields
from bort.teacher.task_features import FeatureParts

log = logging.getLogger(__name__)

FEATURES_KEPT = "features_kept"
"""Name in `run.json` of whether the teacher's features are kept; null if no loss reads them."""

_GIGABYTE = 1e9
_SHARE_OF_DISK = 0.5


@dataclasses.dataclass(frozen=True)
class KeptFeaturesConfig(Config):
    """The setting of a teacher's kept features."""

    kept_features_gb: float = setting(
        0.0,
        "keep the teacher's features of all inputs on disk if they take at most so many gigabytes, "
        "and half of the free space; otherwise they are computed in every step",
        minimum=0.0,
    )

    def check_needed(self, features: Sequence[str]) -> None:
        """Check that nothing is to be kept where no loss reads features.

        Args:
            features: names of the features that the losses read.
        """
        if self.kept_features_gb > 0 and not features:
            raise InputError(
                f"kept_features_gb is {self.kept_features_gb!r}, and hidden_weight and "
                "relation_weight are 0, so there are no features to keep; allowed is 0"
            )


def may_keep(size: int, missing: int, most_gigabytes: float, free: int) -> bool:
    """Return whether features of a size are within the setting and half of the free disk.

    Args:
        size: size of all features in bytes.
        missing: size of those that are not written yet.
        most_gigabytes: the setting `kept_features_gb`.
        free: free bytes of the disk.
    """
    return size <= most_gigabytes * _GIGABYTE and missing <= _SHARE_OF_DISK * free


def features_kept_by_run(record: Path) -> Optional[bool]:
    """Return whether a run keeps its teacher's features; None if it recorded nothing about them.

    Args:
        record: `run.json` of the run.

    Raises:
        InputError: the file or the field is damaged.
    """
    if not record.exists():
        return None
    fields = read_fields(record)
    return None if fields.values.get(FEATURES_KEPT) is None else fields.boolean(FEATURES_KEPT)


def can_keep_features(
    parts: FeatureParts,
    most_gigabytes: float,
    communicator: Communicator,
    disk_usage: Callable[[Path], Any] = shutil.disk_usage,
    *,
    record: Optional[Path] = None,
) -> bool:
    """Return whether features are to be kept, the same on every rank, and log a line.

    A run that continues does as before. If its kept features are lost and the disk has no room for
    them any more, it goes on without them, and a warning says so.

    Args:
        parts: parts of the features; unusable ones are removed.
        most_gigabytes: most gigabytes of all parts.
        communicator: the ranks.
        disk_usage: replaces `shutil.disk_usage`.
        record: `run.json` of the run that continues; None: a run begins.

    Raises:
        InputError: a folder has the name of a part, or the record is damaged.
    """

    def decide() -> bool:
        before = None if record is None else features_kept_by_run(record)
        what = f"the teacher's features of {parts.key.count:,} inputs"
        if before is False:
            log.info("%s are computed in every step, as since the start of the run", what)
            return False
        parts.remove_unusable()
        size = parts.key.bytes(int(parts.lengths.sum()))
        existing = next(
            one for one in (parts.folder, *parts.folder.absolute().parents) if one.exists()
        )
        free = int(disk_usage(existing).free)
        shown = f"{size / _GIGABYTE:.1f} GB"
        missing = parts.missing_bytes()
        if may_keep(size, missing, most_gigabytes, free):
            log.info("%s are kept: %s", what, shown)
            return True
        limit = f"the disk has {free / _GIGABYTE:.1f} GB free, of which half may be used"
        if size > most_gigabytes * _GIGABYTE:
            limit = f"kept_features_gb is {most_gigabytes:g}"
        if before:
            log.warning(
                "%s: the run kept %s until now, but %.1f GB of them are missing and %s; they are "
                "computed in every step from now on, so the run ends with other roundings than an "
                "uninterrupted one",
                record,
                what,
                missing / _GIGABYTE,
                limit,
            )
            return False
        log.info("%s take %s, %s; they are computed in every step", what, shown, limit)
        return False

    return bool(on_rank_0(communicator, decide))
