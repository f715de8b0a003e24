"""Prediction as a command: files and pipes, every format, one clear line for what is bad."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.commands import ROOT, run
from tests.integration.forked_commands import run_forked
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration

TEXTS = ["The old house is quiet.", "", "quiet is house The", "A ferry, 1,250 crowns — \U0001f600!"]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Folders that commands have left: a classifier and one for pairs."""
    folder = tmp_path_factory.mktemp("models")
    for task in ("CoLA", "RTE"):
        command = [sys.executable, "scripts/finetune.py", "--task_name", task, "--sample"]
        run(
            [
                *command,
                "--epochs",
                "1",
                "--max_len",
                "32",
                "--seed",
                "0",
                "--output_dir",
                folder / task,
            ]
        )
        (folder / task / "model").rename(folder / f"{task}-model")
    return folder


def command(model, *flags):
    script = [sys.executable, ROOT / "scripts" / "predict.py", "--model", model]
    return [str(part) for part in (*script, "--engine", "mxnet", *flags)]


def predict(model, *flags, content=b"", status=0) -> subprocess.CompletedProcess:
    done = run_forked(command(model, *flags), ROOT, HANG_SECONDS, content)
    assert done.returncode == status, done.stderr.decode()[-3000:]
    return done


def refused(done: subprocess.CompletedProcess, message: str) -> None:
    lines = done.stderr.decode().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert "Traceback" not in done.stderr.decode()


def test_a_pipe_and_a_file_give_the_same_in_order(models, tmp_path):
    content = "".join(f"{text}\n" for text in TEXTS).encode()
    piped = predict(models / "CoLA-model", content=content)
    answers = [json.loads(line) for line in piped.stdout.splitlines()]
    assert len(answers) == len(TEXTS)
    assert all(set(answer["probabilities"]) == {"0", "1"} for answer in answers)
    assert "lines answered: 4 (mxnet, fp32); inputs shortened: 0" in piped.stderr.decode()
    (tmp_path / "in.txt").write_bytes(content)
    flags = ("--input", tmp_path / "in.txt", "--output", tmp_path / "out.jsonl", "--window", "3")
    filed = predict(models / "CoLA-model", *flags)
    assert filed.stdout == b""
    for one, other in zip((tmp_path / "out.jsonl").read_bytes().splitlines(), answers):
        # a window of three makes other batches, which MXNet rounds differently
        assert json.loads(one)["score"] == pytest.approx(other["score"], abs=1e-5)
        assert json.loads(one)["label"] == other["label"]
    shown = predict(models / "CoLA-model", "--output_format", "tsv", content=content).stdout
    assert [line.split(b"\t")[0].decode() for line in shown.splitlines()] == [
        answer["label"] for answer in answers
    ]


def test_pairs_come_in_columns_or_as_json(models):
    tsv = b"It rained.\tIt was wet.\n" + b"word " * 60 + b"\tshort\n"
    columns = predict(models / "RTE-model", "--input_format", "tsv", content=tsv)
    assert "inputs shortened: 1" in columns.stderr.decode()
    rows = [line.split("\t") for line in tsv.decode().splitlines()]
    named = [{"sentence1": one, "sentence2": two, "idx": 1} for one, two in rows]
    for questions in (rows, named):
        content = "".join(json.dumps(question) + "\n" for question in questions).encode()
        found = predict(models / "RTE-model", "--input_format", "jsonl", content=content)
        assert found.stdout == columns.stdout


def test_masks_and_embeddings(sample):
    filled = predict(sample / "teacher", "--top_k", "2", content=b"the <mask> is [MASK]\n")
    (answer,) = map(json.loads, filled.stdout.splitlines())
    assert [len(mask) for mask in answer["masks"]] == [2, 2]
    assert "<mask>" not in answer["text"]
    flags = ("--task", "embeddings", "--output_format", "tsv", "--normalise")
    vectors = predict(sample / "teacher", *flags, content=b"one\n\n").stdout.splitlines()
    for vector in vectors:
        assert sum(float(part) ** 2 for part in vector.split(b"\t")) == pytest.approx(1, rel=1e-4)
    assert len(vectors) == 2


def test_bad_lines_and_flags_are_named(models, sample, tmp_path):
    bad = predict(models / "CoLA-model", content=b"good\n\xff\xfe\n", status=2)
    refused(bad, "standard input line 2: byte 0xff is not valid UTF-8")
    assert len(bad.stdout.splitlines()) == 1, "lines before a bad one are answered"
    flags = ("--input_format", "jsonl")
    done = predict(models / "RTE-model", *flags, content=b'["a", "b"]\n{"a": 1}\n', status=2)
    refused(done, "standard input line 2: the field 'sentence1' is missing")
    done = predict(models / "RTE-model", *flags, content=b"{]\n", status=2)
    refused(done, "standard input line 1: is not valid JSON")
    refused(predict(models / "RTE-model", content=b"a\n", status=2), "expected: 2 texts")
    (tmp_path / "in").write_text("no mask")
    flags = ("--input", tmp_path / "in", "--output", tmp_path / "out")
    refused(predict(sample / "teacher", *flags, status=2), "in line 1: has no <mask>")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    flags = ("--task", "masked")
    refused(predict(models / "CoLA-model", *flags, status=2), "has no decoder")
    refused(predict(tmp_path / "none", status=2), "none: no such folder")
    flags = ("--input", tmp_path / "none")
    refused(predict(models / "CoLA-model", *flags, status=2), "none: cannot be read")
    refused(predict(models / "CoLA-model", "--window", "0", status=2), "window is 0")


def test_folders_that_do_not_fit_are_named(models, sample, tmp_path):
    bad = tmp_path / "bad"
    shutil.copytree(models / "CoLA-model", bad)
    content = (bad / "model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(content[:-5] + b"other")
    refused(predict(bad, status=2), "model.safetensors: is damaged")
    (bad / "model.safetensors").write_bytes(content)
    flags = ("--vocab", sample / "teacher" / "vocabulary")
    refused(predict(bad, *flags, status=2), "the vocabulary")
    shutil.rmtree(bad / "vocabulary")
    refused(predict(bad, status=2), "vocabulary: no such folder")


def test_a_reader_that_has_enough_ends_it_quietly(models):
    with subprocess.Popen(
        command(models / "CoLA-model", "--window", "1"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(b"a text\n" * 2)
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdout.close()
        try:
            process.stdin.write(b"a text\n" * 2000)
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        assert process.wait(HANG_SECONDS) == 0
        assert process.stderr.read() == b""


def test_an_interrupt_leaves_no_output(models, tmp_path):
    with subprocess.Popen(
        command(models / "CoLA-model", "--window", "1", "--output", tmp_path / "out"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(b"a text\n" * 2)
        process.stdin.flush()
        began = time.monotonic()
        while not any(tmp_path.iterdir()) and time.monotonic() < began + HANG_SECONDS:
            time.sleep(0.05)  # until the output has been begun
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        process.stdin = None
        assert process.wait(HANG_SECONDS) == 130
        assert process.stderr.read().splitlines()[-1] == b"error: interrupted"
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_flags():
    done = run([sys.executable, ROOT / "scripts" / "predict.py", "--help"])
    for flag in (
        "--input_format",
        "--output_format",
        "--task",
        "--engine",
        "--precision",
        "--top_k",
    ):
        assert flag in done.stdout
