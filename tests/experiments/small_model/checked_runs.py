"""What the tests of the checks before a run share."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from typing import Any, Callable

import pytest

from bort.errors import InputError
from experiments.small_model.checks import check_everything
from experiments.small_model.config import SmallModelConfig

Usage = namedtuple("Usage", "total used free")
Config = Callable[..., SmallModelConfig]


def refusal(config: SmallModelConfig, **options: Any) -> str:
    """Return the line of a refusal, after which nothing is there."""
    with pytest.raises(InputError) as caught:
        check_everything(config, **options)
    assert not Path(config.output_dir).exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)
