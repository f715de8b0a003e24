"""Bad inputs, bad folders and missing packages each give a one-line error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bort.engines.choosing import open_engine, open_network
from bort.errors import InputError
from bort.formats.onnx_file import write_onnx
from bort.formats.openvino_file import write_openvino
from tests.conftest import PROJECT_ROOT
from tests.formats.parity import BORT, make_batch, make_network, write_network
from tests.patience import HANG_SECONDS

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError("blocked: " + name)

BLOCKED = sys.argv[1].split(",")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
import numpy as np
from bort.engines.choosing import installed_engines, open_engine
from bort.errors import InputError
try:
    engine = open_engine(Path(sys.argv[2]), sys.argv[3])
    print(engine.name, engine.answer(np.array([[0, 5, 2]]), np.array([3])).shape)
except InputError as error:
    print(error)
print(sorted({"mxnet", "onnx", "onnxruntime", "openvino"} & set(sys.modules)))
"""


def with_blocked(blocked: str, folder: Path, engine: str = "auto") -> str:
    """Return what opening a folder prints when some packages are not installed."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, blocked, str(folder), engine],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_network(tmp_path / "model", make_network(head="linear", num_classes=3))
    return tmp_path / "model"


@pytest.fixture
def onnx_folder(tmp_path: Path) -> Path:
    (tmp_path / "onnx").mkdir()
    write_onnx(tmp_path / "onnx", make_network(head="linear", num_classes=3), None)
    return tmp_path / "onnx"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids, n: (np.where(ids == ids[0, 0], 211, ids), n), "input_ids has 211, allowed is"),
        (lambda ids, n: (np.where(ids == ids[0, 0], -1, ids), n), "input_ids has -1, allowed is"),
        (lambda ids, n: (ids, n * 0), "lengths has 0, allowed is 1 to 17"),
        (lambda ids, n: (ids, n + 1), "lengths has 18, allowed is 1 to 17"),
        (lambda ids, n: (np.tile(ids, 3), n), "input is 51 tokens long, allowed are 40"),
        (lambda ids, n: (ids[:0], n[:0]), "input_ids have shape"),
        (lambda ids, n: (ids, n[:-1]), "input_ids have shape"),
        (lambda ids, n: (ids[0], n), "input_ids have shape"),
    ],
)
@pytest.mark.parametrize(
    "name",
    ["mxnet", pytest.param("openvino", marks=pytest.mark.parity("onnx", "openvino"))],
)
def test_bad_inputs_are_named(name: str, change: Any, message: str) -> None:
    engine = open_network(make_network(decoder=True), name)
    ids, lengths, _ = make_batch()
    for ask in (engine.answer, engine.encode):
        with pytest.raises(InputError, match=message):
            ask(*change(ids, lengths))
    with pytest.raises(InputError, match=message):
        engine.predict_tokens(*change(ids, lengths), np.zeros((4, 2)))


@pytest.mark.parametrize(
    "name",
    ["mxnet", pytest.param("onnxruntime", marks=pytest.mark.parity("onnx", "onnxruntime"))],
)
def test_bad_token_types_are_named(name: str) -> None:
    ids, lengths, _ = make_batch()
    positions = np.zeros((4, 2), np.int64)
    for count, wrong, message in (
        (2, np.full(ids.shape, 2), "token_types has 2, allowed is 0 to 1"),
        (2, np.full(ids.shape, -1), "token_types has -1, allowed is 0 to 1"),
        (2, np.zeros(ids.shape)[:1], r"token_types have shape \(1, 17\), allowed is that of input"),
        (1, np.ones(ids.shape), "token_types has 1, allowed is 0 to 0"),
        (0, np.ones(ids.shape), "token_types has 1, allowed is 0 to 0"),
    ):
        network = make_network(BORT.replace(token_types=count), decoder=True)
        engine = open_network(network, name)
        for ask in (engine.answer, engine.encode):
            with pytest.raises(InputError, match=message):
                ask(ids, lengths, wrong)
        with pytest.raises(InputError, match=message):
            engine.predict_tokens(ids, lengths, positions, wrong)
        right = np.zeros(ids.shape, np.int64)
        np.testing.assert_array_equal(
            engine.encode(ids, lengths, right), engine.encode(ids, lengths)
        )


def test_bad_positions_are_named() -> None:
    ids, lengths, _ = make_batch()
    engine = open_network(make_network(decoder=True), "mxnet")
    with pytest.raises(InputError, match="positions has 17, allowed is 0 to 16"):
        engine.predict_tokens(ids, lengths, np.full((4, 1), 17))
    with pytest.raises(InputError, match=r"positions have shape \(3, 1\)"):
        engine.predict_tokens(ids, lengths, np.zeros((3, 1)))
    for network in (make_network(), make_network(head="linear", num_classes=2)):
        with pytest.raises(InputError, match="has no masked-token decoder"):
            open_network(network, "mxnet").predict_tokens(ids, lengths, np.zeros((4, 1)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "tensorrt"}, "engine is 'tensorrt', allowed are auto, openvino, onnxruntime"),
        ({"precision": "int4"}, "precision is 'int4', allowed are fp32, fast"),
        ({"threads": 0}, "threads is 0, allowed is at least 1"),
    ],
)
def test_bad_settings_are_named(settings: Any, message: str, folder: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_engine(folder, **settings)


def test_folders_without_a_model_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such folder"):
        open_engine(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no model, expected model.json.*config.json$"):
        open_engine(tmp_path / "empty")
    shutil.copytree(folder, tmp_path / "empty" / "model")
    with pytest.raises(InputError, match="holds no model, expected .*config.json; .*model does$"):
        open_engine(tmp_path / "empty")
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="model.safetensors: is damaged: its SHA-256"):
        open_engine(folder)
    weights.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "model.json").rename(folder / "config.json")
    config = {
        "model_type": "bert",
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_size": 8,
        "intermediate_size": 8,
        "vocab_size": 30,
        "max_position_embeddings": 16,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match="pytorch_model.bin: is not read"):
        open_engine(folder)


@pytest.mark.parity("onnx", "onnxruntime")
def test_a_damaged_export_is_named(onnx_folder: Path) -> None:
    path, description = onnx_folder / "model.onnx", onnx_folder / "onnx.json"
    content, text = path.read_bytes(), description.read_text(encoding="utf-8")
    for bad in (content[:-9], content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(bad)
        with pytest.raises(InputError, match="model.onnx: is damaged: its SHA-256"):
            open_engine(onnx_folder)
    path.unlink()
    with pytest.raises(InputError, match="model.onnx: is missing"):
        open_engine(onnx_folder)
    path.write_bytes(content)
    for field, value, message in (
        ("format", 7, "is not the description of an exported model"),
        ("architecture", {}, "field 'depth' is missing"),
        ("head", "lstm", "onnx.json: head is 'lstm', allowed are release, linear"),
        ("num_classes", 0, "onnx.json: num_classes is 0, allowed is 1 to"),
        ("files", {}, "a field is missing or malformed: 'model.onnx'"),
        ("extra", {"labels": ["a"]}, "3 outputs have 1 labels"),
    ):
        description.write_text(json.dumps({**json.loads(text), field: value}), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            open_engine(onnx_folder)


@pytest.mark.parity("onnx", "onnxruntime")
def test_a_file_that_is_no_graph_is_named(onnx_folder: Path) -> None:
    import hashlib

    (onnx_folder / "model.onnx").write_bytes(b"no graph")
    description = json.loads((onnx_folder / "onnx.json").read_text(encoding="utf-8"))
    description["files"]["model.onnx"] = hashlib.sha256(b"no graph").hexdigest()
    (onnx_folder / "onnx.json").write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(InputError, match="model.onnx: ONNX Runtime cannot read it"):
        open_engine(onnx_folder, "onnxruntime")


STOPPED = """
import os, signal, sys
from bort.engines.choosing import open_network
from tests.formats.parity import make_network

