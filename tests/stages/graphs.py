"""A graph of six small stages for the tests, and what they count."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from bort.stages.stage import Stage, StageWork

LINE = "out/line.txt"
Count = Callable[[str], None]


class Runs:
    """The names of the stages that ran, in order."""

    def __init__(self) -> None:
        self.names: List[str] = []

    def __call__(self, name: str) -> None:
        self.names.append(name)

    def taken(self) -> List[str]:
        """Return the names since the last call."""
        names, self.names = self.names, []
        return names


def joined(name: str, version: int, count: Count) -> Callable[[StageWork], None]:
    """Return the code of a stage: its line is made from its version, settings and inputs."""

    def run(work: StageWork) -> None:
        count(name)
        lines = [
            f"{label} {(one / 'out/line.txt').read_text()}" for label, one in work.inputs.items()
        ]
        (work.folder / "out").mkdir(exist_ok=True)
        (work.folder / LINE).write_text(f"{name} {version} {dict(work.settings)} {lines}")
        (work.folder / "notes.bin").write_bytes(bytes(range(256)))

    return run


def six_stages(
    count: Count,
    corpus: Path,
    settings: Optional[Mapping[str, Mapping[str, Any]]] = None,
    versions: Optional[Mapping[str, int]] = None,
) -> List[Stage]:
    """Return text → teacher → answers → two students → report.

    Args:
        count: called with the name of each stage that runs.
        corpus: the user's file.
        settings: settings that differ from the default ones, by stage.
        versions: versions other than 1, by stage.
    """
    made: Dict[str, Stage] = {}

    def add(name: str, **inputs: str) -> None:
        version = (versions or {}).get(name, 1)
        made[name] = Stage(
            name,
            joined(name, version, count),
            version=version,
            settings={"size": 1, "options": {"rate": 0.5}, **(settings or {}).get(name, {})},
            inputs={label: made[one] for label, one in inputs.items()},
            sources={"corpus": corpus} if name == "text" else {},
        )

    add("text")
    add("teacher", text="text")
    add("answers", text="text", teacher="teacher")
    add("student-0", answers="answers")
    add("student-1", text="text", teacher="teacher")
    add("report", first="student-0", second="student-1")
    return list(made.values())


DESCENDANTS = {
    "text": ["text", "teacher", "answers", "student-0", "student-1", "report"],
    "teacher": ["teacher", "answers", "student-0", "student-1", "report"],
    "answers": ["answers", "student-0", "report"],
    "student-0": ["student-0", "report"],
    "student-1": ["student-1", "report"],
    "report": ["report"],
}
"""Each stage and all stages whose results depend on it, by hand, in the order of the plan."""
