"""`FeaturePass`: a teacher's features of many inputs, and its outputs from the same pass."""

from __future__ import annotations

from typing import Callable, Iterator, Optional, Tuple

import mxnet as mx
import numpy as np
from mxnet import autograd

from bort.gluon.network.inputs import input_arrays
from bort.gluon.network.networks import HeadedNetwork, Network, OutputsWithFeatures
from bort.gluon.teacher.features import GluonFeatureTeacher
from bort.ranks import ALONE
from bort.teacher.features import Features
from bort.teacher.task_features import AnsweredInputs
from bort.text.asking import PaddedInputs, TokenisedInputs, batches_by_rows, padded_inputs


class FeaturePass:
    """A teacher that is asked for features of inputs, in batches by length.

    The batches are those of `bort.inference.task_model.TaskModel`, so that outputs do not depend on
    whether features are asked for.

    Args:
        network: an encoder, or a network with a head.
        context: device of the weights.
        features: names of the features, as in `Features`.
        with_outputs: whether the answers have the outputs of the head.
        batch_size: inputs per batch.
        pad_id: id of `<pad>`.
    """

    def __init__(
        self,
        network: Network,
        context: mx.Context,
        features: Tuple[str, ...],
        *,
        with_outputs: bool,
        batch_size: int,
        pad_id: int,
    ) -> None:
        self._context, self._features = context, features
        self._batch_size, self._pad_id = batch_size, pad_id
        self._longest: Optional[int] = None
        self._teacher: Optional[GluonFeatureTeacher] = None
        if with_outputs:
            assert isinstance(network, HeadedNetwork)
            self._architecture = network.bort.architecture
            self._graph = OutputsWithFeatures(network)
            self._graph.hybridize(static_alloc=True)
        else:
            self._teacher = GluonFeatureTeacher(network, context)
            self._longest = self._teacher.architecture.maximum_length

    def answers(
        self, inputs: TokenisedInputs, on_inputs: Callable[[int], None]
    ) -> Iterator[AnsweredInputs]:
        """Yield the answers to inputs, which are sorted by length.

        Args:
            inputs: the inputs.
            on_inputs: called after each batch with its number of inputs.
        """
        plan = batches_by_rows(
            inputs.lengths, rows=self._batch_size, ranks=ALONE, longest_allowed=self._longest
        )
        for batch in padded_inputs(inputs, plan, self._pad_id):
            outputs, features = self._ask(batch)
            count = len(batch.numbers)
            # (n, L)
            real = np.arange(batch.input_ids.shape[1]) < batch.lengths[:count, None]
            chosen = [getattr(features, name).asnumpy()[:count][real] for name in self._features]
            yield AnsweredInputs(
                None if outputs is None else outputs[:count], np.concatenate(chosen, axis=1)
            )
            on_inputs(count)

    def _ask(self, batch: PaddedInputs) -> Tuple[Optional[np.ndarray], Features]:
        given = (batch.input_ids, batch.lengths, batch.token_types)
        if self._teacher is not None:
            return None, self._teacher.features(*given)
        arrays = input_arrays(self._architecture, self._context, *given)
        with autograd.predict_mode():
            outputs, *features = self._graph(*(one for one in arrays if one is not None))
        return outputs.asnumpy(), Features(*(one.astype("float32", copy=False) for one in features))
