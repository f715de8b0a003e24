"""Tests of the optimizers on flat buffers against their formulas."""

from __future__ import annotations

import mxnet as mx
import numpy as np
import pytest

from bort.architecture import Architecture
from bort.gluon.network.model import BortModel
from bort.gluon.training.flat import ALIGNMENT, FlatParameters
from bort.gluon.training.optimizer import FlatBertAdam, FlatSGD


@pytest.fixture
def flat():
    mx.random.seed(3)
    model = BortModel(Architecture(1, 2, 6, 10, vocabulary_size=21, maximum_length=5))
    model.initialize()
    return FlatParameters(model, mx.cpu())


def test_update_is_the_formula_with_decay_on_weights_only(flat):
    optimizer = FlatBertAdam(flat, weight_decay=110.0, epsilon=1e-6)
    generator = np.random.default_rng(0)
    weights = flat.weights.asnumpy().astype("float64")
    mean, variance = np.zeros_like(weights), np.zeros_like(weights)
    decay = np.zeros_like(weights)
    real = np.zeros(len(weights), dtype=bool)
    for slot in flat.slots:
        plain = slot.name.endswith(("bias", "gamma", "beta"))
        decay[slot.offset : slot.offset + slot.size] = 0.0 if plain else 110.0
        real[slot.offset : slot.offset + slot.size] = True
    for rate, scale in ((5e-5, 1.0), (4e-5, 0.25), (3e-5, 2.0)):
        gradient = generator.normal(size=len(weights)) * real
        flat.gradients[:] = gradient
        optimizer.update(rate, scale)
        mean = 0.9 * mean + 0.1 * gradient * scale
        variance = 0.999 * variance + 0.001 * (gradient * scale) ** 2
        weights -= rate * (mean / (np.sqrt(variance) + 1e-6) + decay * weights)
    np.testing.assert_allclose(flat.weights.asnumpy(), weights, atol=2e-6)
    assert (flat.weights.asnumpy()[~real] == 0).all(), "padding stays 0"


def test_an_update_on_a_cpu_has_the_bits_of_mxnets_kernel(flat):
    optimizer = FlatBertAdam(flat, weight_decay=0.01)
    generator = np.random.default_rng(1)
    # Numbers of all sizes, denormal ones and zeros too.
    sizes = 10.0 ** generator.uniform(-44, 10, flat.size)
    gradients = (generator.normal(size=flat.size) * sizes).astype(np.float32)
    gradients[::5] = 0
    buffers = [flat.weights.copy(), optimizer.mean.copy(), optimizer.variance.copy()]
    border = flat.decayed_size
    for rate, scale in ((5e-5, 1.0), (1e-3, 0.0137)):
        flat.gradients[:] = gradients
        optimizer.update(rate, scale)
        weights, mean, variance = buffers
        for first, last, decay in ((0, border, 0.01), (border, flat.size, 0.0)):
            mx.nd.contrib.multi_adamw_update(
                [weights[first:last]],
                [mx.nd.array(gradients[first:last])],
                [mean[first:last]],
                [variance[first:last]],
                rescale_grad=mx.nd.full((1,), scale),
                lrs=[1.0],
                etas=[rate],
                wds=[decay],
                epsilon=1e-6,
                out=[weights[first:last]],
                size=1,
            )
        for ours, theirs in zip((flat.weights, optimizer.mean, optimizer.variance), buffers):
            np.testing.assert_array_equal(
                ours.asnumpy().view(np.int32), theirs.asnumpy().view(np.int32)
            )


@pytest.mark.parametrize("scale", [0.0, float("inf"), float("nan"), -1.0])
def test_a_scale_that_would_skip_the_update_silently_is_refused(flat, scale):
    with pytest.raises(ValueError, match="silently"):
        FlatBertAdam(flat, weight_decay=0.0).update(1e-3, scale)


def test_every_parameter_has_an_aligned_place_of_its_own(flat):
    taken = np.zeros(flat.size, dtype=int)
    for slot in flat.slots:
        assert slot.offset % ALIGNMENT == 0
        taken[slot.offset : slot.offset + slot.size] += 1
        assert slot.decayed == (slot.offset < flat.decayed_size)
    assert taken.max() == 1
    assert sum(slot.size for slot in flat.slots) == Architecture(
        1, 2, 6, 10, vocabulary_size=21, maximum_length=5
    ).parameter_count(decoder=True), "the tied embedding is there once"


def test_sgd_is_the_formula_with_decay_on_weights_only(flat):
    optimizer = FlatSGD(flat, weight_decay=0.1)
    generator = np.random.default_rng(1)
    weights = flat.weights.asnumpy().astype("float64")
    decay = np.zeros_like(weights)
    decay[: flat.decayed_size] = 0.1
    for rate, scale in ((0.5, 1.0), (0.25, 0.125)):
        gradient = generator.normal(size=len(weights))
        flat.gradients[:] = gradient
        optimizer.update(rate, scale)
        weights -= rate * (scale * gradient + decay * weights)
    np.testing.assert_allclose(flat.weights.asnumpy(), weights, atol=1e-6)
    assert optimizer.state() == {}


@pytest.mark.parametrize("beta2", [0.999, 0.98])
def test_with_bias_correction_it_is_pytorchs_adamw(flat, beta2):
    torch = pytest.importorskip("torch")
    optimizer = FlatBertAdam(
        flat, weight_decay=0.01, epsilon=1e-6, beta2=beta2, bias_correction=True
    )
    border, generator = flat.decayed_size, np.random.default_rng(2)
    weights = flat.weights.asnumpy()
    decayed, plain = (torch.nn.Parameter(torch.tensor(w)) for w in np.split(weights, [border]))
    groups = [
        {"params": [decayed], "weight_decay": 0.01},
        {"params": [plain], "weight_decay": 0.0},
    ]
    oracle = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, beta2), eps=1e-6)
    for rate in (1e-3, 2e-3, 5e-4):
        gradient = generator.normal(size=len(weights)).astype("float32")
        flat.gradients[:] = gradient
        optimizer.update(rate, 1.0)
        for group in oracle.param_groups:
            group["lr"] = rate
        decayed.grad, plain.grad = (torch.tensor(g) for g in np.split(gradient, [border]))
        oracle.step()
    expected = np.concatenate([decayed.detach().numpy(), plain.detach().numpy()])
    np.testing.assert_allclose(flat.weights.asnumpy(), expected, atol=1e-6)
    # The planted fault: moments without correction.
    mx.random.seed(3)
    plain_adam = FlatBertAdam(flat, weight_decay=0.01, epsilon=1e-6, beta2=beta2)
    flat.weights[:] = weights
    flat.gradients[:] = gradient
    plain_adam.update(1e-3, 1.0)
    moved = np.abs(flat.weights.asnumpy() - weights).max()
    # With it the first step is as long as the rate; else it is (1 - beta1)/sqrt(1 - beta2) of it.
    assert moved == pytest.approx(1e-3 * 0.1 / np.sqrt(1 - beta2), rel=0.02)
    assert abs(moved - 1e-3) > 2e-4
