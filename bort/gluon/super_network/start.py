"""The first weights of a super-network: random, those of a super-network, or those of a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional, Tuple

import mxnet as mx

from bort.architecture import Architecture, get_architecture
from bort.errors import InputError
from bort.gluon.network.array_network import as_arrays, headed_network
from bort.gluon.network.measured_importance import ImportanceQuestions
from bort.gluon.network.model import BortModel
from bort.gluon.network.teacher_start import TeacherStart, folder_to_start_from
from bort.network.array_network import ArrayNetwork
from bort.network.from_teacher import OrderedNetwork, student_from
from bort.network.head import HeadDescription
from bort.network.importance_file import (
    IMPORTANCE_FILE,
    copy_importance,
    stored_key,
    write_importance,
)
from bort.storage.run_folder import MODEL_FOLDER
from bort.super_network.config import SuperNetworkConfig, SuperNetworkPaths
from bort.super_network.folder import SUPER_NETWORK_FILE, open_super_network
from bort.text.vocabulary import Vocabulary
from bort.training.importance_config import ORDER, ImportanceConfig


class WholeSource:
    """The source of a super-network's first weights.

    - a super-network folder: its weights and its order of layers;
    - a model folder or a Hugging Face folder: its weights in order of importance;
    - no folder: random weights of `--architecture`.

    Args:
        paths: the start and the architecture.
        config: importance, seed and spread of random weights.

    Attributes:
        folder: the model folder with the weights; None for random ones.
        fingerprint: fingerprint of the super-network or the model; None for random weights.
        start: the model that the weights come from, in full size; None for random weights.

    Raises:
        InputError: neither a start nor an architecture is given, or the folder holds no model.
    """

    def __init__(self, paths: SuperNetworkPaths, config: SuperNetworkConfig) -> None:
        self._config = config.pretraining
        self._architecture = paths.architecture
        self._layer_order: Optional[Tuple[int, ...]] = None
        self.start: Optional[TeacherStart] = None
        self._super_network: Optional[Path] = None
        self.folder: Optional[str] = None
        self.fingerprint: Optional[str] = None
        if paths.start is None:
            if paths.architecture is None:
                raise InputError("start and architecture are both missing, needed is one of them")
            return
        folder = folder_to_start_from(paths.start, paths.teacher.teacher_model, flag="start")
        ranking = self._config.ranking
        is_super_network = (Path(folder) / SUPER_NETWORK_FILE).exists()
        if is_super_network:
            found = open_super_network(folder)
            self._layer_order, self.fingerprint = found.record.layer_order, found.fingerprint
            self._super_network = found.folder
            folder, ranking = str(found.folder / MODEL_FOLDER), ImportanceConfig(ORDER)
        self.folder = folder
        self.start = TeacherStart(folder, ranking)
        if not is_super_network:
            self.fingerprint = self.start.fingerprint

    def sizes(self, vocabulary: Vocabulary) -> Architecture:
        """Return the largest sizes that the whole network can have.

        Raises:
            InputError: the model has another vocabulary, or the architecture is unknown.
        """
        if self.start is None:
            assert self._architecture is not None
            sizes = get_architecture(self._architecture)
        else:
            self.start.check_vocabulary(vocabulary)
            sizes = self.start.network.architecture
        return sizes.replace(vocabulary_size=len(vocabulary))

    def whole(
        self,
        architecture: Architecture,
        questions: Callable[[int], ImportanceQuestions],
        *,
        head: Optional[HeadDescription] = None,
        stored_in: Optional[Path] = None,
        context: Optional[mx.Context] = None,
    ) -> OrderedNetwork:
        """Return the whole network and the order of its layers.

        If the architecture is smaller than the source, it is the slice of that size.

        Args:
            architecture: sizes of the whole network: the largest ones of the space.
            questions: batches that importance is measured on, see `TeacherStart.ranked`.
            head: the head of a task; the source's own if that has the same kind and labels, or
                else a new one. None makes a network with a masked-token decoder.
            stored_in: folder in which `save` may have stored the measurement.
            context: device of the measurement.

        Raises:
            InputError: the architecture is larger than the source along an axis.
        """
        seed, spread = self._config.seed, self._config.initializer_range
        if self.start is None:
            mx.random.seed(seed)
            model = BortModel(architecture, dropout=self._config.dropout, use_decoder=head is None)
            model.initialize(mx.init.Normal(spread))
            network = as_arrays(model)
            if head is not None:
                network = _with_head(network, head, seed)
            return OrderedNetwork(network, tuple(range(architecture.depth)))
        ranked = self.start.ranked(questions, context, stored_in)
        if self._layer_order is not None:
            ranked = ranked._replace(layer_order=self._layer_order)
        own = self.start.network.description.head
        keeps_head = (
            head is not None
            and own is not None
            and (own.kind, own.num_classes, own.labels, own.problem_type)
            == (head.kind, head.num_classes, head.labels, head.problem_type)
        )
        network = student_from(
            ranked,
            architecture,
            decoder=head is None,
            head=keeps_head,
            seed=seed,
            spread=spread,
            source=self.start.folder,
        ).replace(dropout=self._config.dropout)
        if head is not None:
            network = _with_head(network, head, seed)
        return OrderedNetwork(network, ranked.order_within(architecture.depth))

    def numbering(self, teacher: str) -> Optional[TeacherStart]:
        """Return the model whose `ordered` numbers a teacher's parts as the network does.

        It is the start. For a super-network that started from the teacher, it is the teacher in the
        same order.

        Args:
            teacher: folder or name of a teacher.
        """
        if self._super_network is None or not Path(teacher).is_dir():
            return self.start
        return TeacherStart.in_stored_order(teacher, self._super_network)

    def save(self, folder: Path) -> None:
        """Store the scores of importance, for a resumed run and for a start from its result.

        Scores that an earlier run has left are removed if there are none.
        """
        if self._super_network is not None and stored_key(self._super_network) is not None:
            copy_importance(self._super_network, folder)
        elif self.start is not None and self.start.scores is not None:
            write_importance(folder, *self.start.scores)
        else:
            (folder / IMPORTANCE_FILE).unlink(missing_ok=True)


def _with_head(network: ArrayNetwork, head: HeadDescription, seed: int) -> ArrayNetwork:
    """Return the network with its own head as described, or with a new one drawn by the seed."""
    arrays = as_arrays(headed_network(network, head, seed)).arrays
    return ArrayNetwork(network.description.replace(head=head), arrays)
