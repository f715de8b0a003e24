"""Trials with kills: a command dies at a chosen moment, once or twice, and is then run again."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from tests.faults import children, mutations, trees
from tests.faults.children import Moment, Outcome, run_child
from tests.faults.commands import COMMANDS, Killed
from tests.faults.findings import Trial
from tests.faults.world import World

SECONDS = 600.0  # a command that takes so long hangs
ALLOWED = {
    signal.SIGTERM: (0, 143, -signal.SIGTERM),
    signal.SIGINT: (0, 130, -signal.SIGINT),
}
"""How a command may end after a signal that it can handle."""

MOMENTS = ("time",) * 4 + ("operation",) * 5 + ("bytes",)
"""Kinds of moments, as often as they are drawn. Those of a time depend on the machine."""


class Whole(NamedTuple):
    """An uninterrupted run.

    Attributes:
        left: its results.
        printed: what it printed.
        seconds: its duration.
        operations: number of its file operations.
        largest: size of its largest file in bytes.
    """

    left: Dict[str, str]
    printed: bytes
    seconds: float
    operations: int
    largest: int


class Workshop:
    """Folders of trials with the inputs of a command, and the results of uninterrupted runs.

    Args:
        world: the inputs.
        folder: an empty folder to work in.
        seed: seed of all trials.
    """

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self.world, self.folder, self.seed = world, folder, seed
        self._whole: Dict[str, Whole] = {}

    def begin(self, killed: Killed) -> Path:
        """Return a new folder with the inputs of a command."""
        work = self.folder / "work"
        mutations.clear(work)
        work.mkdir(parents=True)
        for part in killed.parts:
            self.world.copy(part, work)
        if killed.before:
            source = self.world.part(killed.before)
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(str(source), str(work / "out"))
        (work / "tmp").mkdir()
        return work

    def command(
        self, killed: Killed, work: Path, *more: str, moment: Optional[Moment] = None
    ) -> Outcome:
        """Run a command."""
        return run_child(
            [*killed.command, *more],
            work,
            self.folder / "streams",
            SECONDS,
            moment=moment,
            fresh=killed.fresh,
        )

    def whole(self, name: str, killed: Killed) -> Whole:
        """Return the uninterrupted run of a command; it is run once."""
        if name not in self._whole:
            work = self.begin(killed)
            done = self.command(killed, work)
            assert done.status == 0, f"{name}: {done.said[-2000:]}"
            sizes = [path.stat().st_size for path in work.rglob("*") if path.is_file()]
            self._whole[name] = Whole(
                results(work), done.printed, done.seconds, done.operations, max(sizes, default=1)
            )
        return self._whole[name]


def results(work: Path) -> Dict[str, str]:
    """Return what a command has left in `out`, which is a file or a folder."""
    out = work / "out"
    if out.is_file():
        return {"out": out.read_text(encoding="utf-8", errors="replace")[:4096]}
    return trees.results(out) if out.is_dir() else {}


def shared_memory() -> List[str]:
    """Return the names that trials have left in /dev/shm, and remove them."""
    found = [path for path in Path("/dev/shm").iterdir() if path.is_file()]
    if not children.HAS_OWN_SHARED_MEMORY:
        return []
    for path in found:
        path.unlink()
    return [path.name for path in found]


class Kills:
    """The trials with kills.

    Args:
        world, folder, seed: as of `Workshop`.
        moments: kinds of moments to draw from.
    """

    subjects = list(COMMANDS)

    def __init__(
        self, world: World, folder: Path, seed: int, moments: Sequence[str] = MOMENTS
    ) -> None:
        self._shop = Workshop(world, folder, seed)
        self._moments = moments

    def run(self, subject: str, number: int) -> Trial:
        """Run one trial."""
        killed = COMMANDS[subject]
        whole = self._shop.whole(subject, killed)
        generator = random.Random(f"{self._shop.seed} {subject} {number}")
        work = self._shop.begin(killed)
        inputs = trees.snapshot(work, without="out")
        what: List[str] = []
        more: Tuple[str, ...] = ()
        problem: Optional[Tuple[str, str]] = None
        spent, kills = 0.0, 0
        for _ in range(generator.choice([1, 1, 1, 2])):
            moment = draw_moment(generator, whole, killed, self._moments)
            done = self._shop.command(killed, work, *more, moment=moment)
            spent += done.seconds
            kills += done.killed
            what.append(f"{moment}{'' if done.killed else ' (it was faster)'}")
            is_refused = done.status == 2 and bool(more)  # nothing had been begun that is resumed
            problem = problem or (None if is_refused else after_a_kill(work, moment, done))
            more = killed.again
        if problem is None:
            problem, seconds = self._end(killed, whole, work, inputs)
            spent += seconds
        label = "same result" if kills else "not killed"
        outcome, detail = problem or (label, "")
        mutations.clear(work)
        text = f"{subject}: {', then '.join(what)}"
        return Trial(subject, number, text, outcome, problem is not None, detail, round(spent, 2))

    def _end(
        self, killed: Killed, whole: Whole, work: Path, inputs: Dict[str, str]
    ) -> Tuple[Optional[Tuple[str, str]], float]:
        """Run the command to its end; return what is wrong, and the seconds it took."""
        done = self._shop.command(killed, work, *killed.again)
        seconds = done.seconds
        if done.status == 2 and killed.again and results(work) != whole.left:
            done = self._shop.command(killed, work)  # nothing was begun that could be resumed
            seconds += done.seconds
        return is_whole(killed, whole, work, inputs, done), seconds


def draw_moment(
    generator: random.Random, whole: Whole, killed: Killed, moments: Sequence[str]
) -> Moment:
    """Draw a signal and when it comes."""
    number = generator.choice([signal.SIGKILL] * 6 + [signal.SIGTERM] * 3 + [signal.SIGINT])
    kind = generator.choice(moments)
    group = bool(killed.fresh and generator.random() < 0.3)
    if kind == "time" or not whole.operations:
        return Moment(number, "time", generator.uniform(0, 1.05 * whole.seconds), group)
    if kind == "operation":
        return Moment(number, "operation", generator.randint(1, whole.operations), group)
    return Moment(signal.SIGXFSZ, "bytes", generator.randint(1, max(2, whole.largest)))


def after_a_kill(work: Path, moment: Moment, done: Outcome) -> Optional[Tuple[str, str]]:
    """Return what is wrong right after a kill; None if nothing is."""
    if done.status is None:
        return "hang", done.said[-300:]
    if done.orphans:
        return "orphan", str(done.orphans)
    if "Traceback" in done.said:
        return "traceback", " | ".join(done.said.strip().splitlines()[-4:])[-400:]
    allowed = ALLOWED.get(signal.Signals(moment.number))
    if allowed and done.killed and done.status not in allowed:
        return f"status {done.status}", done.said[-300:]
    if allowed and done.killed and trees.snapshot(work / "tmp"):
        return "leftover in tmp", str(list(trees.snapshot(work / "tmp"))[:3])
    return None


def is_whole(
    killed: Killed, whole: Whole, work: Path, inputs: Dict[str, str], done: Outcome
) -> Optional[Tuple[str, str]]:
    """Return what is wrong at the end, compared with an uninterrupted run; None if nothing is."""
    last = (done.said.strip().splitlines() or [""])[-1]
    if done.status is None:
        return "hang at the end", done.said[-300:]
    if "Traceback" in done.said:
        return "traceback at the end", " | ".join(done.said.strip().splitlines()[-4:])[-400:]
    if done.orphans:
        return "orphan", str(done.orphans)
    names = shared_memory()
    if names:
        return "shared memory", str(names[:3])
    left = results(work)
    if done.status != 0 and not (done.status == 2 and left == whole.left):
        return "blocked", last
    if left != whole.left:
        return "another result", trees.difference(whole.left, left)
    if killed.prints and done.printed != whole.printed:
        return "another output", repr(done.printed[:200])
    if trees.hidden(work):
        return "leftover", str(trees.hidden(work)[:3])
    changed = trees.changes(inputs, trees.snapshot(work, without="out"))
    changed = [change for change in changed if not change.startswith("+ tmp/")]
    if changed:
        return "inputs changed", str(changed[:4])
    return None
