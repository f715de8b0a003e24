"""The cross-entropy of a sigmoid and its gradient, in closed form and for large logits."""

from __future__ import annotations

import mxnet as mx
import numpy as np
from scipy.special import expit

from bort.gluon.network.sigmoid_loss import sigmoid_cross_entropy


def test_value_and_gradient_are_the_closed_form() -> None:
    logits = np.array([[-90.0, -5.0, -0.3], [0.0, 2.0, 90.0]])
    targets = np.array([[1.0, 0.0, 0.25], [1.0, 0.5, 0.0]])
    z = mx.nd.array(logits)
    z.attach_grad()
    with mx.autograd.record():
        found = sigmoid_cross_entropy(mx.nd, z, mx.nd.array(targets))
    found.backward()
    expected = np.logaddexp(0, logits) - targets * logits
    np.testing.assert_allclose(found.asnumpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(z.grad.asnumpy(), expit(logits) - targets, atol=1e-6)
