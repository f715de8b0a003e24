"""The lines that use the model are Python, name its folder, and give its answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from bort import Predictor
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.openvino_file import write_openvino
from bort.inference.questions import TaskQuestions
from bort.network.description import TaskDescription
from bort.network.model_folder import VOCABULARY_FOLDER
from bort.tasks.options import TaskOptions
from bort.tasks.records import CHOICES, PAIR, TASKS, TaskRecord, get_task
from experiments.small_model.usage import usage_elsewhere, usage_lines
from tests.formats.parity import BORT, make_network, write_network
from tests.text.tiny_vocabulary import tiny_vocabulary

SETTINGS = {"output_dir": "it's/out", "threads": 2}


def test_the_lines_are_python_and_name_the_folder() -> None:
    lines = usage_lines(SETTINGS, {"kind": "single sentence"})
    compile(lines, "usage", "exec")
    assert len(lines.splitlines()) == 3
    assert 'Predictor.from_pretrained("it\'s/out/model", threads=2)' in lines
    assert '["a text", "another text"]' in lines


def test_pairs_are_asked_as_pairs() -> None:
    lines = usage_lines(SETTINGS, {"kind": PAIR})
    compile(lines, "usage", "exec")
    assert '[("one text", "another text")]' in lines


def test_bf16_is_asked_for_when_it_is_served() -> None:
    rows = [
        {"precision": "fp32", "engine": "openvino", "taken": False},
        {"precision": "bf16", "engine": "openvino", "taken": True},
    ]
    assert 'precision="fast"' in usage_lines(SETTINGS, {}, rows)
    assert "precision" not in usage_lines(SETTINGS, {}, rows[:1])


@pytest.mark.parametrize(
    ("engine", "precision", "is_named"),
    [
        ("openvino", "fp32", False),
        ("openvino", "bf16", False),
        ("onnxruntime", "fp32", True),  # OpenVINO reads the file, too
        ("onnxruntime", "int8", False),
        ("mxnet", "fp32", True),
    ],
)
def test_the_engine_that_was_measured_is_the_one_that_is_opened(
    engine: str, precision: str, is_named: bool
) -> None:
    rows = [{"precision": precision, "engine": engine, "taken": True}]
    lines = usage_lines({**SETTINGS, "engine": "auto"}, {}, rows)
    compile(lines, "usage", "exec")
    assert (f'engine="{engine}"' in lines) == is_named
    before = usage_lines({**SETTINGS, "engine": engine}, {})
    assert (f'engine="{engine}"' in before) == (engine != "openvino"), "nothing is exported yet"


def test_a_hugging_face_folder_is_used_with_transformers(tmp_path: Path) -> None:
    settings = {"output_dir": str(tmp_path), "threads": 1}
    assert usage_elsewhere(settings, {}) == ""
    for place in (tmp_path / "model" / "huggingface", tmp_path / "huggingface"):
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        lines = usage_elsewhere(settings, {"kind": "single sentence"})
        compile(lines, "usage", "exec")
        assert repr(str(place)) in lines
        assert "top_k" not in lines
    several = usage_elsewhere(settings, {"kind": "single sentence", "several_labels": True})
    compile(several, "usage", "exec")
    assert f"pipeline('text-classification', {str(place)!r}, top_k=None)" in several
    assert "text_pair" in usage_elsewhere(settings, {"kind": PAIR})
    assert usage_elsewhere(settings, {"kind": CHOICES}) == "", "Transformers has no such pipeline"


@pytest.mark.parametrize("task", [one for one in TASKS if not one.has_spans], ids=lambda t: t.name)
def test_the_question_is_one_of_the_task(task: TaskRecord) -> None:
    lines = usage_lines(SETTINGS, {"kind": task.formulation})
    (asked,) = (line for line in lines.splitlines() if line.startswith("print"))
    questions: List[Any] = []
    scope = {"predictor": lambda given: questions.extend(given) or ["answer"]}
    exec(asked, scope)
    assert questions
    for number, question in enumerate(questions):
        found = TaskQuestions(task, TaskOptions()).read(question, "", number)
        assert found.inputs


@pytest.fixture(scope="module", params=["SST-2", "RTE"])
def served(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Return the folder of a run whose model serves on OpenVINO."""
    task, vocabulary = get_task(request.param), tiny_vocabulary()
    out = tmp_path_factory.mktemp("served") / task.name
    network = make_network(
        BORT.replace(vocabulary_size=len(vocabulary)),
        head="linear",
        num_classes=2,
        labels=list(task.labels),
        vocabulary_fingerprint=vocabulary.fingerprint,
    ).replace(task=TaskDescription(task.name, {}), input_length=32)
    for part, write in (("", write_openvino), ("huggingface", write_huggingface)):
        (out / "model" / part).mkdir(parents=True, exist_ok=True)
        write(out / "model" / part, network, vocabulary)
    write_network(out / "model" / "weights", network)
    vocabulary.save(out / "model" / "weights" / VOCABULARY_FOLDER)
    return out


def printed(lines: str, folder: Path) -> str:
    """Return what lines of Python print in a process of their own, elsewhere."""
    found = subprocess.run(
        [sys.executable, "-c", lines], cwd=folder, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.parity("openvino", "transformers", "torch")
def test_the_lines_give_the_answers_of_the_model(served: Path, tmp_path: Path) -> None:
    settings = {"output_dir": str(served), "threads": 1}
    task = {"kind": get_task(served.name).formulation}
    answers = printed(usage_lines(settings, task), tmp_path).splitlines()
    is_pair = task["kind"] == PAIR
    asked = [("one text", "another text")] if is_pair else ["a text", "another text"]
    weights = Predictor.from_pretrained(served / "model" / "weights", engine="mxnet")
    assert answers == [str(one) for one in weights(asked)]
    elsewhere = printed(usage_elsewhere(settings, task), tmp_path)
    assert f"'label': '{weights(asked)[0].label}'" in elsewhere
