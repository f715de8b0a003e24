"""Tests of the errors of a search under a limit: the deployed precision, fine-tuning, resuming."""

from __future__ import annotations

import pytest

from bort.engines.choosing import open_network
from bort.gluon.search.finetuned_error import FinetunedError
from bort.gluon.search.sub_network_error import SubNetworkErrors
from bort.gluon.super_network.evaluation import MaskedTokenScorer
from bort.ranks import ALONE
from bort.search.surrogates import Hyperparameters, Trial
from bort.super_network.evaluation_config import PartEvaluationConfig
from bort.super_network.extraction import extracted_network
from bort.super_network.finetuned_scores import FinetunedScore, FinetunedStore
from tests.super_network.super_network_samples import write_sample
from tests.text.toy import ToyExamples


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_sample(tmp_path_factory.mktemp("super") / "s")


def trial_of(architecture):
    return Trial(architecture, Hyperparameters(), 0)


@pytest.mark.parity("onnx", "onnxruntime")
def test_an_error_of_int8_is_that_of_the_int8_graph(source):
    scorer = MaskedTokenScorer(
        ToyExamples(10), source.read_vocabulary(), PartEvaluationConfig(batch_size=4), 64
    )
    trial = trial_of(source.whole)
    found = {
        precision: SubNetworkErrors(
            source, scorer, engine="onnxruntime", precision=precision
        ).error(trial)
        for precision in ("fp32", "int8")
    }
    network = extracted_network(source, source.read_network(), source.whole, metrics={})
    graph = open_network(network, "onnxruntime", "int8", 1)
    assert graph.precision == "int8"
    assert found["int8"] == pytest.approx(scorer.score(graph)["mlm_loss"], rel=1e-6)
    assert found["int8"] != found["fp32"]


def test_the_noise_of_a_share_is_that_of_its_number_of_examples(source):
    scorer = MaskedTokenScorer(
        ToyExamples(10), source.read_vocabulary(), PartEvaluationConfig(batch_size=4), 64
    )
    assert SubNetworkErrors(source, scorer).noise(0.2) is None
    assert SubNetworkErrors(source, scorer, items=100).noise(0.2) == pytest.approx(0.04)
    assert SubNetworkErrors(source, scorer, items=100).noise(1.5) is None


class Finetuner:
    """Scores rows by a formula; asks to stop at one of them."""

    tasks = {"RTE": None, "STS-B": None}

    def __init__(self, stops_at=0):
        self.asked, self.tidied, self._stops_at = [], [], stops_at

    def score(self, row):
        self.asked.append(row)
        if len(self.asked) == self._stops_at:
            return None
        value = 0.75 if row.task == "RTE" else 0.25
        return FinetunedScore(row, {"accuracy": value}, {"accuracy": value}, 1, 5)

    def tidy(self, row):
        self.tidied.append(row)


def test_the_error_of_a_fine_tuned_candidate_is_over_all_tasks_each_stored_once(source, tmp_path):
    trial = trial_of(source.whole)
    stopped = Finetuner(stops_at=2)
    assert FinetunedError(stopped, FinetunedStore(tmp_path, ALONE.rank)).error(trial) is None
    assert [row.task for row in stopped.tidied] == ["RTE"]
    again = Finetuner()
    model = FinetunedError(again, FinetunedStore(tmp_path, ALONE.rank))
    assert model.error(trial) == 0.5
    assert [row.task for row in again.asked] == ["STS-B"]
    assert model.error(trial) == 0.5
    assert len(again.asked) == 1
