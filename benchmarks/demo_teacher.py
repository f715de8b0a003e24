"""The text and the teacher of the demonstration, as stages of a benchmark."""

from __future__ import annotations

from typing import Any, Dict

from benchmarks.stored import Basis
from bort.stages.stage import Stage, StageWork
from bort.stages.visible import seen_by
from experiments.demo.plan import DemoConfig, corpus_identity

TEACHER_MODEL = "model"
"""The model folder in the result of `teacher_stage`."""

_TEXT = ("documents", "vocabulary_size", "max_seq_length", "held_out_share", "seed")
_TEACHER = (
    *("teacher", "teacher_steps", "teacher_lr", "batch_size", "dropout", "max_seq_length", "seed"),
)
"""Settings that change the text, and the teacher."""


def text_stage(demo: DemoConfig) -> Stage:
    """Return the stage of vocabulary and shards, which `open_text` of the demonstration opens."""

    def make(work: StageWork) -> Dict[str, Any]:
        from experiments.demo.text import prepare_text

        prepare_text(demo, work.folder)
        return {}

    corpus, sources = corpus_identity(demo.corpus)
    return Basis({**demo.as_settings(*_TEXT), **corpus}, sources=sources).stage("text", make)


def teacher_stage(demo: DemoConfig) -> Stage:
    """Return the stage of the teacher, with `text_stage` as its input `text`."""

    def make(work: StageWork) -> Dict[str, Any]:
        from experiments.demo.text import open_text
        from experiments.demo.training import train_teacher

        text = open_text(demo, work.inputs["text"])
        train_teacher(seen_by("teacher", demo, _TEACHER), text, work.folder / TEACHER_MODEL)
        return {}

    basis = Basis(demo.as_settings(*_TEACHER), {"text": text_stage(demo)})
    return basis.stage("teacher", make)
