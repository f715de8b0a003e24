"""Trials with mutated files: a copy of good inputs, one file changed, the command that reads it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from tests.faults import mutations, trees
from tests.faults.children import Outcome, run_child
from tests.faults.findings import Trial
from tests.faults.formats import READINGS
from tests.faults.mutations import Mutation, mutate
from tests.faults.reading import Reading
from tests.faults.world import World

SECONDS = 300.0  # a command that takes so long hangs
MEMORY_MB = 1_500
_ERROR = re.compile(r"^error: .*$", re.MULTILINE)


class _Good(NamedTuple):
    """The end of a command on good files; a task of the sample is too small for a submission."""

    status: Optional[int]
    error: str
    printed: bytes
    left: Dict[str, str]


class Mutated:
    """The trials with mutated files.

    Args:
        world: the inputs.
        folder: an empty folder to work in.
        seed: seed of all trials.
    """

    subjects = list(READINGS)

    def __init__(self, world: World, folder: Path, seed: int) -> None:
        self._world, self._folder, self._seed = world, folder, seed
        self._good: Dict[str, _Good] = {}

    def run(self, subject: str, number: int) -> Trial:
        """Run one trial."""
        reading = READINGS[subject]
        try:
            good = self._good_result(subject, reading)
        except AssertionError as error:  # the good input is not read either
            return Trial(subject, number, "good input", "not tried", False, str(error)[-300:])
        generator = random.Random(f"{self._seed} {subject} {number}")
        work = self._begin(reading)
        mutation: Optional[Mutation] = None
        while mutation is None:
            victim = self._victim(work, reading, generator)
            before = hashlib.sha256(victim.read_bytes()).hexdigest()
            with contextlib.suppress(ValueError):  # binary files next to JSON files
                mutation = mutate(victim, reading.kind, generator)
        forged = ""
        if generator.random() < 0.3 and victim.is_file():
            forged = ", hash forged" if _forge(work, victim, before) else ""
        tree = trees.snapshot(work, without="tmp")
        done = self._command(reading, work)
        outcome, is_finding, detail = self._judge(
            reading, work, victim, mutation, bool(forged), tree, done, good
        )
        what = f"{victim.relative_to(work)}: {mutation.kind} ({mutation.what}){forged}"
        mutations.clear(work)
        return Trial(subject, number, what, outcome, is_finding, detail, round(done.seconds, 3))

    def _begin(self, reading: Reading) -> Path:
        work = self._folder / "work"
        mutations.clear(work)
        work.mkdir(parents=True)
        for part in reading.parts:
            self._world.copy(part, work)
        (work / "tmp").mkdir()
        return work

    def _command(self, reading: Reading, work: Path) -> Outcome:
        given = self._world.part(reading.given).read_bytes() if reading.given else b""
        return run_child(
            reading.command,
            work,
            self._folder / "streams",
            SECONDS,
            given=given,
            memory_mb=MEMORY_MB,
        )

    def _good_result(self, subject: str, reading: Reading) -> _Good:
        if subject not in self._good:
            work = self._begin(reading)
            done = self._command(reading, work)
            error = _last_line(done) if done.status else ""
            assert done.status == 0 or "test set has" in error, f"{subject}: {done.said}"
            self._good[subject] = _Good(done.status, error, done.printed, trees.results(work))
        return self._good[subject]

    def _victim(self, work: Path, reading: Reading, generator: random.Random) -> Path:
        found = [path for pattern in reading.files for path in sorted(work.glob(pattern))]
        return generator.choice([path for path in found if path.is_file()])

    def _judge(
        self,
        reading: Reading,
        work: Path,
        victim: Path,
        mutation: Mutation,
        is_forged: bool,
        tree: Dict[str, str],
        done: Outcome,
        good: _Good,
    ) -> Tuple[str, bool, str]:
        lines = _ERROR.findall(done.said)
        last = _last_line(done)
        if done.status is None:
            return "hang", True, done.said[-300:]
        if "Traceback" in done.said:
            return "traceback", True, _end(done.said)
        if done.status < 0 or "panicked" in done.said:
            return "crash", True, f"signal {-done.status}: {_end(done.said)}"
        if "out of memory" in done.said or "bad_alloc" in done.said:
            return "memory", True, _end(done.said)
        if done.orphans:
            return "orphan", True, str(done.orphans)
        if (done.status, last if done.status else "") != (good.status, good.error):
            if done.status == 0:
                return "other content", False, "no error"
            if good.status:
                tree = trees.snapshot(work, without="tmp")  # good files end with an error, too
            return self._judge_refusal(reading, work, victim, mutation, tree, done, lines, last)
        mutated = [victim.name, "nowhere"]  # the target of a link, which is written through
        if mutation.kind == "swapped":
            mutated += mutation.what.split()
        mutated += [re.sub(r"-rank\d+", "", name) for name in mutated]
        without = {victim.with_name(name).relative_to(work).as_posix() for name in mutated}
        found = trees.results(work)
        expected = {path: value for path, value in good.left.items() if path not in without}
        found = {path: value for path, value in found.items() if path not in without}
        change = trees.difference(expected, found)
        if not change and done.printed != good.printed:
            change = "another output"
        if not change:
            return "same result", False, ""
        is_absent = mutation.kind in ("removed", "a dangling link in its place")
        if is_absent and victim.suffix == ".json":  # without its record a folder is taken as it is
            return "other content", False, change
        if ((mutation.is_content or reading.plain) and not reading.sealed) or is_forged:
            return "other content", False, change
        return "wrongly accepted", True, change

    def _judge_refusal(
        self,
        reading: Reading,
        work: Path,
        victim: Path,
        mutation: Mutation,
        tree: Dict[str, str],
        done: Outcome,
        lines: List[str],
        last: str,
    ) -> Tuple[str, bool, str]:
        written = trees.changes(tree, trees.snapshot(work, without="tmp"))
        written += [f"+ tmp/{name}" for name in trees.snapshot(work / "tmp")]
        if len(lines) != 1 or not last.startswith("error: "):
            return "not one line", True, _end(done.said)
        is_place = "in its place" in mutation.kind and "cannot be written" in last
        if done.status == 1 and (is_place or "not finite" in last):
            return "refused", False, last
        if done.status != 2:
            return f"status {done.status}", True, last
        if written and not reading.late:
            return "written", True, f"{written[:4]} after {last}"
        names = [
            victim.name,
            *(part.name for part in victim.relative_to(work).parents if part.name),
        ]
        names += [Path(word).name for word in mutation.what.split() if mutation.kind == "swapped"]
        is_setting = reading.plain and "vocabulary_size is" in last  # too large for the text
        if not is_setting and not any(name in last for name in names):
            return "unnamed", True, last
        if any(ord(character) < 32 and character != "\t" for character in last):
            return "control characters", True, repr(last)
        return "refused", False, last


def _forge(work: Path, victim: Path, before: str) -> bool:
    """Replace the victim's old SHA-256 by the new one wherever it is recorded."""
    after, is_forged = hashlib.sha256(victim.read_bytes()).hexdigest(), False
    for path in sorted(work.rglob("*.json")):
        if path == victim or not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if before.encode() in content:
            path.write_bytes(content.replace(before.encode(), after.encode()))
            is_forged = True
    return is_forged


def _last_line(done: Outcome) -> str:
    return (done.said.strip().splitlines() or [""])[-1]


def _end(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-3:])[-500:]
