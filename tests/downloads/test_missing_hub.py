"""A download without the package huggingface_hub."""

from __future__ import annotations

import sys

import pytest

from bort.downloads.huggingface_hub import fetch_from_hub
from bort.errors import InputError


def test_without_its_package_a_download_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="pip install huggingface_hub"):
        fetch_from_hub("roberta-large")
