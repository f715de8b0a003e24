"""The settings of the demonstration and the planned time of each stage on two cores."""

from __future__ import annotations

import dataclasses
import platform
from pathlib import Path
from typing import Dict, Mapping, Optional, Tuple

from bort.search.limited_strategy import LIMITED_STRATEGIES
from bort.settings.config import Config, setting
from bort.training.time_budget import parse_duration

GENERATED, PYTHON_DOCS = "generated-english", "python-docs"
"""The corpora that the demonstration makes itself; any other value is the path of a text file."""

PLANNED_SECONDS: Mapping[str, float] = {
    "data": 10.0,
    "latency": 25.0,
    "teacher": 100.0,
    "super_network": 95.0,
    "search": 20.0,
    "students": 110.0,
    "agora": 110.0,
    "small_model": 130.0,
}
"""Planned seconds of each stage, 600 of the 600 allowed.
`super_network` includes recording the teacher's answers, `small_model` the checks before its own
stages."""

LONGEST_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class DemoConfig(Config):
    """Settings of the demonstration; the defaults are those for generated English."""

    corpus: str = setting(GENERATED, f"{GENERATED}, {PYTHON_DOCS}, or the path of a text file")
    folder: str = setting(
        "runs/demo",
        "output folder; a demonstration in it goes on, other settings repeat what they change",
    )
    documents: int = setting(24_000, "documents of generated English", minimum=200)
    vocabulary_size: int = setting(1_500, "tokens in the vocabulary", minimum=300)
    max_seq_length: int = setting(96, "tokens per sequence", minimum=16, maximum=512)
    held_out_share: float = setting(
        0.03, "share of the documents held out from training", above=0.0, maximum=0.5
    )
    scored_examples: int = setting(384, "held-out sequences used for scores", minimum=8)
    batch_size: int = setting(16, "sequences per step", minimum=1)
    teacher: str = setting("3-4-128-256", "architecture of the teacher")
    teacher_steps: int = setting(1_400, "training steps of the teacher", minimum=1)
    teacher_lr: float = setting(1e-3, "peak learning rate of the teacher", above=0.0)
    depths: Tuple[int, ...] = setting((1, 2, 3), "values of D in the search space", minimum=1)
    heads: Tuple[int, ...] = setting((2, 3, 4), "values of A in the search space", minimum=1)
    hiddens: Tuple[int, ...] = setting(
        (64, 80, 96, 112, 128), "values of H in the search space", minimum=1
    )
    intermediates: Tuple[int, ...] = setting(
        (64, 128, 192, 256), "values of I in the search space", minimum=1
    )
    super_network_steps: int = setting(
        400, "training steps of the super-network that holds the search space", minimum=1
    )
    sub_networks_per_step: int = setting(
        2, "random sub-networks that learn in a step of the super-network", minimum=1
    )
    speed_up: float = setting(
        3.0, "the student is to be so many times as fast as the teacher", above=1.0
    )
    strategy: str = setting(
        "evolved", "strategy of the search under the limit", choices=LIMITED_STRATEGIES
    )
    generations: int = setting(4, "generations of the strategy evolved", minimum=1)
    generation_size: int = setting(12, "candidates in a generation of evolved", minimum=1)
    search_held_out_batches: int = setting(
        8, "held-out batches for the error of each candidate", minimum=1
    )
    latency_sample: int = setting(
        24, "architectures whose latency is measured to predict the others", minimum=5
    )
    latency_batch: int = setting(4, "sequences per batch in the timing", minimum=1)
    student: Optional[str] = setting(
        None, "architecture of the students, instead of the one that the search finds"
    )
    student_steps: int = setting(450, "training steps of each student", minimum=1)
    student_lr: float = setting(1e-3, "peak learning rate of the students", above=0.0)
    dropout: float = setting(
        0.0,
        "dropout of teacher and students; not needed for text that is seen once",
        minimum=0.0,
        maximum=0.9,
    )
    seeds: int = setting(3, "seeds: students of each kind, and comparisons with Agora", minimum=1)
    agora: bool = setting(True, "end with Agora on a generated task (generated English only)")
    agora_train_size: int = setting(100, "gold training examples for Agora's student", minimum=8)
    agora_dev_size: int = setting(200, "dev examples of Agora's task", minimum=8)
    agora_report_size: int = setting(1_000, "report examples of Agora's task", minimum=8)
    agora_inputs: int = setting(2_000, "inputs in each training of Agora's student", minimum=8)
    socrates_size: int = setting(3_000, "gold training examples for Socrates", minimum=8)
    socrates_epochs: int = setting(3, "training epochs of Socrates", minimum=1)
    small_model: bool = setting(
        True,
        "end with the command that makes a small model, for the teacher and the task of Agora "
        "(generated English only)",
    )
    small_model_hours: str = setting(
        "100s", "time of the stages of that small model: hours, or e.g. 90m, 45s, 1h30m"
    )
    evaluations: int = setting(10, "points of each learning curve", minimum=1)
    seed: int = setting(0, "seed of the whole demonstration", minimum=0)

    def check(self) -> None:
        """Check the time of the small model."""
        parse_duration(self.small_model_hours, "small_model_hours")


REAL_ENGLISH: Mapping[str, object] = {
    "vocabulary_size": 1_000,
    "max_seq_length": 32,
    "batch_size": 64,
    "held_out_share": 0.06,
    "scored_examples": 768,
    "teacher": "2-4-128-512",
    "teacher_steps": 5_000,
    "student_steps": 1_500,
    "super_network_steps": 800,
    "seeds": 2,
    "depths": (1, 2),
    "intermediates": (128, 256, 384, 512),
}
"""Settings for real English, with many short sequences in a step. With 16 sequences of 64 tokens,
the teacher did no better than word frequencies after 3,000 steps (12.9 % accuracy). With 64
sequences of 32 tokens, it does better within the first 750 steps."""

REAL_ENGLISH_SECONDS = 1_500.0
"""Approximate seconds for real English on two cores; logged before the start."""


def preset_for(corpus: str) -> Mapping[str, object]:
    """Return the settings of a corpus that differ from those for generated English."""
    return {} if corpus == GENERATED else REAL_ENGLISH


def corpus_identity(corpus: str) -> Tuple[Dict[str, str], Dict[str, Path]]:
    """Return what a corpus is in the key of a stage: its settings, and the file of a user.

    Args:
        corpus: `DemoConfig.corpus`.
    """
    if corpus == GENERATED:
        return {"corpus": corpus}, {}
    if corpus == PYTHON_DOCS:
        return {"corpus": corpus, "python": platform.python_version()}, {}
    return {"corpus": "text file"}, {"corpus": Path(corpus)}
