"""Trials with a small disk: a command runs on one that is full too soon, then on a larger one."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
from pathlib import Path
from typing import Optional, Tuple

from tests.faults import mutations, trees
from tests.faults.children import run_child
from tests.faults.commands import COMMANDS
from tests.faults.findings import Trial
from tests.faults.kills import SECONDS, Workshop, is_whole
from tests.faults.world import World

_REMOUNT, _DETACH = 32, 2  # MS_REMOUNT and MNT_DETACH of <sys/mount.h>
_LARGE = 1 << 28


class Disks:
    """The trials with a small disk: a tmpfs for the root user, else a limit of file sizes.

    Args:
        world, folder, seed: as of `Workshop`.
    """

    subjects = [name for name in COMMANDS if name != "evaluate"]

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self._shop = Workshop(world, folder, seed)

    def run(self, subject: str, number: int) -> Trial:
        """Run one trial."""
        killed = COMMANDS[subject]
        whole = self._shop.whole(subject, killed)
        generator = random.Random(f"{self._shop.seed} disk {subject} {number}")
        work = self._shop.begin(killed)
        used = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        disk = work.with_name("disk")
        disk.mkdir(exist_ok=True)
        size = used + generator.randint(1, max(8192, 3 * whole.largest))
        is_mounted = _mount(disk, max(_LARGE, size))
        limit = 0 if is_mounted else generator.randint(1, whole.largest)
        target = disk / "work"
        try:
            shutil.copytree(work, target)
            inputs = trees.snapshot(target, without="out")
            if is_mounted:
                size = _used(disk) + generator.randint(0, max(8192, 2 * whole.largest))
                _mount(disk, size, _REMOUNT)
            done = run_child(
                killed.command,
                target,
                self._shop.folder / "streams",
                SECONDS,
                fresh=killed.fresh,
                full_disk_at=limit,
            )
            problem, is_full = _after(target, done.status, done.said), done.status != 0
            if is_mounted:
                _mount(disk, _LARGE, _REMOUNT)
            if problem is None:
                done = self._shop.command(killed, target, *killed.again)
                if done.status == 2 and killed.again:
                    done = self._shop.command(killed, target)
                problem = is_whole(killed, whole, target, inputs, done)
        finally:
            if is_mounted:
                ctypes.CDLL(None).umount2(os.fsencode(disk), _DETACH)
            mutations.clear(disk)
            mutations.clear(work)
        outcome, detail = problem or ("was full, then whole" if is_full else "fitted", "")
        kind = f"a tmpfs of {size} bytes" if is_mounted else f"no file beyond {limit} bytes"
        what = f"{subject}: {kind}"
        return Trial(subject, number, what, outcome, problem is not None, detail, done.seconds)


def _used(disk: Path) -> int:
    state = os.statvfs(disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _mount(disk: Path, size: int, flags: int = 0) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    options = f"size={size}".encode()
    return bool(library.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", flags, options) == 0)


def _after(target: Path, status: Optional[int], said: str) -> Optional[Tuple[str, str]]:
    lines = said.strip().splitlines() or [""]
    if status is None:
        return "hang", said[-300:]
    if "Traceback" in said:
        return "traceback", " | ".join(lines[-4:])[-400:]
    if status == 0:
        return None
    if status != 1 or not lines[-1].startswith("error: "):
        return f"status {status}", lines[-1]
    if trees.hidden(target):
        return "leftover", str(trees.hidden(target)[:3])
    return None