engines = [open_network(make_network(), "openvino", threads=1) for _ in range(3)]
while engines:
    del engines[0]
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
os.kill(os.getpid(), signal.SIGTERM)
print(len(asked))
"""


@pytest.mark.parity("onnx", "openvino")
def test_signals_are_handled_when_engines_are_gone() -> None:
    """A run saves and ends at a stop request, even if OpenVINO changes signal handlers."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED],
        cwd=PROJECT_ROOT,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parity("onnx", "openvino")
def test_damaged_files_of_openvino_are_named(tmp_path: Path) -> None:
    write_openvino(tmp_path, make_network(), None)
    for name in ("openvino.bin", "openvino.xml"):
        content = (tmp_path / name).read_bytes()
        for bad in (content[:-9], content[:40] + b"?" + content[41:]):
            (tmp_path / name).write_bytes(bad)
            with pytest.raises(InputError, match=f"{name}: is damaged: its SHA-256"):
                open_engine(tmp_path)
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="engine onnxruntime does not read; allowed are openvino"):
        open_engine(tmp_path, "onnxruntime")
    printed = with_blocked("mxnet,gluonnlp,horovod,onnx,onnxruntime", tmp_path)
    assert printed.splitlines() == ["openvino (1, 3, 64)", "['openvino']"]


