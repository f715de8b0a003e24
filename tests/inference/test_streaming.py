"""Prediction over files: windows, order, bad lines, output that appears whole."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from bort.errors import InputError
from bort.inference import streaming
from bort.inference.config import PredictConfig
from bort.inference.predictor import Predictor
from bort.inference.streaming import predict_file
from tests.inference.fake_engine import (
    encoder_predictor,
    masked_predictor,
    task_predictor,
    text_predictor,
)


@pytest.fixture
def predictor(monkeypatch):
    """Return a holder of the predictor that every folder is opened as."""
    holder = SimpleNamespace(value=text_predictor())
    monkeypatch.setattr(Predictor, "from_pretrained", lambda *_, **__: holder.value)
    return holder


def predict(tmp_path, content, **fields):
    (tmp_path / "in").write_bytes(content)
    config = PredictConfig(
        model="m", input=str(tmp_path / "in"), output=str(tmp_path / "out"), **fields
    )
    summary = predict_file(config)
    return summary, (tmp_path / "out").read_text(encoding="utf-8").splitlines()


TEXTS = [f"{'rain ' * (n * 7 % 90)}{n}" for n in range(50)]
CONTENT = "\n".join(TEXTS).encode()


@pytest.mark.parametrize("window", [1, 7, 50, 4096])
def test_answers_come_in_the_order_of_the_lines(tmp_path, predictor, window):
    summary, found = predict(tmp_path, CONTENT, window=window)
    expected = [answer.as_dict() for answer in text_predictor()(TEXTS)]
    assert [json.loads(line) for line in found] == expected
    assert summary == (50, predictor.value.truncated, "fake", "fp32")
    assert predictor.value.truncated > 0


@pytest.mark.parametrize(
    ("name", "input_format", "is_said"),
    [("new.csv", "text", True), ("new.TSV", "text", True), ("new.jsonl", "text", True),
     ("new.tsv", "tsv", False), ("new.txt", "text", False)],
)  # fmt: skip
def test_a_table_that_is_read_as_lines_is_said(
    tmp_path, predictor, caplog, name, input_format, is_said
):
    (tmp_path / name).write_text("a b\n")
    output = str(tmp_path / "out")
    predict_file(
        PredictConfig(
            model="m", input=str(tmp_path / name), output=output, input_format=input_format
        )
    )
    assert (f"{name}: each line as a whole is taken for a text" in caplog.text) is is_said


def test_every_line_has_one_answer_also_an_empty_one(tmp_path, predictor):
    _, found = predict(tmp_path, b"\na\n\n")
    assert len(found) == 3
    assert found[0] == found[2] != found[1]
    assert predict(tmp_path, b"")[1] == []


def test_rows_of_csv_are_fields(tmp_path, predictor):
    predictor.value = task_predictor("STS-B")
    content = b'id;sentence2;sentence1;id\n7;"c; d";a;\n\n8;"e\nf";"b";9\n'
    _, found = predict(tmp_path, content, input_format="csv", output_format="tsv")
    answers = task_predictor("STS-B")([("a", "c; d"), ("b", "e\nf")])
    assert found == [f"{answer.value:.6f}" for answer in answers]
    with pytest.raises(InputError, match=r"in line 5: the field 'sentence1' is missing"):
        predict(tmp_path, b'sep=,\n"sentence2,\n",id\n\na,b\n', input_format="csv")


def test_columns_are_the_fields_of_the_task(tmp_path, predictor):
    predictor.value = task_predictor("STS-B")
    _, found = predict(tmp_path, b'a "b\tc\nd\te\n', input_format="tsv", output_format="tsv")
    answers = task_predictor("STS-B")([('a "b', "c"), ("d", "e")])
    assert found == [f"{answer.value:.6f}" for answer in answers]


def test_objects_are_the_fields_of_the_task(tmp_path, predictor):
    predictor.value = task_predictor("RACE-M")
    question = {"article": "a", "question": "b", "options": ["c", "d", "e", "f"]}
    _, found = predict(tmp_path, json.dumps(question).encode(), input_format="jsonl")
    assert json.loads(found[0]) == task_predictor("RACE-M")(question).as_dict()


def test_masks_and_embeddings(tmp_path, predictor):
    predictor.value = masked_predictor()
    _, found = predict(tmp_path, b"the <mask>\n", top_k=2)
    assert len(json.loads(found[0])["masks"][0]) == 2
    _, found = predict(tmp_path, b"the\n", task="embeddings", pooling="cls", normalise=True)
    vector = json.loads(found[0])["embedding"]
    assert sum(value**2 for value in vector) == pytest.approx(1, rel=1e-5)
    predictor.value = encoder_predictor()
    with pytest.raises(InputError, match="has no decoder"):
        predict(tmp_path, b"the <mask>\n", task="masked")


def test_a_bad_line_is_named_and_no_output_appears(tmp_path, predictor):
    predictor.value = task_predictor("RTE")
    for content, message in (
        (b"a\tb\nonly one\n", "in line 2: is a list of 1 text, expected: 2 texts"),
        (b"a\tb\n\xff\t\n", "in line 2: byte 0xff is not valid UTF-8"),
    ):
        with pytest.raises(InputError, match=message):
            predict(tmp_path, content, input_format="tsv")
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_an_old_output_survives_a_bad_line(tmp_path, predictor):
    (tmp_path / "out").write_text("old")
    with pytest.raises(InputError):
        predict(tmp_path, b"a\nb\xff\n")
    assert (tmp_path / "out").read_text() == "old"


def test_masks_that_do_not_fit_name_their_line(tmp_path, predictor):
    predictor.value = masked_predictor()
    with pytest.raises(InputError, match="in line 2: the text that must be kept, '<mask> <mask>"):
        predict(tmp_path, b"<mask>\n" + b"<mask>" * 80 + b"\n")


class Pipe(io.BytesIO):
    """Stands for standard input or output in bytes."""

    @property
    def buffer(self):
        return self


def test_lines_before_a_bad_one_are_answered_on_standard_output(predictor, monkeypatch):
    written = Pipe()
    monkeypatch.setattr(sys, "stdin", Pipe(b"a\nb\nc\n\xff\nd\n"))
    monkeypatch.setattr(sys, "stdout", written)
    with pytest.raises(InputError, match="standard input line 4: byte 0xff is not valid UTF-8"):
        predict_file(PredictConfig(model="m", window=2))
    assert len(written.getvalue().splitlines()) == 3


def test_no_more_is_read_than_a_window(predictor, monkeypatch):
    reads = []

    def lines(stream, name):
        for number in range(1, 30):
            reads.append(number)
            yield number, f"line {number}"

    written = Pipe()
    most = []
    monkeypatch.setattr("bort.inference.lines.numbered_lines", lines)
    monkeypatch.setattr(sys, "stdin", Pipe())
    monkeypatch.setattr(sys, "stdout", written)
    write = written.write
    monkeypatch.setattr(written, "write", lambda b: (most.append(len(reads)), write(b))[1])
    predict_file(PredictConfig(model="m", window=5))
    assert most[:11] == [5] * 5 + [10] * 5 + [15]


def test_input_that_is_not_there_is_named(tmp_path, predictor):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match=f"{path}: cannot be read"):
            predict_file(PredictConfig(model="m", input=str(path)))


def test_the_input_is_not_written_over():
    with pytest.raises(InputError, match="output is 'x', which is the input"):
        PredictConfig(model="m", input="x", output="x")


@pytest.mark.parametrize("name", ["./in", "soft", "hard", "absolute"])
@pytest.mark.parametrize("is_standard", [False, True])
def test_the_input_is_not_written_over_by_another_name(tmp_path, monkeypatch, name, is_standard):
    def no_model(*_, **__):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(Predictor, "from_pretrained", no_model)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "in"
    path.write_bytes(b"a\n")
    (tmp_path / "soft").symlink_to("in")
    os.link("in", "hard")
    output = str(path) if name == "absolute" else name
    with path.open() as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        config = PredictConfig(model="m", input="-" if is_standard else "in", output=output)
        with pytest.raises(InputError, match=f"output is '{output}', which is the input"):
            predict_file(config)
    assert path.read_bytes() == b"a\n"


def test_an_output_that_is_another_file_is_written(tmp_path, predictor):
    (tmp_path / "out").write_bytes(b"a\n")
    assert len(predict(tmp_path, b"a\n")[1]) == 1


def test_a_device_may_be_input_and_output(predictor):
    config = PredictConfig(model="m", input="/dev/null", output="/dev/../dev/null")
    assert predict_file(config).lines == 0


def test_progress_counts_lines_whatever_their_inputs(tmp_path, predictor, monkeypatch):
    shown = []
    monkeypatch.setattr(streaming.Progress, "advance", lambda self, count: shown.append(count))
    predictor.value = task_predictor("MultiRC", batch_tokens=64)
    questions = [
        {"passage": "a", "question": "b " * (n % 9), "answers": list("abcdef"[: n % 6])}
        for n in range(20)
    ]
    content = "".join(json.dumps(question) + "\n" for question in questions).encode()
    predict(tmp_path, content, input_format="jsonl", window=7)
    assert sum(shown) == 20
    assert len(shown) > 6
    assert min(shown) >= 0
