"""The residual shift changes no bit and brings the epsilons together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bort.architecture import NORMS
from bort.formats.huggingface.reference import HuggingFaceReference
from bort.formats.huggingface.residual import residual_shift, shift_residual
from bort.formats.huggingface.writer import write_huggingface
from tests.formats.huggingface.folders import (
    assert_identical,
)
from tests.formats.parity import BORT, make_batch, make_network


@given(shift=st.integers(-8, 30), norm=st.sampled_from(NORMS))  # below -8, epsilon would exceed 1
def test_the_residual_shift_changes_no_bit(shift: int, norm: str) -> None:
    network = make_network(BORT.replace(depth=1, norm=norm), decoder=True)
    assert_identical(network, shift_residual(shift_residual(network, shift), -shift))


@pytest.mark.parametrize("norm", NORMS)
def test_the_shift_brings_the_epsilons_together(norm: str, tmp_path: Path) -> None:
    network = make_network(BORT.replace(norm=norm), decoder=True, decoder_layer_norm_eps=1e-12)
    assert residual_shift(network) == 12
    ids, lengths, _ = make_batch()
    outputs = []
    for exact in (False, True):
        folder = tmp_path / str(exact)
        folder.mkdir()
        write_huggingface(folder, network, None, exact_decoder=exact)
        reference = HuggingFaceReference(folder)
        own = None if exact else network.description.decoder_layer_norm_eps
        outputs += [reference(ids, lengths, "masked_lm", own), reference(ids, lengths, "masked_lm")]
    plain_own, plain, shifted, _ = outputs
    assert np.abs(shifted - plain_own).max() < 1e-9
    assert 1e-6 < np.abs(plain - plain_own).max() < 1e-3
