"""Tests that padding changes neither hidden states nor losses, for each kind of network."""

from __future__ import annotations

from typing import Any, List, Tuple

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from bort.gluon.finetuning.trainer import ClassificationTrainer
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.inputs import input_arrays
from bort.gluon.pretraining.student import StudentPass, to_device
from bort.gluon.training.flat import FlatParameters
from bort.ranks import SingleProcess
from bort.text.asking import PaddedInputs, types_of_rows
from bort.text.batches import make_batch
from bort.text.examples import MaskedBatch
from bort.text.labelled import make_labelled_batch
from bort.text.masking import Masking, MaskingPolicy
from bort.text.padding import pad_rows
from bort.training.finetuning_config import FinetuningConfig
from tests.gluon.network.network_samples import SMALL, TYPED, make_model
from tests.text.toy import ToyExamples, ToyVocabulary
from tests.text.toy_labelled import ToyLabelled

LENGTHS = (32, 128)
WITHOUT_TYPES = SMALL.replace(vocabulary_size=60, maximum_length=128)
KINDS = {
    "roberta": WITHOUT_TYPES,
    "bert": TYPED.replace(vocabulary_size=60, maximum_length=128),
    "narrow attention": WITHOUT_TYPES.replace(token_types=2, qkv=12),
}
TOLERANCE = 1e-6


@pytest.fixture(params=sorted(KINDS))
def architecture(request: Any) -> Any:
    return KINDS[request.param]


def batches() -> List[MaskedBatch]:
    """Return the same masked examples, of 8 to 23 tokens, padded to both lengths."""
    masking = Masking(ToyVocabulary(), MaskingPolicy(), 0)
    return [make_batch(ToyExamples(8), np.arange(8), 0, length, masking) for length in LENGTHS]


def hidden_and_loss(model: Any, batch: MaskedBatch, swapped: bool) -> Tuple[np.ndarray, float]:
    """Return the hidden states of all real tokens, in order, and the mean masked-token loss.

    Args:
        swapped: commit AutoTinyBERT's fault: pass the mask as token types, and no mask.
    """
    arrays = to_device(batch, mx.cpu())
    real = np.arange(batch.input_ids.shape[1])[None, :] < batch.valid_lengths[:, None]
    lengths, types = arrays.valid_lengths, None
    if swapped:
        lengths = mx.nd.full(lengths.shape, real.shape[1])
        types = mx.nd.array(real, dtype="int32") if model.architecture.token_types else None
    with autograd.predict_mode():
        encoded, logits = model(arrays.input_ids, lengths, arrays.masked_positions, types)
        chances = mx.nd.log_softmax(logits)
    chosen = mx.nd.pick(chances, arrays.labels).asnumpy()[batch.weights > 0]
    return encoded.asnumpy()[real], -float(chosen.mean())


def differences(model: Any, swapped: bool = False) -> Tuple[float, float]:
    (short, one), (long, other) = (hidden_and_loss(model, b, swapped) for b in batches())
    return float(np.abs(short - long).max()), abs(one - other)


def test_hidden_states_and_loss_are_those_of_any_padding(architecture: Any) -> None:
    model = make_model(architecture)
    assert max(differences(model)) <= TOLERANCE


def test_a_mask_in_the_place_of_the_token_types_is_noticed(architecture: Any) -> None:
    model = make_model(architecture)
    hidden, loss = differences(model, swapped=True)
    assert hidden > 1e-2
    assert loss > 1e-3


def test_the_loss_and_the_gradient_of_a_training_pass_are_those_of_any_padding(
    architecture: Any,
) -> None:
    def sums(logits: Any, arrays: Any) -> Any:
        return (-(mx.nd.pick(mx.nd.log_softmax(logits), arrays.labels) * arrays.weights).sum(),)

    found = []
    for batch in batches():
        model = make_model(architecture, dropout=0.0)
        flat = FlatParameters(model, mx.cpu())
        (loss,) = StudentPass(model, flat, mx.cpu())(batch, sums, first=True)
        count = batch.prediction_count
        found.append((float(loss.asscalar()) / count, flat.gradients.asnumpy() / count))
    (one, short), (other, long) = found
    assert one == pytest.approx(other, abs=TOLERANCE)
    assert np.linalg.norm(short - long) <= TOLERANCE * np.linalg.norm(short)


def test_outputs_of_a_classifier_are_those_of_any_padding(architecture: Any) -> None:
    network = BortClassifier(make_model(architecture, use_decoder=False), 3, head="linear")
    network.initialize(mx.init.Normal(0.3))
    examples = ToyLabelled(8)
    rows = [examples[n] for n in range(8)]
    trainer = ClassificationTrainer(network, FinetuningConfig(), SingleProcess(), mx.cpu())
    short, long = (
        trainer.predict(PaddedInputs(np.arange(8), *pad_rows(rows, length, 1)))
        for length in LENGTHS
    )
    assert np.abs(short - long).max() <= TOLERANCE


def test_the_tokens_of_single_texts_have_type_0() -> None:
    examples = ToyLabelled(8)
    examples.type_separator = 2  # as a network with two token types has it
    batch = make_labelled_batch(examples, np.array([3, -1, 5]), 32, 1)
    assert batch.token_types is not None
    assert not batch.token_types.any()
    ids, lengths = pad_rows([examples[0]], 32, 1)
    types = types_of_rows(examples, ids, lengths)
    assert types is not None
    assert not types.any()
    arrays = input_arrays(KINDS["bert"], mx.cpu(), ids, lengths)
    assert not arrays.token_types.asnumpy().any()
