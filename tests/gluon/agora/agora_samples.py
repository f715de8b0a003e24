"""A small task, a random Timaeus with a decoder and a Socrates, for tests of Agora on MXNet."""

from __future__ import annotations

import mxnet as mx

from bort.agora.config import AgoraConfig
from bort.agora.hyperparameters import grid
from bort.agora.task_data import make_agora_task
from bort.agora.timaeus_config import TimaeusConfig
from bort.gluon.agora.plan import AgoraPlan
from bort.gluon.agora.sample import make_sample_models
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.ranks import SingleProcess
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data

ALONE = SingleProcess()
ARCHITECTURE = "2-2-16-32"
MAX_LEN = 64
CPU = mx.cpu()
SETS = grid([0, 1], [2e-3, 1e-3], [0.0], [0.1])
CONFIG = AgoraConfig(sources="dev", points_per_source=2, allow_weak_socrates=True, balance="none")
TIMAEUS = TimaeusConfig(epochs=2, max_len=MAX_LEN, batch_size=8)


class Samples:
    """A task of the sample data with models for it."""

    def __init__(self, name, folder):
        self.data = open_task_data(
            get_task(name), train_sample_vocabulary(), TaskOptions(), MAX_LEN, sample=True
        )
        self.timaeus, self.socrates = make_sample_models(
            folder, self.data, ARCHITECTURE, MAX_LEN, ALONE
        )
        self.start = StartingPoint(str(self.timaeus), ARCHITECTURE)

    def task(self):
        """A new task with a sealed report split."""
        return make_agora_task(self.data, MAX_LEN, share=0.2, seed=0)

    def plan(self, folder, config=CONFIG, timaeus=TIMAEUS, sets=SETS, **changes):
        values = {
            "task": self.task(),
            "start": self.start,
            "socrates": self.socrates,
            "proposer": None,
            **changes,
        }
        return AgoraPlan(config=config, timaeus=timaeus, sets=sets, folder=folder, **values)
