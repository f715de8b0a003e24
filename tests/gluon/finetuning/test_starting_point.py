"""Tests of the networks that fine-tuning starts from, for tasks with spans and for others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import mxnet as mx
import numpy as np
import pytest

from bort.errors import InputError
from bort.formats.huggingface.writer import write_huggingface
from bort.gluon.finetuning.starting_point import StartingPoint, build_classifier
from bort.gluon.network.array_network import arrays_of, describe_network
from bort.gluon.network.classifier import BortClassifier
from bort.gluon.network.span_model import BortSpanModel
from bort.gluon.network.teacher_start import TeacherStart
from bort.network.from_teacher import as_whole, student_from
from bort.network.head import span_head
from bort.network.importance import magnitude_importance
from bort.tasks.judging import TaskData, TaskSet
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.pair_form import BERT_PAIRS, ROBERTA_PAIRS
from bort.training.finetuning_config import FinetuningConfig
from bort.training.importance_config import ImportanceConfig
from tests.formats.parity import BORT, make_network, write_network
from tests.gluon.finetuning.test_pairs import WORDS

SIZES = BORT.replace(depth=2, vocabulary_size=len(WORDS), maximum_length=64)
CONFIG = FinetuningConfig(dropout=0.2, seed=3)


def data_of(task: str, pairs: Any = ROBERTA_PAIRS) -> TaskData:
    """Return a task without inputs, which the weights do not depend on."""
    record = get_task(task)
    train = TaskSet(record, "train", [], cast(Any, None))
    return TaskData(record, TaskOptions(), train, [], [], WORDS, pairs=pairs)


def built(start: Any, task: str = "SQuAD2.0", config: Any = CONFIG, **options: Any) -> Any:
    return build_classifier(data_of(task, **options), start, config, mx.cpu())


def without_head(network: Any) -> Any:
    return {name: array for name, array in arrays_of(network).items() if "qa_outputs" not in name}


PARTS = {
    "encoder": {},
    "masked tokens": {"decoder": True, "pooler": True},
    "classifier": {"head": "release", "num_classes": 3},
    "span model": {"head": "span", "num_classes": 2},
}


@pytest.mark.parametrize("kind", ["model folder", "Hugging Face"])
@pytest.mark.parametrize("part", sorted(PARTS))
def test_a_span_model_starts_from_any_folder(part: str, kind: str, tmp_path: Path) -> None:
    source = make_network(SIZES, **PARTS[part], layer_norm_eps=1e-6, activation="relu")
    if kind == "Hugging Face":
        write_huggingface(tmp_path, source, None)
    else:
        write_network(tmp_path, source)
    network = built(StartingPoint(str(tmp_path), "unused"))
    assert isinstance(network, BortSpanModel)
    described = describe_network(network)
    assert described.head == span_head()
    assert (described.layer_norm_eps, described.activation) == (1e-6, "relu")
    assert (described.dropout, described.has_decoder, described.has_pooler) == (0.2, False, False)
    for name, array in without_head(network).items():
        np.testing.assert_array_equal(array, source.arrays[name])
    again, other = (
        arrays_of(built(StartingPoint(str(tmp_path), "unused"), config=CONFIG.replace(seed=seed)))
        for seed in (3, 4)
    )
    head = arrays_of(network)["qa_outputs.weight"]
    np.testing.assert_array_equal(head, again["qa_outputs.weight"])
    assert not np.array_equal(head, other["qa_outputs.weight"])
    assert 0 < np.abs(head).max() < 0.1


def test_another_task_gets_the_head_of_a_classifier(tmp_path: Path) -> None:
    write_network(tmp_path, make_network(SIZES, head="span", num_classes=2))
    network = built(StartingPoint(str(tmp_path), "unused"), "SST-2")
    assert isinstance(network, BortClassifier)
    assert not any("qa_outputs" in name for name in arrays_of(network))


def test_random_weights_depend_on_the_seed() -> None:
    start = StartingPoint(None, "1-2-8-10")
    one, again, other = (
        arrays_of(built(start, config=CONFIG.replace(seed=seed))) for seed in (3, 3, 4)
    )
    assert set(one) == set(again) == set(other)
    assert all(np.array_equal(array, again[name]) for name, array in one.items())
    assert not np.array_equal(one["word_embed.0.weight"], other["word_embed.0.weight"])


def test_a_span_model_may_be_a_slice_of_a_teacher(tmp_path: Path) -> None:
    source = make_network(SIZES, decoder=True)
    write_network(tmp_path, source)
    WORDS.save(tmp_path / "vocabulary")
    teacher = TeacherStart(str(tmp_path), ImportanceConfig("magnitude", 1))
    network = built(StartingPoint(None, "1-4-40-20-32", initialise_from=teacher))
    assert isinstance(network, BortSpanModel)
    ranked = as_whole(source, magnitude_importance(SIZES, source.arrays))
    student = student_from(ranked, teacher.sizes("1-4-40-20-32", WORDS))
    for name, array in without_head(network).items():
        np.testing.assert_array_equal(array, student.arrays[name])
    assert arrays_of(network)["qa_outputs.weight"].shape == (2, 40)


def test_a_network_without_the_token_types_of_the_data_is_refused(tmp_path: Path) -> None:
    write_network(tmp_path, make_network(SIZES))
    with pytest.raises(InputError, match="has 0 token types, the data has token types 0 and 1"):
        built(StartingPoint(str(tmp_path), "unused"), pairs=BERT_PAIRS)
