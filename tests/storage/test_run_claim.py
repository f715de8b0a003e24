"""A folder belongs to one run; settings that are younger than a folder had their defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from bort.errors import InputError
from bort.search.config import SearchConfig
from bort.storage.files import write_json
from bort.storage.run_claim import claim_folder

FILE = "search.json"


def test_an_older_folder_is_continued(tmp_path: Path) -> None:
    config = SearchConfig()
    settings = config.results_settings()
    older = {name: value for name, value in settings.items() if not name.startswith("teacher_e")}
    write_json(tmp_path / FILE, {"settings": older, "train": "a"})

    def claim(now: SearchConfig) -> None:
        values = {"settings": now.results_settings(), "train": "a"}
        claim_folder(tmp_path, FILE, values, "search", True, defaults=config.defaults())

    claim(config)
    with pytest.raises(InputError, match="teacher_engine was 'mxnet' when the search began and is"):
        claim(SearchConfig(teacher_engine="openvino"))
    with pytest.raises(InputError, match="teacher_engine was None when"):
        values = {"settings": settings, "train": "a"}
        claim_folder(tmp_path, FILE, values, "search", True)
