"""Exported models against other libraries on the same weights: rtol 1e-5 + atol 1e-5, float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from bort.formats.huggingface.writer import write_huggingface
from bort.formats.onnx_graph import build_onnx
from bort.network.array_network import ArrayNetwork
from tests.formats.parity import (
    BORT,
    SHAPES,
    assert_equal_outputs,
    gluon_answers,
    make_batch,
    make_network,
    transformers_outputs,
)

PARTS: Dict[str, Dict[str, Any]] = {
    "encoder": {},
    "masked tokens": {"decoder": True},
    "release head": {"head": "release", "num_classes": 3},
    "linear head": {"head": "linear", "num_classes": 3},
    "spans": {"head": "span", "num_classes": 2},
    "two linear layers": {"head": "two_linear", "num_classes": 2},
    "regression": {"head": "linear", "num_classes": 1},
    "untied decoder, tanh": {"decoder": True, "tied_decoder": False, "activation": "gelu_new"},
    "relu": {"activation": "relu"},
}
LENGTHS = (1, 17, 40)


@pytest.fixture(params=sorted(SHAPES))
def architecture(request: Any) -> Any:
    return SHAPES[request.param]


@pytest.fixture(params=sorted(PARTS))
def network(request: Any, architecture: Any) -> ArrayNetwork:
    return make_network(architecture, **PARTS[request.param])


def onnx_outputs(model: Any, ids: np.ndarray, mask: np.ndarray, **more: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feed = {"input_ids": ids, "attention_mask": mask, **more}
    if "token_type_ids" in [one.name for one in session.get_inputs()]:
        feed.setdefault("token_type_ids", np.zeros_like(ids))
    return np.asarray(session.run(None, feed)[0])


@pytest.mark.parity("torch", "transformers")
def test_transformers_answers_as_gluon(network: ArrayNetwork, tmp_path: Path) -> None:
    write_huggingface(tmp_path, network, None)
    for length in LENGTHS:
        ids, lengths, mask = make_batch(network.architecture, length)
        ours = gluon_answers(network, ids, lengths)
        assert_equal_outputs(ours, transformers_outputs(tmp_path, ids, mask), mask)


@pytest.mark.parity("onnx", "onnxruntime")
def test_onnx_runtime_answers_as_gluon(network: ArrayNetwork) -> None:
    import onnx

    model = build_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    for length in LENGTHS:
        ids, lengths, mask = make_batch(network.architecture, length)
        ours = gluon_answers(network, ids, lengths)
        assert_equal_outputs(ours, onnx_outputs(model, ids, mask), mask)


@pytest.mark.parity("onnx", "openvino")
def test_openvino_answers_as_gluon(network: ArrayNetwork) -> None:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = core.read_model(build_onnx(network).SerializeToString())
    compiled = core.compile_model(model, "CPU", settings)
    ids, lengths, mask = make_batch(network.architecture)
    feed = {"input_ids": ids, "attention_mask": mask}
    if network.architecture.token_types:
        feed["token_type_ids"] = np.zeros_like(ids)
    ours = gluon_answers(network, ids, lengths)
    assert_equal_outputs(ours, np.asarray(compiled(feed)[0]), mask)


@pytest.mark.parity("torch", "transformers")
@pytest.mark.parametrize("shape", ["bert", "pre-norm, token types"])
def test_gradients_are_those_of_pytorch(shape: str, tmp_path: Path) -> None:
    """The gradients of all weights, with random gradients of the logits at tokens."""
    import mxnet as mx
    import torch
    import transformers

    from bort.gluon.network.array_network import as_network
    from bort.gluon.network.parameters import named_parameters

    network = make_network(SHAPES[shape], decoder=True, dropout=0.0)
    write_huggingface(tmp_path, network, None)
    ids, lengths, mask = make_batch(network.architecture)
    size = (*ids.shape, network.architecture.vocabulary_size)
    slopes = np.random.default_rng(7).normal(size=size).astype(np.float32) * mask[:, :, None]
    ours = as_network(network, grad_req="write")
    everywhere = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    inputs = [mx.nd.array(one, dtype="int32") for one in (ids, lengths, everywhere)]
    with mx.autograd.record():
        logits = ours(inputs[0], inputs[1].astype("float32"), inputs[2])[-1]
    logits.backward(mx.nd.array(slopes))
    config = transformers.AutoConfig.from_pretrained(str(tmp_path))
    kind = getattr(transformers, config.architectures[0])
    theirs = kind.from_pretrained(str(tmp_path)).train()
    found = theirs(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).logits
    found.backward(torch.tensor(slopes))
    expected = {name: one.grad.numpy() for name, one in theirs.named_parameters()}
    named = named_parameters(ours)
    for place in network.places():
        gradient = expected.pop(place.bert)
        allowed = 1e-5 * (1 + np.abs(gradient).max())
        np.testing.assert_allclose(
            named[place.gluon].grad().asnumpy(), gradient, rtol=0, atol=allowed
        )
    assert not expected


@pytest.mark.parity("torch", "transformers")
@pytest.mark.parametrize("shape", ["bert", "pre-norm, token types"])
def test_gradients_of_a_span_model_are_those_of_pytorch(shape: str, tmp_path: Path) -> None:
    """The gradients of all weights, with random gradients of both logits at tokens."""
    import mxnet as mx
    import torch
    import transformers

    from bort.gluon.network.array_network import as_network, table_name
    from bort.gluon.network.parameters import named_parameters

    network = make_network(SHAPES[shape], **PARTS["spans"], head_dropout=0.0, dropout=0.0)
    write_huggingface(tmp_path, network, None)
    ids, lengths, mask = make_batch(network.architecture)
    types = np.random.default_rng(6).integers(0, 2, ids.shape)
    slopes = np.random.default_rng(7).normal(size=(*ids.shape, 2)).astype(np.float32)
    ours = as_network(network, grad_req="write")
    with mx.autograd.record():
        logits = ours(
            mx.nd.array(ids, dtype="int32"),
            mx.nd.array(lengths, dtype="float32"),
            mx.nd.array(types, dtype="int32"),
        )
    logits.backward(mx.nd.array(slopes))  # at padding, none reaches a weight
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(str(tmp_path)).train()
    found = theirs(
        input_ids=torch.tensor(ids),
        attention_mask=torch.tensor(mask),
        token_type_ids=torch.tensor(types),
    )
    inside = torch.tensor(slopes * mask[:, :, None])
    total = (found.start_logits * inside[..., 0]).sum() + (found.end_logits * inside[..., 1]).sum()
    total.backward()
    expected = {name: one.grad.numpy() for name, one in theirs.named_parameters()}
    named = {table_name(name): one for name, one in named_parameters(ours).items()}
    for place in network.places():
        gradient = expected.pop(place.bert)
        allowed = 1e-5 * (1 + np.abs(gradient).max())
        np.testing.assert_allclose(
            named[place.gluon].grad().asnumpy(), gradient, rtol=0, atol=allowed
        )
    assert not expected


@pytest.mark.parity("torch", "transformers")
def test_a_decoder_with_its_own_epsilon_is_exact_when_asked(tmp_path: Path) -> None:
    network = make_network(decoder=True, decoder_layer_norm_eps=1e-12)
    write_huggingface(tmp_path, network, None, exact_decoder=True)
    ids, lengths, mask = make_batch()
    ours = gluon_answers(network, ids, lengths)
    assert_equal_outputs(ours, transformers_outputs(tmp_path, ids, mask), mask)


@pytest.mark.parity("onnx", "onnxruntime")
def test_onnx_keeps_the_decoders_epsilon() -> None:
    network = make_network(decoder=True, decoder_layer_norm_eps=1e-3)
    ids, lengths, mask = make_batch()
    ours = gluon_answers(network, ids, lengths)
    assert_equal_outputs(ours, onnx_outputs(build_onnx(network), ids, mask), mask)
    other = build_onnx(network.replace(decoder_layer_norm_eps=1e-5))
    with pytest.raises(AssertionError):
        assert_equal_outputs(ours, onnx_outputs(other, ids, mask), mask)


@pytest.mark.parity("onnx", "onnxruntime")
def test_onnx_decodes_at_masked_positions() -> None:
    network = make_network(decoder=True)
    ids, lengths, mask = make_batch()
    positions = np.minimum(np.array([[0, 3, 9]]), lengths[:, None] - 1)
    model = build_onnx(network, masked_positions=True)
    found = onnx_outputs(model, ids, mask, masked_positions=positions)
    ours = np.take_along_axis(gluon_answers(network, ids, lengths), positions[:, :, None], 1)
    assert_equal_outputs(ours, found, np.ones_like(positions))


@pytest.mark.parity("onnx", "onnxruntime")
@pytest.mark.parametrize("part", ["encoder", "masked tokens", "linear head", "spans"])
def test_int8_stays_near(part: str) -> None:
    network = make_network(**PARTS[part])
    ids, _, mask = make_batch()
    exact = onnx_outputs(build_onnx(network), ids, mask)
    rounded = onnx_outputs(build_onnx(network, precision="int8"), ids, mask)
    if exact.ndim == 3:
        exact, rounded = exact[mask.astype(bool)], rounded[mask.astype(bool)]
    error = np.sqrt(((exact - rounded) ** 2).mean()) / exact.std()
    assert 1e-5 < error < 0.05


@pytest.mark.parity("torch", "transformers", "onnx", "onnxruntime")
@pytest.mark.parametrize("name", ["masked tokens", "release head", "linear head", "spans"])
def test_every_weight_matters(name: str, tmp_path: Path) -> None:
    """If any weight changes a little, neither export agrees with the original."""
    network = make_network(**PARTS[name])
    ids, lengths, mask = make_batch()
    ours = gluon_answers(network, ids, lengths)
    for number, changed in enumerate(sorted(network.arrays)):
        if changed.endswith("proj_key.bias"):
            continue  # shifts all scores of a row alike, which softmax does not see
        array = network.arrays[changed].copy()
        place = (0,) * array.ndim
        if changed == "word_embed.0.weight":
            place = (int(ids[0, 0]), 0)
        array[place] += 0.05
        other = network.replace(arrays={**network.arrays, changed: array})
        with pytest.raises(AssertionError):
            assert_equal_outputs(ours, onnx_outputs(build_onnx(other), ids, mask), mask)
        if number % 9 == 0:
            folder = tmp_path / str(number)
            folder.mkdir()
            write_huggingface(folder, other, None)
            with pytest.raises(AssertionError):
                assert_equal_outputs(ours, transformers_outputs(folder, ids, mask), mask)


@pytest.mark.parity("torch", "transformers")
@pytest.mark.parametrize("kind", ["RobertaForMaskedLM", "RobertaForSequenceClassification"])
def test_models_of_transformers_come_in(kind: str, tmp_path: Path) -> None:
    import torch
    import transformers

    from bort.formats.huggingface.reader import read_huggingface

    torch.manual_seed(0)
    config = transformers.RobertaConfig(
        vocab_size=97,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=42,
        type_vocab_size=1,
        num_labels=3,
        initializer_range=0.1,
        layer_norm_eps=1e-5,
    )
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(str(tmp_path))
    network = read_huggingface(tmp_path).network
    assert network.architecture.maximum_length == 40
    ids, lengths, mask = make_batch(BORT.replace(vocabulary_size=97), 40)
    ids = np.maximum(ids, 2)  # RoBERTa gives its padding token a position of its own
    ids = np.where(mask, ids, 1)
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).logits
    assert_equal_outputs(theirs.numpy(), gluon_answers(network, ids, lengths), mask)


@pytest.mark.parity("torch", "transformers")
def test_bert_with_everything_comes_in(tmp_path: Path) -> None:
    import torch
    import transformers

    from bort.formats.huggingface.reader import read_huggingface

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=97,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=40,
        initializer_range=0.1,
    )
    model = transformers.BertForPreTraining(config).eval()
    model.save_pretrained(str(tmp_path))
    imported = read_huggingface(tmp_path)
    assert imported.left_out == ("cls.seq_relationship.bias", "cls.seq_relationship.weight")
    assert imported.network.description.has_pooler
    assert imported.network.architecture.token_types == 2
    ids, lengths, mask = make_batch(BORT.replace(vocabulary_size=97))
    with torch.no_grad():
        outputs = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    theirs = outputs.prediction_logits.numpy()
    assert_equal_outputs(theirs, gluon_answers(imported.network, ids, lengths), mask)
