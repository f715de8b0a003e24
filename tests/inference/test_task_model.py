"""A fine-tuned model gives the same outputs on every engine, in the order of the inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bort.engines.choosing import open_source
from bort.engines.openvino_session import computes_bf16
from bort.engines.sources import read_source
from bort.errors import InputError
from bort.export.exporting import ExportSource, export_onnx, export_openvino
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.network_folder import read_network_folder
from bort.gluon.finetuning.run import run_finetuning
from bort.gluon.finetuning.starting_point import StartingPoint
from bort.gluon.finetuning.task_classifier import TaskClassifier
from bort.inference.task_model import TaskModel
from bort.network.model_folder import write_model_folder
from bort.network.random_network import random_network
from bort.ranks import ALONE
from bort.tasks.judging import make_judge
from bort.tasks.metrics import by_index
from bort.tasks.options import TaskOptions
from bort.tasks.own.config import OwnDataConfig
from bort.tasks.records import get_task
from bort.text.asking import batches_by_rows, padded_inputs
from bort.training.finetuning_config import FinetuningConfig
from data.tasks.own_description import resolve_task
from data.tasks.sample_vocabulary import train_sample_vocabulary
from data.tasks.sets import open_task_data

START = StartingPoint(None, "2-2-16-32")
CONFIG = FinetuningConfig(epochs=1, max_len=96, lr=1e-3)
TOPICS = Path(__file__).parents[2] / "test_data" / "own_task" / "topics.jsonl"
TASKS = ("SST-2", "MRPC", "STS-B", "SQuAD2.0", "topics")
"""A class, a pair, a number, spans and several labels."""

GRAPHS = [
    pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime")),
    pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino")),
]


@pytest.fixture(scope="module")
def vocabulary():
    return train_sample_vocabulary()


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory, vocabulary):
    """Return a model folder and a dev set; each task is trained once."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            own = OwnDataConfig(text_columns=("message",), label_column="topics")
            record = resolve_task(str(TOPICS), own) if name == "topics" else get_task(name)
            data = open_task_data(
                record, vocabulary, TaskOptions(), CONFIG.max_len, sample=name != "topics"
            )
            run_finetuning(data, START, CONFIG, folder, ALONE)
            made[name] = folder / "model", data.dev[0]
        return made[name]

    return make


@pytest.mark.parametrize("name", TASKS)
def test_mxnet_gives_the_bits_of_the_network_itself(finetuned, name):
    folder, dev = finetuned(name)
    expected = TaskClassifier.load(folder).outputs(dev.features, ALONE, 4)
    for engine in ("mxnet", None):
        found = TaskModel.open(folder, engine=engine, threads=1).outputs(dev.features, ALONE, 4)
        assert expected.dtype == found.dtype
        assert (expected == found).all()


@pytest.mark.parametrize("engine", GRAPHS)
@pytest.mark.parametrize("name", TASKS)
def test_other_engines_give_the_same_outputs_and_scores(finetuned, name, engine):
    folder, dev = finetuned(name)
    classifier = TaskClassifier.load(folder)
    expected = classifier.outputs(dev.features, ALONE, 4)
    model = TaskModel.open(folder, engine=engine, threads=1)
    found = model.outputs(dev.features, ALONE, 32)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    judge = make_judge(model.options, dev)
    # The correlation of outputs that are nearly equal magnifies rounding.
    assert judge(found) == pytest.approx(judge(expected), abs=1e-3)


@pytest.mark.parity("torch", "transformers", "onnx", "openvino")
@pytest.mark.parametrize("engine", ["mxnet", "onnxruntime", "openvino"])
def test_scores_are_those_of_transformers(finetuned, tmp_path, engine):
    import torch
    import transformers

    folder, dev = finetuned("MRPC")
    write_huggingface(tmp_path, read_network_folder(folder), None)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    logits = []
    with torch.inference_mode():
        for number in range(len(dev.features)):
            ids = torch.from_numpy(np.array(dev.features[number], np.int64))[None]
            logits.append(network(input_ids=ids).logits[0].numpy())
    model = TaskModel.open(folder, engine=engine, threads=1)
    found = model.outputs(dev.features, ALONE, 8)
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)
    judge = make_judge(model.options, dev)
    assert judge(found) == judge(np.stack(logits))


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
@pytest.mark.parametrize(
    ("engine", "precision", "tolerance"), [("onnxruntime", "int8", 0.1), ("openvino", "bf16", 0.02)]
)
def test_lower_precisions_change_outputs_a_little(finetuned, engine, precision, tolerance):
    if precision == "bf16" and not computes_bf16():
        pytest.skip("this processor has no bf16")
    folder, dev = finetuned("STS-B")
    exact = TaskModel.open(folder, engine=engine, threads=1).outputs(dev.features, ALONE, 8)
    low = TaskModel.open(folder, engine=engine, precision=precision, threads=1)
    found = low.outputs(dev.features, ALONE, 8)
    assert 0 < np.abs(found - exact).max() < tolerance * np.abs(exact).max()


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
@pytest.mark.parametrize(
    ("export", "engine"), [(export_onnx, "onnxruntime"), (export_openvino, "openvino")]
)
def test_an_exported_folder_is_a_task_model(finetuned, tmp_path, export, engine):
    folder, dev = finetuned("MRPC")
    export(ExportSource(folder), tmp_path / "export")
    expected = TaskClassifier.load(folder).predict(dev, ALONE, 8)
    for chosen in ("auto", None):
        model = TaskModel.open(tmp_path / "export", engine=chosen, threads=1)
        assert model.record.name == "MRPC"
        assert model.predict(dev, ALONE, 8) == expected
    assert expected.keys() == by_index(dev.record, dev.items, expected.values()).keys()
    with pytest.raises(InputError, match="engine mxnet does not read; allowed are"):
        TaskModel.open(tmp_path / "export", threads=1)


def test_an_encoder_is_no_task_model(tmp_path, vocabulary):
    from bort.architecture import get_architecture

    shape = get_architecture("2-2-16-32").replace(vocabulary_size=len(vocabulary))
    network = random_network(shape, 0)
    write_model_folder(tmp_path, network.description, network.arrays)
    vocabulary.save(tmp_path / "vocabulary")
    with pytest.raises(InputError, match=r"model\.json: holds no classifier; fine-tune it first"):
        TaskModel.open(tmp_path)


def test_an_unknown_engine_is_refused(finetuned):
    folder, _ = finetuned("MRPC")
    with pytest.raises(InputError, match="engine is 'torch', allowed are auto, openvino"):
        TaskModel.open(folder, engine="torch")


def test_a_library_error_names_the_engine(finetuned, monkeypatch):
    from bort.engines.answers import engine_answers
    from bort.errors import WorkError

    folder, dev = finetuned("MRPC")
    engine = open_source(read_source(folder), "mxnet", threads=1)
    plan = batches_by_rows(dev.features.lengths, rows=2, ranks=ALONE)
    batch = next(padded_inputs(dev.features, plan, 1))

    def fail(*_):
        raise ValueError("no memory left")

    monkeypatch.setattr(engine, "answer", fail)
    with pytest.raises(WorkError, match="engine mxnet failed: no memory left"):
        engine_answers(engine)(batch)
