"""Records of version 0.2.0 are written again with the same bytes."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from bort.network.model_folder import read_model_folder, write_model_folder
from bort.storage.files import json_text
from bort.text.vocabularies import load_vocabulary

ARCHIVE = Path(__file__).with_name("version_0_2_0.tar.xz")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version_0_2_0")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


def test_models_and_vocabularies_keep_their_bytes(kept: Path, tmp_path: Path) -> None:
    rewritten = 0
    for path in sorted(kept.rglob("model.json")):
        if not path.with_name("model.safetensors").is_file():
            continue  # the archive leaves some weights out
        network = read_model_folder(path.parent)
        write_model_folder(tmp_path, network.description, network.arrays)
        for name in ("model.json", "model.safetensors"):
            assert (tmp_path / name).read_bytes() == path.with_name(name).read_bytes()
        rewritten += 1
    for path in sorted(kept.rglob("vocabulary.json")):
        load_vocabulary(path.parent).save(tmp_path)
        for name in ("vocabulary.json", "sentencepiece.model"):
            assert (tmp_path / name).read_bytes() == path.with_name(name).read_bytes()
        rewritten += 1
    assert rewritten > 8


def test_every_record_has_the_layout_that_is_written(kept: Path) -> None:
    names = {"cache.json", "manifest.json", "model.json", "state.json", "vocabulary.json"}
    found = [path for path in sorted(kept.rglob("*.json")) if path.name in names]
    found += sorted(kept.rglob("part-*.json"))
    assert {path.name for path in found} > names
    for path in found:
        assert json_text(json.loads(path.read_text(encoding="utf-8"))) == path.read_bytes()
