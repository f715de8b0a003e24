"""Export and import as commands: there and back, and one clear line for what does not fit."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.downloads.hub_server import COMMIT, serve
from tests.integration.commands import ROOT, assert_refused, run

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def finetuned(tmp_path_factory) -> Path:
    """A classifier that a command has left, with its vocabulary."""
    folder = tmp_path_factory.mktemp("finetuned") / "run"
    command = [sys.executable, "scripts/finetune.py", "--task_name", "CoLA", "--sample"]
    run([*command, "--epochs", "1", "--max_len", "32", "--seed", "0", "--output_dir", folder])
    return folder / "model"


def export(model, output, *flags, status=0, to="huggingface"):
    command = [sys.executable, "scripts/export_model.py", "--model", model, "--to", to]
    return run([*command, "--output_dir", output, *flags], status)


def bring_back(source, output, *flags, status=0):
    command = [sys.executable, "scripts/import_model.py", "--source", source]
    return run([*command, "--output_dir", output, *flags], status)


@pytest.mark.parametrize("which", ["teacher", "classifier"])
def test_there_and_back_is_the_same_folder(which, sample, finetuned, tmp_path):
    model = sample / "teacher" if which == "teacher" else finetuned
    result = json.loads(export(model, tmp_path / "hf").stdout)
    assert result["checks"]["largest difference"] < 1e-2
    names = {path.name for path in (tmp_path / "hf").iterdir()}
    assert {"config.json", "model.safetensors", "README.md", "bort.json"} <= names
    back = json.loads(bring_back(tmp_path / "hf", tmp_path / "back").stdout)
    assert back["exported_here"]
    assert back["left_out"] == []
    for name in ("model.safetensors", "model.json"):
        assert (tmp_path / "back" / name).read_bytes() == (model / name).read_bytes()
    for path in (model / "vocabulary").iterdir():
        again = tmp_path / "back" / "vocabulary" / path.name
        assert again.read_bytes() == path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "hf"]


@pytest.mark.parity("onnx", "onnxruntime")
@pytest.mark.parametrize("flags", [(), ("--precision", "int8"), ("--encoder_only",)])
def test_onnx_is_checked_and_described(flags, finetuned, tmp_path):
    done = export(finetuned, tmp_path / "onnx", *flags, to="onnx")
    assert "largest difference, ONNX Runtime" in json.loads(done.stdout)["checks"]
    description = json.loads((tmp_path / "onnx" / "onnx.json").read_text(encoding="utf-8"))
    assert description["opset"] == 17
    assert description["inputs"] == ["input_ids", "attention_mask"]
    assert (tmp_path / "onnx" / "vocabulary" / "vocabulary.json").is_file()


@pytest.mark.parity("onnx", "openvino")
@pytest.mark.parametrize("flags", [(), ("--precision", "int8"), ("--encoder_only",)])
def test_openvino_is_checked_and_described(flags, finetuned, tmp_path):
    done = export(finetuned, tmp_path / "ov", *flags, to="openvino")
    assert "largest difference, OpenVINO" in json.loads(done.stdout)["checks"]
    description = json.loads((tmp_path / "ov" / "openvino.json").read_text(encoding="utf-8"))
    assert set(description["files"]) == {"openvino.xml", "openvino.bin"}
    assert description["precision"] == (flags[1] if len(flags) == 2 else "fp32")
    assert (tmp_path / "ov" / "vocabulary" / "vocabulary.json").is_file()


def test_what_does_not_fit_leaves_nothing_behind(sample, finetuned, tmp_path):
    output = tmp_path / "out"
    other = sample / "teacher" / "vocabulary"
    assert_refused(export(finetuned, output, "--vocab", other, status=2), str(other))
    assert_refused(export(tmp_path / "none", output, status=2), "none/model.json: cannot be read")
    bare = tmp_path / "bare"
    shutil.copytree(finetuned, bare)
    shutil.rmtree(bare / "vocabulary")
    assert_refused(export(bare, output, status=2), "name the model's vocabulary with --vocab")
    assert_refused(export(finetuned, bare, status=2), "exists already")
    flags = ("--precision", "int8")
    assert_refused(export(finetuned, output, *flags, status=2), "with --to onnx")
    shutil.rmtree(bare)
    assert list(tmp_path.iterdir()) == []


def test_bad_folders_are_not_imported(sample, finetuned, tmp_path):
    good, output = tmp_path / "hf", tmp_path / "out"
    export(finetuned, good)
    bad = tmp_path / "bad"

    def refused(message: str, *flags) -> None:
        assert_refused(bring_back(bad, output, *flags, status=2), message)
        shutil.rmtree(bad)
        shutil.copytree(good, bad)

    shutil.copytree(good, bad)
    content = (bad / "model.safetensors").read_bytes()
    (bad / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused("is damaged or was changed after the export")
    (bad / "bort.json").unlink()
    (bad / "model.safetensors").write_bytes(content[:-7])
    refused("is not a safetensors file: it has")
    (bad / "bort.json").unlink()
    (bad / "model.safetensors").rename(bad / "pytorch_model.bin")
    refused("pytorch_model.bin: is not read")
    (bad / "bort.json").unlink()
    for name in ("vocabulary.json", "sentencepiece.model"):
        (bad / name).unlink()
    (bad / "tokenizer.json").unlink()
    refused("holds no vocabulary")
    refused("the vocabulary", "--vocab", str(sample / "teacher" / "vocabulary"))
    assert_refused(bring_back(tmp_path / "none", output, status=2), "no such folder")
    assert not output.exists()


def test_a_pickle_or_a_taken_name_is_refused(finetuned, tmp_path):
    pickle = tmp_path / "pytorch_model.bin"
    pickle.write_bytes(b"\x80\x04.")
    assert_refused(bring_back(pickle, tmp_path / "out", status=2), "is a file, expected a folder")
    assert_refused(export(pickle, tmp_path / "out", status=2), "pytorch_model.bin")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("years of work", encoding="utf-8")
    export(finetuned, tmp_path / "hf")
    assert_refused(bring_back(tmp_path / "hf", taken, status=2), "exists already")
    assert_refused(bring_back(tmp_path / "hf", pickle, status=2), "exists already")
    assert [path.name for path in taken.iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hf", pickle.name, "taken"]


@pytest.mark.parity("huggingface_hub")
def test_a_model_is_fetched_from_a_hub(sample, tmp_path):
    """The command against an imitation of the hub, on this machine."""
    export(sample / "teacher", tmp_path / "hf")
    flags = ("--download", "someone/teacher", "--output_dir", tmp_path / "back")
    command = [sys.executable, "scripts/import_model.py", *flags]
    with serve() as hub:
        hub.models["someone/teacher"] = {
            **{path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()},
            "pytorch_model.bin": b"\x80\x04.",
        }
        proxies = ("http_proxy", "https_proxy", "all_proxy")
        environment = {k: v for k, v in os.environ.items() if k.lower() not in proxies}
        environment.update(HF_ENDPOINT=hub.address, HF_HOME=str(tmp_path / "home"))
        environment.pop("HF_HUB_OFFLINE", None)
        bad = run([*command, "--revision", "v9"], 2, env=environment)
        assert_refused(bad, "has no revision 'v9'")
        done = run([*command, "--revision", "v1"], env=environment)
        assert "pytorch_model.bin" not in hub.fetched()
    origin = {"name": "someone/teacher", "commit": COMMIT}
    assert json.loads(done.stdout)["origin"] == origin
    assert f"someone/teacher at {COMMIT}" in done.stderr
    description = json.loads((tmp_path / "back" / "model.json").read_text(encoding="utf-8"))
    assert description["extra"]["origin"] == origin
    weights = (tmp_path / "back" / "model.safetensors").read_bytes()
    assert weights == (sample / "teacher" / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "exactly one of --source and --download is required"),
        (
            ("--source", "x", "--download", "y"),
            "exactly one of --source and --download is required",
        ),
        (("--source", "x", "--revision", "main"), "revision is allowed with --download only"),
    ],
)
def test_flags_that_contradict(flags, message, tmp_path):
    command = [sys.executable, "scripts/import_model.py", "--output_dir", tmp_path / "out"]
    assert_refused(run([*command, *flags], 2), message)


def test_help_shows_the_flags():
    for script in ("export_model.py", "import_model.py"):
        done = run([sys.executable, ROOT / "scripts" / script, "--help"])
        assert "--output_dir" in done.stdout
