"""The report from made-up results: its numbers, their keys, and the same bytes every time."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bort.report.html.render import render_html
from bort.stages.store import Result
from bort.storage.files import write_json
from experiments.large_then_compressed.findings import find
from experiments.large_then_compressed.graph import make_stages
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.report import make_document, metric_words
from tests.experiments.large_then_compressed.samples import tiny

SECONDS = {"1-2-32-64": 10.0, "2-2-32-64": 12.0}
SCORES = {"1-2-32-64": (0.1, 0.3), "2-2-32-64": (0.2, 0.5)}
PRECISIONS = {"fp32": 1.0, "int8": 0.25}


def part_of(name: str) -> Any:
    """Return model, seed and part of the stage of a pre-training or of the fine-tuning after it."""
    model = next(one for one in SECONDS if one in name)
    seed, part = name.split("seed")[1].split("-part")
    return model, int(seed), int(part)


def content(name: str, kind: str) -> Dict[str, Any]:
    """Return the file of a stage's result with its name."""
    if kind == "pretrain":
        model, seed, part = part_of(name)
        seconds = SECONDS[model] * part + seed
        return {"point.json": {"steps": 5 * part, "seconds": seconds, "mlm_accuracy": 0.1 * part}}
    if kind == "teach-slices":
        return {"point.json": {"steps": 4, "seconds": 3.0}}
    if kind == "finetune":
        score = 0.35
        if "-part" in name:
            model, seed, part = part_of(name)
            score = SCORES[model][part - 1] + 0.01 * seed
        examples = {"train": 32, "choose": 16, "report": 17}
        return {"score.json": {"score": score, "chosen_by": {"mean": 0.9}, "examples": examples}}
    if kind == "export":
        large = "trained-2" in name
        score = 0.45 if large else 0.25
        files = {
            precision: {"score": score, "bytes": int(share * (8e6 if large else 4e6))}
            for precision, share in PRECISIONS.items()
        }
        for precision, one in files.items():
            one["computes"] = precision
        return {"files.json": {**files, "parameters": 2_000_000 if large else 1_000_000}}
    return {}


@pytest.fixture
def results(tmp_path: Path) -> Dict[str, Result]:
    config = tiny()
    made: Dict[str, Result] = {}
    for stage in make_stages(config):
        folder = tmp_path / stage.name
        folder.mkdir()
        files = content(stage.name, stage.kind)
        if stage.kind == "latency":
            labels = {one: {p: {"share": s} for p, s in PRECISIONS.items()} for one in stage.inputs}
            files = {"latency.json": {"reference": "x", "seconds": 0.004, "files": labels}}
        if stage.kind == "findings":
            folders = {name: result.folder for name, result in made.items()}
            files = {"findings.json": find(config, folders)}
        for name, values in files.items():
            write_json(folder / name, values)
        key = hashlib.sha256(stage.name.encode()).hexdigest()
        record = {"of": {"settings": dict(stage.settings)}}
        made[stage.name] = Result(folder, key, record, 1.0)
    return made


def text(pieces: Any) -> str:
    return "".join(getattr(piece, "text", piece) for piece in pieces)


def test_the_lead_answers_with_intervals(results: Dict[str, Result]) -> None:
    document = make_document(tiny(), results)
    lead = text(document.lead)
    assert "all models reach Matthews correlation 0.30" in lead
    assert "the 1-layer model after 20 ± " in lead
    # 12 s + (24 s - 12 s) / 3 with the first seed, 1 s later and 0.01 earlier with the second.
    assert "the 2-layer model after 16 ± " in lead
    assert "of pre-training" in lead


def test_each_number_has_the_key_of_a_listed_stage(results: Dict[str, Result]) -> None:
    document = make_document(tiny(), results)
    listed = {stage.key for stage in document.stages}
    assert listed == {result.key for result in results.values()}
    numbers = list(document.numbers())
    assert len(numbers) > 60
    sources = {number.source for number in numbers if isinstance(number.source, str)}
    assert sources <= listed
    assert results["pretrain-2-2-32-64-seed1-part2"].key in sources
    assert results["finetune-1-2-32-64-seed0-part1"].key in sources


def test_the_table_of_files_has_sizes_latencies_and_all_seconds(results: Dict[str, Result]) -> None:
    document = make_document(tiny(), results)
    tables: List[Any] = [
        part
        for section in document.sections
        for part in section.parts
        if getattr(part, "caption", "") == "The exported files"
    ]
    rows = {row[0]: [cell.text for cell in row[1:]] for row in tables[0].rows}
    assert len(rows) == 8
    large = rows["2 layers, trained, int8"]
    assert large[:4] == ["2.00 M", "2.00 MB", "1.00 ms", "0.25 ± 0.00"]
    assert rows["1 layer, trained, fp32"][5].startswith("20 ± "), "10 s a part, one second more"
    assert rows["1 layer, cut, fp32"][5].startswith("24 ± "), "the large model's seconds"
    taught = rows["1 layer, cut after slicing was taught, fp32"][5]
    assert taught.startswith("28 ± "), "and those of teaching"


def test_the_page_has_the_same_bytes_twice(results: Dict[str, Result]) -> None:
    first, second = (render_html(make_document(tiny(), results)) for _ in range(2))
    assert first == second
    assert first.count("<svg") == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (tiny(), "Matthews correlation"),
        (tiny(task="MNLI", data_dir="x"), "accuracy"),
        (tiny(task="STS-B", data_dir="x"), "mean of Pearson correlation and Spearman correlation"),
    ],
)
def test_the_score_is_named_as_the_task_names_it(config: LargeConfig, words: str) -> None:
    assert metric_words(config) == words
