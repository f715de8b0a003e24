"""Tests of super-networks that learn to answer with spans: training, resuming, scores of parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from bort.engines.choosing import open_network
from bort.gluon.super_network.evaluation import TaskScorer
from bort.network.description import QUESTION_ANSWERING
from bort.network.head import span_head
from bort.network.model_folder import read_model_folder
from bort.super_network.extraction import extract_model, extracted_network
from bort.super_network.folder import open_super_network
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from data.tasks.sets import open_task_data
from tests.formats.parity import make_network, write_network
from tests.gluon.finetuning.test_from_teacher import SIZES, WORDS
from tests.gluon.super_network.test_task_run import run, steps
from tests.gluon.training.run_samples import contents, recorded

SMALLEST, LARGEST = "1-8-16-16-16", "3-8-64-48-64"


@pytest.fixture(scope="module")
def data() -> Any:
    return open_task_data(get_task("SQuAD2.0"), WORDS, TaskOptions(), 64, sample=True)


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """Return the folder of a masked-token model."""
    write_network(tmp_path / "encoder", make_network(SIZES, decoder=True))
    WORDS.save(tmp_path / "encoder" / "vocabulary")
    return str(tmp_path / "encoder")


def test_a_super_network_learns_a_task_with_spans(data: Any, encoder: str, tmp_path: Path) -> None:
    summary = run(data, tmp_path / "run", start=encoder)
    assert (summary["task"], summary["steps"]) == ("SQuAD2.0", 6)
    assert set(summary["validation"]) == {SMALLEST, LARGEST}
    first = steps(tmp_path / "run")[0]
    assert first["train/loss"] > 1
    assert first["train/in_place_loss"] > 0
    found = open_super_network(tmp_path / "run")
    assert found.description.head == span_head()
    for part in (found.record.space.minimum(found.whole), found.whole):
        name = LARGEST if part == found.whole else SMALLEST
        extract_model(found, part, tmp_path / name)
        network = read_model_folder(tmp_path / name)
        assert network.description.purpose == QUESTION_ANSWERING
        scorer = TaskScorer(data.dev[0], data.options, WORDS.pad_id, 8)
        scores = scorer.score(open_network(network, "mxnet"))
        assert scores == pytest.approx(summary["validation"][name])
        again = extracted_network(found, found.read_network(), part)
        for key, array in network.arrays.items():
            np.testing.assert_array_equal(array, again.arrays[key])


def test_it_learns(data: Any, encoder: str, tmp_path: Path) -> None:
    """The loss of the labels falls: the gradients of spans reach the whole network."""
    alone = {"random_samples": 0, "in_place": False, "eval_interval": 100}
    run(data, tmp_path / "run", start=encoder, num_steps=24, lr=3e-3, **alone)
    losses = [line["train/loss"] for line in steps(tmp_path / "run")]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(
    data: Any, encoder: str, tmp_path: Path
) -> None:
    given: Dict[str, Any] = {"start": encoder, "accumulate": 2}
    run(data, tmp_path / "whole", **given)
    folder = tmp_path / "pieces"
    assert run(data, folder, stop_at=4, **given)["stopped"]
    run(data, folder, resume=True, **given)
    assert recorded(folder) == recorded(tmp_path / "whole")
    for name in ("super_network.json", "model/model.safetensors"):
        assert contents(folder)[name] == contents(tmp_path / "whole")[name], name


def test_a_span_models_own_head_is_the_start(data: Any, tmp_path: Path) -> None:
    network = make_network(SIZES, head="span", num_classes=2, head_dropout=0.0)
    write_network(tmp_path / "spans", network)
    WORDS.save(tmp_path / "spans" / "vocabulary")
    run(data, tmp_path / "run", start=str(tmp_path / "spans"), num_steps=1, lr=1e-9)
    found = open_super_network(tmp_path / "run").read_network()
    for name in ("qa_outputs.weight", "qa_outputs.bias"):
        theirs = np.sort(network.arrays[name])  # the columns are in order of importance
        np.testing.assert_allclose(np.sort(found.arrays[name]), theirs, atol=1e-6)
