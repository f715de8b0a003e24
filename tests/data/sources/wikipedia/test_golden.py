"""Dumps written by hand, and their text written by hand from the rules of MediaWiki."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Dict

import pytest

from bort.storage.json_text import parse_json
from data.corpus.documents import read_documents
from data.sources.wikipedia.extraction import ExtractionConfig, extract_wikipedia

SAMPLES = Path(__file__).resolve().parents[4] / "test_data/wikipedia"
WIKIS = ("enwiki", "dewiki", "ruwiki")
_NAME = "{http://www.mediawiki.org/xml/export-0.11/}"


def extract(wiki: str, folder: Path, **settings: Any) -> Dict[str, Any]:
    config = ExtractionConfig(output_dir=str(folder), num_workers=1, **settings)
    record = extract_wikipedia(SAMPLES / f"{wiki}.xml", config)
    assert record is not None
    return record


@pytest.mark.parametrize("wiki", WIKIS)
def test_the_text_is_the_one_written_by_hand(wiki: str, tmp_path: Path) -> None:
    extract(wiki, tmp_path / "out", lines="paragraphs")
    found = (tmp_path / f"out/{wiki}-00000.txt").read_text(encoding="utf-8")
    assert found == (SAMPLES / f"{wiki}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("wiki", WIKIS)
def test_a_planted_fault_is_seen(
    wiki: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its rules, the golden text is not reached: numbers are lost with the templates."""
    monkeypatch.setattr("data.sources.wikipedia.templates.Templates.has", lambda *words: False)
    extract(wiki, tmp_path / "out", lines="paragraphs")
    found = (tmp_path / f"out/{wiki}-00000.txt").read_text(encoding="utf-8")
    assert found != (SAMPLES / f"{wiki}.txt").read_text(encoding="utf-8")
    assert not any(number in found for number in ("1,234,567", "1.234.567", "1 234 567"))


@pytest.mark.parametrize("wiki", WIKIS)
@pytest.mark.parametrize("kind", ["sentences", "paragraphs"])
def test_counts_are_those_of_other_programs(wiki: str, kind: str, tmp_path: Path) -> None:
    record = extract(wiki, tmp_path / "out", lines=kind)
    counts = record["counts"]
    pages = ElementTree.parse(SAMPLES / f"{wiki}.xml").getroot().findall(f"{_NAME}page")
    articles = [page for page in pages if page.findtext(f"{_NAME}ns") == "0"]
    texts = [page.findtext(f"{_NAME}revision/{_NAME}text") or "" for page in articles]
    marked = [page.find(f"{_NAME}redirect") is not None for page in articles]
    written = [text.lower().startswith(("#redir", "#weiter", "#перен")) for text in texts]
    assert counts["pages"] == len(pages)
    assert counts["other_namespaces"] == len(pages) - len(articles)
    assert counts["redirects"] == sum(map(any, zip(marked, written)))
    files = sorted((tmp_path / "out").glob("*.txt"))
    words, size = (
        int(part)
        for part in subprocess.run(
            ["wc", "-w", "-c", *map(str, files)],
            env={"LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[:2]
    )
    assert (counts["words"], counts["bytes"]) == (words, size)
    assert counts["documents"] == len(list(read_documents(files)))
    assert counts["pages"] == sum(
        number for name, number in counts.items() if name not in ("pages", "words", "bytes")
    )
    assert parse_json((tmp_path / "out/wikipedia.json").read_text(), "")["counts"] == counts


def test_every_kind_of_page_is_counted(tmp_path: Path) -> None:
    counts = extract("enwiki", tmp_path / "out")["counts"]
    assert (counts["deleted"], counts["other_models"], counts["disambiguations"]) == (1, 1, 3)
    assert (counts["empty"], counts["other_namespaces"], counts["redirects"]) == (3, 3, 2)
    kept = extract("enwiki", tmp_path / "kept", disambiguation_pages=True)["counts"]
    assert kept["documents"] == counts["documents"] + 3
    assert kept["disambiguations"] == 0
