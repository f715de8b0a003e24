"""The file of the maximum point: it comes back, and a change of any size is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.maximum_point import read_maximum_point, write_maximum_point

POINT = Architecture(2, 2, 8, 16, vocabulary_size=60, maximum_length=24)


def test_the_point_comes_back(tmp_path: Path) -> None:
    write_maximum_point(tmp_path / "m.json", POINT, "abc")
    assert read_maximum_point(tmp_path / "m.json", "abc") == POINT
    with pytest.raises(InputError, match=r"m\.json: describes another teacher"):
        read_maximum_point(tmp_path / "m.json", "abd")


def test_a_file_of_version_0_2_0_is_read(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(
        json.dumps({"architecture": POINT.as_dict(), "fingerprint": "abc"})
    )
    assert read_maximum_point(tmp_path / "m.json", "abc") == POINT


@pytest.mark.parametrize("name", sorted(POINT.as_dict()))
def test_another_size_is_refused(tmp_path: Path, name: str) -> None:
    write_maximum_point(tmp_path / "m.json", POINT, "abc")
    content = json.loads((tmp_path / "m.json").read_text())
    content["architecture"][name] += 2
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"m\.json: is damaged: its content does not match"):
        read_maximum_point(tmp_path / "m.json", "abc")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": []}, r"architecture is \[\], allowed is an object"),
        ({"architecture": {**POINT.as_dict(), "depth": 2**63}}, "architecture: depth is 9"),
        ({"architecture": {**POINT.as_dict(), "depth": True}}, "architecture: depth is True"),
        ({"fingerprint": None}, "fingerprint is None, allowed is a text"),
        ({"sha256": 3}, "sha256 is 3, allowed is a text"),
    ],
)
def test_damage_is_named(tmp_path: Path, changes: dict, message: str) -> None:
    content = {"architecture": POINT.as_dict(), "fingerprint": "abc", **changes}
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"m\.json: {message}"):
        read_maximum_point(tmp_path / "m.json", "abc")
