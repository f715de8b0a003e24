"""The plan of an Agora run, and the names of the files in its folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import mxnet as mx

from bort.agora.config import AgoraConfig
from bort.agora.examples import Point, points_key
from bort.agora.hyperparameters import HyperparameterSet, HyperparameterSets
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.formats.network_folder import read_folder_description
from bort.gluon.agora.models import GluonSocrates
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.network.model_folder import fingerprint_of_model
from bort.tasks.judging import TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.own.task import OwnTask
from bort.text.pair_form import PAIRS, ROBERTA_PAIRS

AGORA_SETTINGS_FILE, RESULT_FILE, ITERATIONS_FILE = "agora.json", "result.json", "iterations.json"
CHS_FILE, POINTS_FILE, FIGURE_FILE = "chs.json", "points.jsonl", "agora.png"


@dataclasses.dataclass(frozen=True)
class AgoraPlan:
    """The settings, data and models of an Agora run.

    Attributes:
        config: settings of the loop.
        timaeus: settings that all trainings share.
        sets: hyperparameter sets, Θ.
        task: data sets, with a sealed report split.
        start: source of Timaeus' weights.
        socrates: model folder of Socrates, the labeller.
        proposer: folder of a masked language model; None uses the start of Timaeus.
        folder: folder of the run.
        more_points: points that Socrates labelled in an earlier run.
        test: test sets, which the best model predicts at the end.
    """

    config: AgoraConfig
    timaeus: TimaeusConfig
    sets: HyperparameterSets
    task: AgoraTask
    start: StartingPoint
    socrates: Path
    proposer: Optional[str]
    folder: Path
    more_points: Tuple[Point, ...] = ()
    test: Tuple[TaskSet, ...] = ()

    @property
    def is_report_kept_from_socrates(self) -> bool:
        """Whether Socrates was certainly not trained on the report split.

        A report split from a separate file is not part of the training data. For a split taken from
        the training file, the model folder of Socrates records which split it was trained without.
        """
        if not self.task.is_carved:
            return True
        trained_on = read_folder_description(self.socrates).task
        return trained_on is not None and trained_on.held_out == self.task.report_key

    def settings(self, socrates: GluonSocrates, context: mx.Context) -> Dict[str, Any]:
        """Return all settings that can change results, as JSON values."""
        task, sliced = self.task, self.start.initialise_from
        fingerprints = {
            "training data": points_key(task.training),
            "dev data": points_key(task.dev),
            "report split": task.report_key,
            "points of a former run": points_key(self.more_points),
            "vocabulary": task.data.vocabulary.fingerprint,
            "Socrates": socrates.fingerprint,
            "Timaeus": fingerprint_of_model(self.start.pretrained),
            "initialise_from": None if sliced is None else sliced.fingerprint,
            "proposer": fingerprint_of_model(self.proposer),
        }
        record = task.data.record
        # Those of a named task are always the same.
        own = {"metrics": list(record.metrics)} if isinstance(record, OwnTask) else {}
        return {
            "task": record.name,
            **own,
            "device": context.device_type,
            "architecture": self.start.architecture,
            "settings": self.config.results_settings(),
            "timaeus": self.timaeus.results_settings(),
            "options": task.data.options.as_dict(),
            PAIRS: task.data.pairs.as_dict(),
            "hyperparameters": [theta.as_dict() for theta in self.sets],
            "fingerprints": fingerprints,
        }

    @staticmethod
    def defaults() -> Dict[str, Any]:
        """Return the defaults of `settings`, which apply to runs older than a setting."""
        return {
            "settings": AgoraConfig.defaults(),
            "timaeus": TimaeusConfig.defaults(),
            "options": TaskOptions.defaults(),
            PAIRS: ROBERTA_PAIRS.as_dict(),
            "hyperparameters": HyperparameterSet.defaults(),
        }
