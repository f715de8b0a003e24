"""Trials with several ranks: one of them, or their launcher, is killed; the run is then resumed."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from pathlib import Path
from typing import List, Optional, Tuple

import psutil

from tests.faults import mutations, trees
from tests.faults.children import ROOT, Child, Outcome
from tests.faults.commands import COMMANDS, Killed
from tests.faults.findings import Trial
from tests.faults.kills import Workshop, is_whole, shared_memory
from tests.faults.world import World

RANKS = 2
SECONDS = 600.0  # ranks that take so long hang
_LAUNCH = ["-m", "bort.launch", "--ranks", str(RANKS)]
_VICTIMS = ("rank 0", "rank 1", "launcher", "all")


def _on_ranks(name: str) -> Killed:
    killed = COMMANDS[name]
    script, *flags = killed.command
    return killed._replace(command=[*_LAUNCH, str(ROOT / script), *flags])


class LostRanks:
    """The trials with lost ranks.

    Args:
        world, folder, seed: as of `Workshop`.
    """

    subjects = ["pre-training", "fine-tuning", "search", "cache_teacher_answers", "agora"]

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self._shop = Workshop(world, folder, seed)

    def run(self, subject: str, number: int) -> Trial:
        """Run one trial."""
        killed = _on_ranks(subject)
        whole = self._shop.whole(f"{subject} on ranks", killed)
        generator = random.Random(f"{self._shop.seed} ranks {subject} {number}")
        work = self._shop.begin(killed)
        inputs = trees.snapshot(work, without="out")
        victim = generator.choice(_VICTIMS)
        victim_signal = generator.choice([signal.SIGKILL] * 3 + [signal.SIGTERM])
        moment = generator.uniform(0.2, 1.0) * whole.seconds
        done, is_hit = self._lose(killed, work, victim, victim_signal, moment)
        problem = _after(done, victim, victim_signal, is_hit)
        if victim == "all":
            shared_memory()  # Horovod's own tracker of semaphores was killed, too
        if problem is None:
            done = self._shop.command(killed, work, *killed.again)
            if done.status == 2 and killed.again:
                done = self._shop.command(killed, work)
            problem = is_whole(killed, whole, work, inputs, done)
        outcome, detail = problem or ("same result" if is_hit else "not killed", "")
        mutations.clear(work)
        name = signal.Signals(victim_signal).name
        what = f"{subject} on {RANKS} ranks: {name} to {victim} at {moment:.2f} s"
        return Trial(subject, number, what, outcome, problem is not None, detail, done.seconds)

    def _lose(
        self, killed: Killed, work: Path, victim: str, number: int, moment: float
    ) -> Tuple[Outcome, bool]:
        child = Child(killed.command, work, self._shop.folder / "streams")
        status: Optional[int] = None
        while status is None and child.seconds < moment:
            status = child.poll()
            time.sleep(0.005)
        members = _members(child.pid, victim) if status is None else []
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        if status is not None:
            return child.outcome(status), False
        return child.finish(SECONDS), bool(members)


def _members(launcher: int, victim: str) -> List[psutil.Process]:
    process = psutil.Process(launcher)
    if victim == "launcher":
        return [process]
    ranks = []
    for member in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            is_python = "python" in Path(member.exe()).name
            if is_python and "HOROVOD_RANK" in member.environ() and not member.children():
                ranks.append(member)
    if victim == "all":
        return [process, *process.children(recursive=True)]
    wanted = victim.split()[-1]
    return [member for member in ranks if member.environ()["HOROVOD_RANK"] == wanted]


def _after(done: Outcome, victim: str, number: int, is_hit: bool) -> Optional[Tuple[str, str]]:
    lines = done.said.strip().splitlines() or [""]
    if done.status is None:
        return "hang", done.said[-300:]
    if done.orphans:
        return "orphan", str(done.orphans)
    if "Traceback" in done.said:
        return "traceback", " | ".join(lines[-4:])[-400:]
    is_killed = is_hit and victim.startswith("rank") and number == signal.SIGKILL
    # A rank that is killed after its work is done does not fail the run.
    is_one_line = done.status == 0 or lines[-1].startswith("error: ")
    if is_killed and not (done.status in (0, 1) and is_one_line):
        return f"status {done.status}", lines[-1]
    return None
