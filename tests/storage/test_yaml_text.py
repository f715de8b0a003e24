"""YAML with the plain values of JSON; `tests/experiments/test_grid.py` has the bad files."""

from __future__ import annotations

import pytest

from bort.errors import InputError
from bort.storage.yaml_text import read_json_or_yaml


def test_json_and_yaml_have_the_same_values(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, "no", true, null]}')
    (tmp_path / "a.yaml").write_text("a: [1, no, true, ~]\n")
    values = [read_json_or_yaml(tmp_path / name) for name in ("a.json", "a.yaml")]
    assert values == [{"a": [1, "no", True, None]}] * 2


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "a.yml").write_bytes("a: 1".encode("utf-16"))
    with pytest.raises(InputError, match=r"a\.yml: is text in UTF-16"):
        read_json_or_yaml(tmp_path / "a.yml")
