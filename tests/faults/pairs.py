"""Trials with two processes: the same command twice in one folder, the second a moment later."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import List, Optional, Tuple

from tests.faults import mutations, trees
from tests.faults.children import Child, Outcome
from tests.faults.commands import COMMANDS, Killed
from tests.faults.findings import Trial
from tests.faults.kills import SECONDS, Workshop, is_whole
from tests.faults.world import World


class Pairs:
    """The trials with two processes.

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
        generator = random.Random(f"{self._shop.seed} pair {subject} {number}")
        work = self._shop.begin(killed)
        inputs = trees.snapshot(work, without="out")
        wait = generator.choice([0.0, generator.uniform(0, whole.seconds)])
        more = killed.again if generator.random() < 0.5 else ()
        first = self._start(killed, work, "first", ())
        time.sleep(wait)
        second = self._start(killed, work, "second", more)
        # Both are awaited, in either order, before orphans are looked for.
        outcomes = _finish_both(first, second)
        problem = _judge_pair(outcomes)
        if problem is None:
            done = self._shop.command(killed, work, *killed.again)
            if done.status == 2 and killed.again:
                done = self._shop.command(killed, work)
            problem = is_whole(killed, whole, work, inputs, done)
        statuses = "both" if {done.status for done in outcomes} == {0} else "one refused"
        outcome, detail = problem or (statuses, "")
        mutations.clear(work)
        what = f"{subject}: the second {wait:.3f} s later {' '.join(more)}"
        seconds = round(sum(done.seconds for done in outcomes), 2)
        return Trial(subject, number, what, outcome, problem is not None, detail, seconds)

    def _start(self, killed: Killed, work: Path, name: str, more: Tuple[str, ...]) -> Child:
        streams = self._shop.folder / "streams" / name
        return Child([*killed.command, *more], work, streams, fresh=killed.fresh)


def _finish_both(first: Child, second: Child) -> List[Outcome]:
    statuses: List[Optional[int]] = [None, None]
    children = (first, second)
    while None in statuses and first.seconds < SECONDS:
        for number, child in enumerate(children):
            if statuses[number] is None:
                statuses[number] = child.poll()
        time.sleep(0.002)
    return [child.outcome(status) for child, status in zip(children, statuses)]


def _judge_pair(outcomes: List[Outcome]) -> Optional[Tuple[str, str]]:
    for done in outcomes:
        last = (done.said.strip().splitlines() or [""])[-1]
        if done.status is None:
            return "hang", done.said[-300:]
        if "Traceback" in done.said:
            return "traceback", " | ".join(done.said.strip().splitlines()[-4:])[-400:]
        if done.status not in (0, 2):
            return f"status {done.status}", last
        if done.status == 2 and not last.startswith("error: "):
            return "not one line", last
        if done.orphans:
            return "orphan", str(done.orphans)
    if all(done.status for done in outcomes):
        return "both refused", " | ".join(done.said.strip()[-150:] for done in outcomes)
    return None
