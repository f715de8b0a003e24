"""Tests of `get_bort_model` and of the package's public names."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import bort
from bort.errors import InputError
from bort.gluon.network.pretrained import get_bort_model
from tests.gluon.network.network_samples import SMALL, make_model, weights_of


class Words:
    """A vocabulary that has only a size."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size


def test_random_weights_for_any_vocabulary():
    vocabulary = Words(55)
    model, same = get_bort_model("2-4-32-48", vocab=vocabulary, pretrained=False)
    assert same is vocabulary
    assert model.embedding_weight.data().shape == (55, 32)
    assert model.architecture.depth == 2


def test_released_preset_has_the_released_size():
    model, _ = get_bort_model(vocab=Words(50265), pretrained=False, use_decoder=False)
    count = sum(int(np.prod(p.shape)) for p in model._collect_params_with_prefix().values())
    assert count == 75106304


@pytest.mark.parametrize("decoder", [True, False])
@pytest.mark.parametrize("pooler", [True, False])
def test_pretrained_weights_are_loaded(tmp_path, decoder, pooler):
    make_model().save_parameters(str(tmp_path / "bort.params"))
    model, _ = get_bort_model(
        SMALL, vocab=Words(90), root=tmp_path, use_decoder=decoder, use_pooler=pooler
    )
    expected = weights_of(make_model())
    for name, array in weights_of(model).items():
        if name.startswith("pooler."):
            assert name.endswith("bias") or array.any()
        else:
            np.testing.assert_array_equal(array, expected[name])


def test_missing_weights_say_where_to_get_them(tmp_path):
    with pytest.raises(InputError) as caught:
        get_bort_model(root=tmp_path, vocab=Words(50265))
    message = str(caught.value)
    assert str(tmp_path / "bort.params") in message
    assert "https://alexa-saif-bort.s3.amazonaws.com/bort.params" in message
    assert "\n" not in message


def test_misfits_are_refused(tmp_path):
    make_model().save_parameters(str(tmp_path / "bort.params"))
    with pytest.raises(InputError, match="vocabulary has 91 tokens, the pre-trained model 90"):
        get_bort_model(SMALL, vocab=Words(91), root=tmp_path)
    with pytest.raises(InputError, match=r"bort\.params: parameter .* has shape"):
        get_bort_model(SMALL.replace(hidden=64), vocab=Words(90), root=tmp_path)
    with pytest.raises(InputError, match="is unknown"):
        get_bort_model("bort_9", vocab=Words(90), pretrained=False)


def test_public_names_exist():
    for name in bort.__all__:
        assert getattr(bort, name) is not None
    assert set(bort.__all__) <= set(dir(bort))
    with pytest.raises(AttributeError, match="no_such_name"):
        bort.no_such_name  # noqa: B018


def test_importing_the_package_imports_no_framework():
    code = (
        "import sys, bort; bort.Architecture(1, 1, 4, 4); bort.get_architecture; bort.PRESETS; "
        "print(sorted({'mxnet', 'gluonnlp', 'torch', 'horovod'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
