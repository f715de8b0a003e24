"""Agora: fine-tuning that lets a small model reach its teacher when data is scarce.

This package is pure Python and NumPy; it reaches models through the protocols `TimaeusTrainer`,
`SocratesLabeller` and `Proposer`.

Source: arXiv 2010.07990 (the algorithm), arXiv 2010.10499, section 4 (its use).
"""

from bort.agora.config import AgoraConfig, AgoraPaths, AgoraSets, make_sets
from bort.agora.examples import Example, Point
from bort.agora.hyperparameters import PAPER_SETS, HyperparameterSet, read_sets
from bort.agora.loop import run_agora
from bort.agora.reports import AgoraResult, IterationReport
from bort.agora.socrates import CachedSocrates, SocratesAnswer, SocratesLabeller
from bort.agora.splits import SealedReport, carve_report
from bort.agora.store import AnswerStore, TrainingStore
from bort.agora.tau import Proposer, Tau, build_tau
from bort.agora.trainings import TimaeusTrainer, TrainedTimaeus, Training, Trainings

__all__ = [
    "PAPER_SETS",
    "AgoraConfig",
    "AgoraPaths",
    "AgoraResult",
    "AgoraSets",
    "AnswerStore",
    "CachedSocrates",
    "Example",
    "HyperparameterSet",
    "IterationReport",
    "Point",
    "Proposer",
    "SealedReport",
    "SocratesAnswer",
    "SocratesLabeller",
    "Tau",
    "TimaeusTrainer",
    "TrainedTimaeus",
    "Training",
    "TrainingStore",
    "Trainings",
    "build_tau",
    "carve_report",
    "make_sets",
    "read_sets",
    "run_agora",
]