@pytest.mark.parity("onnx", "onnxruntime")
def test_mxnet_reads_no_exported_graph(onnx_folder: Path) -> None:
    with pytest.raises(InputError, match="which engine mxnet does not read; allowed are openvino"):
        open_engine(onnx_folder, "mxnet")


@pytest.mark.parity("onnx", "onnxruntime", "openvino")
def test_engines_work_without_mxnet(folder: Path, onnx_folder: Path) -> None:
    frameworks = "mxnet,gluonnlp,horovod"
    for engine in ("onnxruntime", "openvino"):
        printed = with_blocked(frameworks, folder, engine)
        assert printed.splitlines() == [f"{engine} (1, 3)", f"['onnx', '{engine}']"]
        printed = with_blocked(f"{frameworks},onnx", onnx_folder, engine)
        assert printed.splitlines() == [f"{engine} (1, 3)", f"['{engine}']"]


def test_missing_packages_are_named(folder: Path) -> None:
    for engine in ("mxnet", "onnxruntime", "openvino"):
        line, modules = with_blocked(engine, folder, engine).splitlines()
        assert line.startswith(f'engine {engine}: the package is not installed: pip install "bort[')
        assert modules == "[]"
    line = with_blocked("mxnet,onnxruntime,openvino", folder).splitlines()[0]
    assert "none of the engines that read it is installed" in line


BROKEN = """
import sys
from pathlib import Path
from bort.engines.choosing import choose_engine, open_engine
from bort.engines.sources import read_source
from bort.errors import InputError

folder, *engines = sys.argv[1:]
for engine in engines:
    try:
        open_engine(Path(folder), engine)
    except InputError as error:
        print(error)
for precision in ("fp32", "fast", "fp32"):
    print(choose_engine(read_source(Path(folder)), precision))
try:
    print(choose_engine(read_source(Path(folder)), "bf16"))
except InputError as error:
    print(error)
"""


WITH_BF16 = """
class Core:
    def get_property(self, *_):
        return ["BF16"]
"""


@pytest.mark.parity("onnx")
@pytest.mark.parametrize(
    ("broken", "chosen"),
    [
        (("openvino",), "onnxruntime"),
        (("openvino", "onnxruntime"), "mxnet"),
        (("onnx",), "mxnet"),
    ],
)
@pytest.mark.parametrize("error", ["ImportError", "OSError"])
def test_engines_that_cannot_be_imported(
    folder: Path, tmp_path: Path, broken: Any, chosen: str, error: str
) -> None:
    """They are refused by name; `auto` takes the next engine, and says so in one line."""
    for package in {"openvino", "onnxruntime", *broken}:
        (tmp_path / "fakes" / package).mkdir(parents=True)
        content = f"raise {error}('no libtbb')" if package in broken else WITH_BF16
        (tmp_path / "fakes" / package / "__init__.py").write_text(content)
    engines = [name for name in broken if name != "onnx"]
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, str(folder), *engines],
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'fakes'}{os.pathsep}{PROJECT_ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    lines = [f"{name} is installed but cannot be imported: no libtbb" for name in broken]
    refused = lines if engines else []
    assert done.stdout.splitlines() == [*refused, chosen, chosen, chosen, lines[0]]
    assert done.stderr.splitlines() == [f"{line}; engine {chosen} is taken" for line in lines]


def test_auto_takes_what_is_there(folder: Path) -> None:
    printed = with_blocked("onnx,onnxruntime,openvino", folder)
    assert printed.splitlines() == ["mxnet (1, 3)", "['mxnet']"]
