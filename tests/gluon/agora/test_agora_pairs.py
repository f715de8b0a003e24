"""Agora with networks of two token types on pairs of texts."""

from __future__ import annotations

import json
import string

import numpy as np
import pytest

from bort.errors import InputError
from bort.gluon.agora.models import GluonSocrates, MaskedWords
from bort.gluon.agora.run import run_agora_in_folder
from bort.gluon.agora.sample import make_sample_models
from bort.gluon.finetuning.starting_point import StartingPoint, pair_form
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.gluon.teacher.live import load_teacher
from bort.network.model_folder import read_model_folder
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS, pair_form_of_run
from bort.text.wordpiece import wordpiece_vocabulary
from data.tasks.sets import open_task_data
from tests.gluon.agora.agora_samples import ALONE, MAX_LEN, Samples

WORDS = wordpiece_vocabulary(
    [
        *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "of"),
        *string.ascii_lowercase,
        *("##" + letter for letter in string.ascii_lowercase),
        *".,!?",
    ],
    True,
    "here",
)


class TypedSamples(Samples):
    """RTE with models of two token types."""

    def __init__(self, folder, pairs=BERT_PAIRS):
        sizes = folder / "sizes.json"
        architecture = {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32, "token_types": 2}
        sizes.write_text(json.dumps(architecture))
        self.data = open_task_data(
            get_task("RTE"), WORDS, TaskOptions(), MAX_LEN, sample=True, pairs=pairs
        )
        self.timaeus, self.socrates = make_sample_models(
            folder, self.data, str(sizes), MAX_LEN, ALONE
        )
        self.start = StartingPoint(str(self.timaeus), str(sizes))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return TypedSamples(tmp_path_factory.mktemp("typed"))


def test_a_run_trains_with_types_and_resumes_to_the_same(samples, tmp_path):
    assert pair_form(samples.start, WORDS) == BERT_PAIRS
    whole = run_agora_in_folder(samples.plan(tmp_path / "whole"), ALONE)
    model = read_model_folder(tmp_path / "whole" / "model")
    assert model.description.pairs == BERT_PAIRS
    name = "token_type_embed.0.weight"
    before = read_model_folder(samples.timaeus).arrays[name]
    assert (model.arrays[name] != before).any(axis=1).all()
    (dev,) = samples.data.dev
    assert dev.features.type_separator == WORDS.eos_id
    asked = []
    stop = {"stop_requested": lambda: asked.append(1) or len(asked) > 3}
    place = tmp_path / "pieces"
    assert run_agora_in_folder(samples.plan(place), ALONE, **stop)["stopped"]
    assert pair_form_of_run(place / "agora.json") == BERT_PAIRS
    again = run_agora_in_folder(samples.plan(place), ALONE, resume=True)
    assert again["dev"] == whole["dev"]
    for file in ("model/model.safetensors", "points.jsonl", "iterations.json"):
        assert (place / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_another_form_of_pairs_is_another_run(samples, tmp_path):
    asked = []
    stop = {"stop_requested": lambda: asked.append(1) or len(asked) > 1}
    run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, **stop)
    path = tmp_path / "run" / "agora.json"
    record = json.loads(path.read_text())
    del record["pairs"]  # as version 0.2.0 wrote it
    path.write_text(json.dumps(record))
    assert pair_form_of_run(path) == ROBERTA_PAIRS
    with pytest.raises(InputError, match=r"separators is 1, the .*run.* started with 2"):
        run_agora_in_folder(samples.plan(tmp_path / "run"), ALONE, resume=True)


def test_socrates_answers_pairs_with_types(samples):
    task = samples.task()
    socrates = GluonSocrates(samples.socrates, task.data.record, task.form)
    answers = socrates.label([point.example for point in task.dev])
    (dev,) = task.data.dev
    outputs = TaskClassifier.load(samples.socrates).outputs(dev.features, ALONE, 5)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose([a.probabilities for a in answers], expected, atol=1e-5)


def test_the_proposer_gets_the_types_of_a_pair(samples):
    task, asked = samples.task(), []
    model = load_teacher(str(samples.timaeus))

    def answer(batch):
        asked.append(batch)
        return type(model).answer(model, batch)

    model.answer = answer
    proposer = MaskedWords(model, WORDS, task.form, MAX_LEN)
    example = task.training[0].example
    proposer.propose(example, [(0, 0), (1, 0)])
    (batch,) = asked
    ids, length = batch.input_ids[0], int(batch.valid_lengths[0])
    (first, last) = np.flatnonzero(ids[:length] == WORDS.eos_id)
    assert last == length - 1
    expected = [0] * (first + 1) + [1] * (last - first) + [0] * (len(ids) - length)
    assert batch.token_types[0].tolist() == expected
