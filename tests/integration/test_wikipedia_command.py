"""The extraction of Wikipedia as a user runs it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.integration.commands import ROOT, assert_refused, run

pytestmark = pytest.mark.integration
DUMP = ROOT / "test_data/wikipedia/ruwiki.xml"
COMMAND = [sys.executable, "scripts/extract_wikipedia.py"]


def test_a_dump_becomes_text_with_counts_and_a_table(tmp_path: Path) -> None:
    done = run([*COMMAND, DUMP, "--output_dir", tmp_path / "out", "--lines", "paragraphs"])
    printed = json.loads(done.stdout)
    assert printed["language"] == "ru"
    assert printed["stopped"] is False
    assert printed["counts"] == json.loads((tmp_path / "out/wikipedia.json").read_text())["counts"]
    text = (tmp_path / "out/ruwiki-00000.txt").read_text(encoding="utf-8")
    assert text == DUMP.with_suffix(".txt").read_text(encoding="utf-8")
    assert [line.split() for line in done.stderr.splitlines()[-2:]] == [
        ["documents", "words"],
        ["ruwiki", "2", str(printed["counts"]["words"])],
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "one of the dump's path and --download is expected"),
        ([DUMP, "--download", "ru"], "one of the dump's path and --download is expected"),
        ([ROOT / "README.md"], "is no XML dump of a wiki"),
        ([ROOT / "none.xml"], "No such file"),
        ([DUMP, "--lines", "words"], "lines"),
        ([DUMP, "--language", "Русский"], "language is"),
    ],
)
def test_bad_input_is_refused_in_one_line(flags, message: str, tmp_path: Path) -> None:
    done = run([*COMMAND, *flags, "--output_dir", tmp_path / "out"], status=2)
    assert_refused(done, message)
    assert list(tmp_path.iterdir()) == []
