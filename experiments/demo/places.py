"""The folders of the parts of a demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where the parts of a demonstration are.

    Attributes:
        text: folder with the vocabulary, the shards and the corpus.
        teacher: model folder of the teacher.
        answers: folder with the teacher's answers, one folder for each seed.
        super_network: run folder of the super-network.
        students: folder with the curves of the students and the model folder `student`.
        agora: folder of the comparison of Agora and plain fine-tuning.
    """

    text: Path
    teacher: Path
    answers: Path
    super_network: Path
    students: Path
    agora: Path

    @classmethod
    def under(cls, folder: Path) -> Places:
        """Return places in one folder."""
        return cls(
            text=folder,
            teacher=folder / "teacher",
            answers=folder / "answers",
            super_network=folder / "super_network",
            students=folder,
            agora=folder / "agora",
        )

    @property
    def student(self) -> Path:
        """Model folder of the first student that starts from the super-network."""
        return self.students / "student"
