"""`SuperNetworkRun`: a super-network's training in a folder, on any kind of data."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, TypeVar

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from bort.architecture import Architecture
from bort.errors import InputError
from bort.gluon.distributed import choose_context
from bort.gluon.network.array_network import arrays_of, as_network
from bort.gluon.network.measured_importance import ImportanceQuestions
from bort.gluon.network.teacher_start import TeacherStart
from bort.gluon.super_network.lessons import CountedTokens, Lessons
from bort.gluon.super_network.start import WholeSource
from bort.gluon.super_network.train import (
    SuperNetworkData,
    SuperNetworkHooks,
    SuperNetworkResult,
    train_super_network,
)
from bort.gluon.super_network.trainer import SuperNetworkTrainer
from bort.gluon.training.checkpoint import checkpoint_steps
from bort.gluon.training.feature_losses import make_hidden_map
from bort.gluon.training.flat_trainer import check_numbers
from bort.network.array_network import ArrayNetwork
from bort.network.from_teacher import OrderedNetwork
from bort.network.head import HeadDescription
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.ranks import Communicator, on_rank_0
from bort.storage.run_folder import (
    METRICS_FILE,
    RUN_FILE,
    MetricsWriter,
    NullWriter,
    RunFolder,
    continues_run,
)
from bort.super_network.config import (
    SuperNetworkConfig,
    SuperNetworkPaths,
    make_sub_network_space,
)
from bort.super_network.folder import (
    SUPER_NETWORK_FILE,
    SuperNetworkRecord,
    open_super_network,
    write_super_network,
)
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabulary import Vocabulary
from bort.training.objective import FeatureObjective
from bort.training.recipes import DEFAULT_RECIPE
from bort.training.time_estimate import describe_estimate
from bort.training.timed_records import check_replay, keep_model, open_budget

log = logging.getLogger(__name__)

_Batch = TypeVar("_Batch", bound=CountedTokens)


class SuperNetworkRun:
    """A run in `paths.output_dir`, which this process holds.

    Call `start`, then `train`.

    Args:
        paths: files and folders of the run, and the space.
        config: settings of the training.
        vocabulary: vocabulary of the data and the network.
        communicator: the ranks that train together.

    Attributes:
        context: device of the training.
        space: architectures of the sub-networks.
        architecture: sizes of the whole network, the largest ones of the space.

    Raises:
        InputError: vocabulary, space, start and folder do not fit together.
    """

    def __init__(
        self,
        paths: SuperNetworkPaths,
        config: SuperNetworkConfig,
        vocabulary: Vocabulary,
        communicator: Communicator,
    ) -> None:
        check_replay(config.pretraining.budget, paths.replay)
        if communicator.rank == 0 and paths.recipe != DEFAULT_RECIPE:
            log.info("%s", config.pretraining.describe(paths.recipe, communicator.size))
        self._paths = paths
        self._folder = Path(paths.output_dir)
        self._vocabulary = vocabulary
        self._communicator = communicator
        self._is_chief = communicator.rank == 0
        self._continues: bool = on_rank_0(communicator, self._continues_run)
        self.context = choose_context(communicator, paths.cpu_only)
        check_numbers(config.pretraining, self.context)
        self._source = WholeSource(paths, config)
        if config.freeze_embeddings and (paths.task_name is None or self.origin is None):
            raise InputError(
                "freeze_embeddings is true, which needs --task_name and --start; allowed without "
                "them is false"
            )
        sizes = self._source.sizes(vocabulary)
        self.space: SubNetworkSpace = make_sub_network_space(paths, sizes)
        self.architecture: Architecture = self.space.maximum(sizes)
        self._start: Optional[OrderedNetwork] = None

    def start(
        self,
        questions: Callable[[int], ImportanceQuestions],
        head: Optional[HeadDescription] = None,
    ) -> None:
        """Make the whole network; see `WholeSource.whole` for the arguments."""
        stored_in = self._folder if self._continues else None
        found = self._source.whole(
            self.architecture, questions, head=head, stored_in=stored_in, context=self.context
        )
        order = on_rank_0(self._communicator, lambda: list(found.layer_order))
        self._start = found._replace(layer_order=tuple(order))

    @property
    def record(self) -> Optional[Path]:
        """The file `run.json` of the run that continues; None if a run begins."""
        return self._folder / RUN_FILE if self._continues else None

    @property
    def origin(self) -> Optional[TeacherStart]:
        """The model that the network starts from; None for random weights."""
        return self._source.start

    def numbering(self, teacher: str) -> Optional[TeacherStart]:
        """See `WholeSource.numbering`."""
        return self._source.numbering(teacher)

    def stopped_early(self) -> Dict[str, Any]:
        """Return the summary of a run that was stopped before its first step."""
        return self._summary(SuperNetworkResult(0, True, {}))

    def train(
        self,
        config: SuperNetworkConfig,
        lessons: Lessons[_Batch],
        data: SuperNetworkData[_Batch],
        stop_requested: Callable[[], bool],
        *,
        feature_teacher: Optional[Architecture] = None,
        identity: Optional[Mapping[str, Any]] = None,
        recorded: Optional[Mapping[str, Any]] = None,
        described: Optional[Mapping[str, Any]] = None,
        seconds_before: float = 0.0,
    ) -> Dict[str, Any]:
        """Train the network, and save the super-network in the folder unless the run was stopped.

        Args:
            config: settings of the training.
            lessons: the kind of micro-batches, and their losses.
            data: batches and held-out scores.
            stop_requested: called before every step; True stops the run after that step.
            feature_teacher: sizes of the teacher of the losses on features; None without them.
            identity: further settings, as JSON values, that a run to resume must have started with.
            recorded: further values of `run.json`.
            described: fields of the saved model's description, such as its task.
            seconds_before: seconds of this process that a timed run does not count.

        Returns:
            The values that the command prints.
        """
        assert self._start is not None, "`start` comes first"
        network = as_network(self._start.network, self.context, grad_req="write")
        hidden_map = self._hidden_map(config.pretraining.features, feature_teacher)
        trainer = SuperNetworkTrainer(
            network,
            lessons,
            self.space,
            config,
            self._communicator,
            self.context,
            layer_order=self._start.layer_order,
            hidden_map=hidden_map,
        )
        identity = {
            "vocabulary": self._vocabulary.fingerprint,
            "start": self._source.fingerprint,
            "layer_order": list(self._start.layer_order),
            **(identity or {}),
        }
        description = self._start.network.description.replace(
            vocabulary_fingerprint=self._vocabulary.fingerprint, **(described or {})
        )
        origin = {**identity, "data": data.fingerprint, "settings": config.results_settings()}

        def open_metrics(done: int) -> MetricsWriter:
            if not self._is_chief:
                return NullWriter()
            writer = RunFolder(self._folder, done)
            self._source.save(self._folder)
            writer.record(
                {
                    **origin,
                    "data_eval": data.held_out,
                    "settings": config.as_dict(),
                    "paths": self._paths.as_dict(),
                    "architecture": self.architecture.as_dict(),
                    "space": self.space.as_dict(),
                    "ranks": self._communicator.size,
                    **(recorded or {}),
                }
            )
            return writer

        def on_trial(estimate: Mapping[str, float]) -> None:
            if self._is_chief:
                log.info("%s", describe_estimate(estimate))

        def on_marker(facts: Mapping[str, float]) -> None:
            if self._is_chief:
                keep_model(self._folder, facts, save_model)

        def save_model(target: Path, notes: Mapping[str, Any]) -> None:
            notes = {**description.notes, **notes}
            write_model_folder(target, description.replace(notes=notes), arrays_of(network))
            self._vocabulary.save(target / VOCABULARY_FOLDER)

        result = train_super_network(
            trainer,
            data,
            folder=self._folder,
            resume=self._continues,
            identity=identity,
            hooks=SuperNetworkHooks(
                open_metrics=open_metrics,
                stop_requested=stop_requested,
                budget=open_budget(
                    config.pretraining.budget,
                    self._communicator,
                    self._folder / METRICS_FILE,
                    is_resumed=self._continues or self._paths.resume,
                    replay=self._paths.replay,
                    seconds_before=seconds_before,
                ),
                on_trial=on_trial,
                on_marker=on_marker,
                divergence=config.pretraining.divergence,
            ),
        )
        summary = self._summary(result)
        if self._is_chief and not result.stopped:
            record = SuperNetworkRecord(
                self.space,
                self._start.layer_order,
                result.steps,
                result.scores,
                origin,
            )
            write_super_network(
                self._folder,
                record,
                ArrayNetwork(description, arrays_of(network)),
                self._vocabulary,
                None if hidden_map is None else _map_arrays(hidden_map),
            )
            summary["super_network"] = str(self._folder)
        return summary

    def _summary(self, result: SuperNetworkResult) -> Dict[str, Any]:
        return {
            "steps": result.steps,
            "stopped": result.stopped,
            "validation": result.scores or None,
            "folder": str(self._folder),
        }

    def _continues_run(self) -> bool:
        return continues_run(
            self._folder,
            resume=self._paths.resume,
            has_checkpoint=bool(checkpoint_steps(self._folder)),
        )

    def _hidden_map(
        self, objective: FeatureObjective, teacher: Optional[Architecture]
    ) -> Optional[nn.Dense]:
        """Return the learnt map: that of the super-network at the start, or the identity."""
        if objective.hidden_weight == 0 or teacher is None:
            return None
        width = teacher.hidden
        hidden_map = make_hidden_map(self.architecture.hidden, width, self.context)
        start = self._paths.start
        if start is None or not (Path(start) / SUPER_NETWORK_FILE).exists():
            return hidden_map
        stored = open_super_network(start).read_hidden_map()
        if stored is not None and len(stored["bias"]) == width:
            columns = stored["weight"][:, : self.architecture.hidden]
            hidden_map.weight.set_data(mx.nd.array(columns, ctx=self.context))
            hidden_map.bias.set_data(mx.nd.array(stored["bias"], ctx=self.context))
        return hidden_map


def check_features_fit(
    objective: FeatureObjective,
    space: SubNetworkSpace,
    whole: Architecture,
    teacher: Architecture,
) -> None:
    """Check that every sub-network can learn from the features of a teacher.

    Raises:
        InputError: numbers of heads differ, or relation heads do not divide a width.
    """
    for value in getattr(space, space.attention_axis):
        attention = dataclasses.replace(space, **{space.attention_axis: (value,)})
        objective.check_fits(attention.maximum(whole), teacher)


def _map_arrays(hidden_map: nn.Dense) -> Dict[str, np.ndarray]:
    return {
        "weight": hidden_map.weight.data().asnumpy(),
        "bias": hidden_map.bias.data().asnumpy(),
    }
