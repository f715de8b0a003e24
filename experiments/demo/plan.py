"""What the demonstration does and how long each stage may take on two cores."""

from __future__ import annotations

import dataclasses
from typing import Mapping, Optional, Tuple

from bort.settings.config import Config, setting

GENERATED, PYTHON_DOCS = "generated-english", "python-docs"
"""The corpora that are made on the spot; anything else is a text file."""

PLANNED_SECONDS: Mapping[str, float] = {
    "data": 15.0,
    "teacher": 200.0,
    "search": 50.0,
    "students": 145.0,
    "agora": 165.0,
    "report": 10.0,
}
"""Seconds of every stage, 585 of the 600 that it may take. `search` includes recording the
teacher's answers."""

LONGEST_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class DemoConfig(Config):
    """Sizes of the demonstration; the defaults are those of the generated corpus."""

    corpus: str = setting(GENERATED, f"{GENERATED}, {PYTHON_DOCS}, or a text file of your own")
    folder: str = setting("runs/demo", "where everything goes; replaced if it holds a demo")
    documents: int = setting(24_000, "documents of generated English", minimum=200)
    vocabulary_size: int = setting(1_500, "tokens of the vocabulary", minimum=300)
    max_seq_length: int = setting(96, "tokens a sequence", minimum=16, maximum=512)
    held_out_share: float = setting(
        0.03, "share of the documents that nothing is trained on", above=0.0, maximum=0.5
    )
    scored_examples: int = setting(384, "held-out sequences that scores are taken on", minimum=8)
    batch_size: int = setting(16, "sequences a step", minimum=1)
    teacher: str = setting("3-4-128-256", "architecture of the teacher")
    teacher_steps: int = setting(1_500, "steps of the teacher", minimum=1)
    teacher_lr: float = setting(1e-3, "peak learning rate of the teacher", above=0.0)
    depths: Tuple[int, ...] = setting((2, 4), "values of D in the search space", minimum=1)
    heads: Tuple[int, ...] = setting((2, 4), "values of A", minimum=1)
    hiddens: Tuple[int, ...] = setting((64, 80, 96), "values of H", minimum=1)
    intermediates: Tuple[int, ...] = setting((128, 256, 384), "values of I", minimum=1)
    epsilon: int = setting(3, "every n-th candidate of the space is looked at", minimum=1)
    search_steps: int = setting(10, "steps that each candidate is trained", minimum=1)
    search_held_out_batches: int = setting(
        8, "held-out batches on which candidates are compared", minimum=1
    )
    student: Optional[str] = setting(
        None, "architecture of the students, in place of what the search finds"
    )
    student_steps: int = setting(700, "steps of every student", minimum=1)
    student_lr: float = setting(1e-3, "peak learning rate of the students", above=0.0)
    dropout: float = setting(
        0.0, "of teacher and students; text that is seen once needs none", minimum=0.0, maximum=0.9
    )
    seeds: int = setting(3, "students of each kind; comparisons with Agora", minimum=1)
    agora: bool = setting(True, "end with Agora on a generated task (generated English only)")
    agora_train_size: int = setting(100, "gold examples that Agora's student has", minimum=8)
    agora_dev_size: int = setting(200, "dev examples of that task", minimum=8)
    agora_report_size: int = setting(1_000, "examples of its honest score", minimum=8)
    agora_inputs: int = setting(2_000, "inputs each training of Agora's student sees", minimum=8)
    socrates_size: int = setting(3_000, "gold examples that Socrates learns from", minimum=8)
    socrates_epochs: int = setting(3, "passes of Socrates over them", minimum=1)
    evaluations: int = setting(10, "points of each curve", minimum=1)
    seed: int = setting(0, "seed of everything", minimum=0)


REAL_ENGLISH: Mapping[str, object] = {
    "vocabulary_size": 1_000,
    "max_seq_length": 32,
    "batch_size": 64,
    "held_out_share": 0.06,
    "scored_examples": 768,
    "teacher": "2-4-128-512",
    "teacher_steps": 5_000,
    "student_steps": 1_500,
}
"""What differs on real English: many short sequences a step. With 16 sequences of 64 tokens a
teacher was still guessing word frequencies after 3,000 steps (12.9 % accuracy); with 64 sequences
of 32 it leaves them behind in the first 750."""

REAL_ENGLISH_SECONDS = 1_500.0
"""How long real English takes on two cores, roughly; said before it starts."""


def preset_for(corpus: str) -> Mapping[str, object]:
    """The sizes for a corpus where they are not the defaults, which fit generated English."""
    return {} if corpus == GENERATED else REAL_ENGLISH
