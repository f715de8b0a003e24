"""Tests of teachers on MXNet: the logits of GluonNLP's networks, and errors of loading."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest
from gluonnlp.model.bert import BERTEncoder, BERTModel, RoBERTaModel

from bort.errors import InputError
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.model_folder import save_model_folder
from bort.gluon.teacher import live as teachers
from bort.gluon.teacher.live import GluonTeacher, load_teacher
from bort.gluon.teacher.zoo import ZOO, ZooEntry
from tests.gluon.network.network_samples import SMALL, TYPED, make_batch, make_model


def gluonnlp_network(kind):
    """Return a tiny GluonNLP network with random weights, built like those of the zoo."""
    encoder = BERTEncoder(
        num_layers=SMALL.depth,
        units=SMALL.hidden,
        hidden_size=SMALL.intermediate,
        max_length=SMALL.maximum_length,
        num_heads=SMALL.heads,
        dropout=0.1,
        layer_norm_eps=1e-5 if kind == "roberta" else 1e-12,
    )
    size, hidden = SMALL.vocabulary_size, SMALL.hidden
    if kind == "roberta":
        network = RoBERTaModel(encoder, size, units=hidden, embed_size=hidden)
    else:
        network = BERTModel(encoder, size, token_type_vocab_size=2, units=hidden, embed_size=hidden)
    mx.random.seed(3)
    network.initialize(mx.init.Normal(0.2))
    return network


@pytest.mark.parametrize("kind", ["roberta", "bert"])
def test_zoo_weights_give_gluonnlps_logits(kind, tmp_path, monkeypatch):
    network, batch = gluonnlp_network(kind), make_batch()
    ids = mx.nd.array(batch.input_ids, dtype="int32")
    lengths = mx.nd.array(batch.valid_lengths)
    positions = mx.nd.array(batch.masked_positions, dtype="int32")
    types = [] if kind == "roberta" else [mx.nd.zeros_like(ids)]
    expected = network(ids, *types, lengths, positions)[-1].asnumpy()
    network.save_parameters(str(tmp_path / "zoo.params"))

    name = "tiny_" + kind
    epsilon = 1e-5 if kind == "roberta" else 1e-12
    architecture = SMALL if kind == "roberta" else TYPED
    monkeypatch.setitem(ZOO, name, ZooEntry(name, "none", epsilon))
    # The vocabulary size is that of the checkpoint, not of the preset.
    preset = architecture.replace(vocabulary_size=77)
    monkeypatch.setattr(teachers, "get_architecture", lambda _: preset)
    teacher = load_teacher(name, checkpoint=tmp_path / "zoo.params")
    assert teacher.vocabulary_size == SMALL.vocabulary_size
    answers = teacher.answer(batch)
    assert answers.shape == (4, 3, SMALL.vocabulary_size)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(answers.asnumpy(), expected, rtol=0, atol=1e-5 * scale)
    in_folder = load_teacher(name, checkpoint=tmp_path)
    assert in_folder.fingerprint == teacher.fingerprint, "the only file of a folder"


def test_answers_have_no_dropout_and_no_gradients():
    model = make_model(dropout=0.5)
    teacher = GluonTeacher(model, SMALL)
    batch = make_batch()
    with mx.autograd.record():
        first = teacher.answer(batch).asnumpy()
    np.testing.assert_array_equal(first, teacher.answer(batch).asnumpy())
    for parameter in model.collect_params().values():
        assert parameter.grad_req == "null"
        with pytest.raises(RuntimeError):
            parameter.grad()


def test_fingerprint_is_that_of_the_weights():
    assert (
        GluonTeacher(make_model(), SMALL).fingerprint
        == GluonTeacher(make_model(), SMALL).fingerprint
    )
    other = make_model()
    bias = other.decoder[3].bias
    bias.set_data(bias.data() + 1)
    assert GluonTeacher(other, SMALL).fingerprint != GluonTeacher(make_model(), SMALL).fingerprint


def test_folder_and_random_teachers(tmp_path):
    save_model_folder(tmp_path / "t", make_model())
    batch = make_batch()
    answers = load_teacher(str(tmp_path / "t")).answer(batch).asnumpy()
    np.testing.assert_array_equal(
        answers, GluonTeacher(make_model(), SMALL).answer(batch).asnumpy()
    )
    one, two, three = (load_teacher("1-2-16-16", random_seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint == two.fingerprint != three.fingerprint


def test_what_cannot_be_loaded_says_so(tmp_path):
    with pytest.raises(InputError, match="name is empty"):
        load_teacher("")
    with pytest.raises(InputError, match="is unknown"):
        load_teacher("no_such_model", random_seed=1)
    with pytest.raises(InputError, match="not both"):
        load_teacher("bert_mini", random_seed=1, checkpoint="x.params")
    with pytest.raises(InputError, match=r"none\.params: cannot be read"):
        load_teacher("roberta_12_768_12", checkpoint=tmp_path / "none.params")
    save_model_folder(tmp_path / "no_decoder", make_model(use_decoder=False))
    with pytest.raises(InputError, match="has no masked-token decoder"):
        load_teacher(str(tmp_path / "no_decoder"))
    classifier = BortClassifier(make_model(), 2)
    classifier.initialize()
    save_model_folder(tmp_path / "classifier", classifier)
    with pytest.raises(InputError, match="has no masked-token decoder"):
        load_teacher(str(tmp_path / "classifier"))
