"""The command that fetches the official data, against a server of this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any, Iterator

import pytest

from bort.errors import InputError
from data.tasks import downloads as task_downloads
from tests.downloads.local_server import Site, serve
from tests.scripts.commands import assert_one_line, run


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        yield served


@pytest.fixture
def command(project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    path = project_root / "scripts" / "download_tasks.py"
    spec = importlib.util.spec_from_file_location("download_tasks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "download_tasks", module)
    spec.loader.exec_module(module)
    return module


def test_a_task_is_fetched_and_its_folder_printed(
    command: Any, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("train.tsv", "dev.tsv", "test.tsv"):
            archive.writestr(f"CoLA/{name}", name)
    content = stream.getvalue()
    site.files["/glue/data/CoLA.zip"] = content
    real = task_downloads.TASK_SOURCES["CoLA"]
    file = dataclasses.replace(
        real.files[0], size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    source = dataclasses.replace(real, files=(file,))
    monkeypatch.setattr(task_downloads, "TASK_SOURCES", {"CoLA": source})
    parser = command.make_parser("x")
    command.DownloadTasksConfig.add_flags(parser)
    flags = ["--task_name", "cola", "--data_dir", str(tmp_path), "--local_server", site.address]
    command.work(parser.parse_args(flags))
    folder = tmp_path / "GLUE" / "CoLA"
    assert json.loads(capsys.readouterr().out) == {"CoLA": str(folder)}
    assert (folder / "dev.tsv").read_text() == "dev.tsv"


def test_suites_and_all(command: Any) -> None:
    names = [record.name for record in command.chosen_tasks(("race", "CoLA", "RACE-H"))]
    assert names == ["CoLA", "RACE-H", "RACE-M"]
    assert len(command.chosen_tasks(("all",))) == 24
    names = [record.name for record in command.chosen_tasks(("squad",))]
    assert names == ["SQuAD1.1", "SQuAD2.0"]
    assert len(command.chosen_tasks(("superglue",))) == 10
    with pytest.raises(InputError, match="'nothing': is not known"):
        command.chosen_tasks(("nothing",))


@pytest.mark.integration
def test_failures_are_one_line(site: Site, tmp_path: Path, project_root: Path) -> None:
    def download(*flags: str) -> Any:
        given = ["--data_dir", str(tmp_path / "data"), *flags]
        return run(project_root, "download_tasks", *given)

    here = ["--local_server", site.address]
    assert_one_line(download("--task_name", "XNLI"), 2, "task 'XNLI': is not known")
    assert_one_line(
        download("--task_name", "CoLA", "--offline"), 2, "offline mode downloads nothing"
    )
    assert_one_line(download("--task_name", "CoLA", *here), 1, "the server answers 404")
    site.files["/glue/data/CoLA.zip"] = b"x" * 376971
    assert_one_line(download("--task_name", "CoLA", *here), 1, "has the SHA-256")
    site.cut = 1000
    assert_one_line(download("--task_name", "CoLA", *here), 1, "cut short after 3000 of 376971")
    far = ["--local_server", "http://data.example"]
    assert_one_line(download("--task_name", "CoLA", *far), 2, "allowed is an address of this")
    gone = ["--local_server", "http://127.0.0.1:9"]
    assert_one_line(download("--task_name", "WSC", *gone), 1, "is there a network?")
    (tmp_path / "data" / "file").write_text("x")
    result = run(
        project_root, "download_tasks", "--task_name", "WSC",
        "--data_dir", str(tmp_path / "data" / "file"),
    )  # fmt: skip
    assert_one_line(result, 2, "allowed is a folder")
