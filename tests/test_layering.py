"""Dependencies point one way: the arrows of the layout, and the purity of what must be pure."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from tests.patience import HANG_SECONDS

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"mxnet", "gluonnlp", "horovod"}
KNOWS_HOROVOD = "bort.gluon.distributed"
# Libraries that report their use: these modules switch that off before they import them.
ONE_DOOR = {
    "onnxruntime": ("bort.engines.onnxruntime_session",),
    "openvino": ("bort.formats.openvino_file",),
    "huggingface_hub": ("bort.downloads.huggingface_hub",),
    "transformers": ("bort.export.by_transformers",),
}

# package -> what it must never import. `bort.engines` opens `bort.gluon.engine`, late: nothing else
# outside `bort.gluon` reaches MXNet.
STAGES = {"bort.search", "bort.agora", "bort.teacher", "bort.training", "bort.tasks"} | {
    "bort.super_network"
}
ABOVE = {"bort.gluon", "bort.engines", "bort.export", "bort.inference", "bort.report"}
GLUON_STAGES = {
    f"bort.gluon.{stage}"
    for stage in ("pretraining", "finetuning", "teacher", "search", "agora", "super_network")
}
ROOMS = {f"bort.{path.name}" for path in (ROOT / "bort").iterdir() if path.is_dir()} - {
    "bort.__pycache__"
}
GLUON_ROOMS = {
    f"bort.gluon.{path.stem}" for path in (ROOT / "bort/gluon").iterdir() if path.stem != "engine"
}
SUPER_NETWORK_WITHOUT_SPACE = {
    f"bort.super_network.{path.stem}"
    for path in (ROOT / "bort/super_network").glob("*.py")
    if path.stem not in ("__init__", "space")
}
INFERENCE_WITHOUT_TASK_MODEL = {
    f"bort.inference.{path.stem}"
    for path in (ROOT / "bort/inference").glob("*.py")
    if path.stem not in ("__init__", "task_model")
}
FORBIDDEN = {
    "bort": {"data", "experiments", "scripts", "tests", "benchmarks"},
    "bort.architecture": ROOMS - {"bort.storage"},
    "bort.errors": {"bort"},
    "bort.ranks": ROOMS,
    "bort.settings": ROOMS - {"bort.settings"},
    "bort.storage": ROOMS - {"bort.storage"},
    "bort.process": ROOMS - {"bort.process", "bort.storage"},
    "bort.stages": ROOMS - {"bort.stages", "bort.storage", "bort.process"},
    "bort.downloads": STAGES | ABOVE | {"bort.formats", "bort.network", "bort.text"},
    "bort.text": STAGES | ABOVE | {"bort.formats", "bort.network"},
    "bort.tasks": ABOVE
    | {"bort.formats", "bort.network", "bort.agora", "bort.search", "bort.super_network"},
    "bort.network": STAGES | ABOVE | {"bort.formats"},
    "bort.training": ABOVE | {"bort.search", "bort.agora", "bort.formats", "bort.super_network"},
    "bort.teacher": ABOVE
    | {"bort.training", "bort.search", "bort.agora", "bort.formats", "bort.super_network"},
    "bort.search": ABOVE | {"bort.agora", "bort.formats"} | SUPER_NETWORK_WITHOUT_SPACE,
    "bort.agora": ABOVE | {"bort.search", "bort.formats", "bort.super_network"},
    "bort.super_network": ABOVE | {"bort.search", "bort.agora", "bort.formats"},
    "bort.formats": STAGES | ABOVE,
    "bort.engines": STAGES | GLUON_ROOMS | {"bort.export", "bort.inference", "bort.report"},
    "bort.export": STAGES | {"bort.gluon", "bort.inference", "bort.report"},
    "bort.inference": {"bort.gluon", "bort.export", "bort.report"}
    | {"bort.search", "bort.agora", "bort.super_network"},
    "bort.command": {"bort.gluon", "bort.export", "bort.inference", "bort.report"},
    "bort.report": {"bort.gluon", "bort.export", "bort.formats"},
    "bort.gluon": INFERENCE_WITHOUT_TASK_MODEL,
    "bort.gluon.network": GLUON_STAGES | {"bort.gluon.training"},
    "bort.gluon.training": GLUON_STAGES,
    "data": {"bort.gluon", "bort.engines", "bort.report", "experiments", "scripts"},
}
# What only `bort.storage` calls: elsewhere a rename would be one that nobody syncs.
OF_STORAGE = {
    *("os.fsync", "os.rename", "os.renames", "os.replace", "os.sync"),
    *("shutil.move", "tempfile.mkdtemp", "tempfile.mkstemp"),
}
PURE = ("bort", "data")
NOT_PURE = ("bort.gluon", "bort.report")
PURE_NEVERTHELESS = ["bort.gluon.training.loop"]  # control flow alone


def module_name(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str, module: str, is_package: bool) -> Iterator[Tuple[int, str]]:
    """All (line, dotted name) that a module imports, wherever in it; `import_module` included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join(parts + ([base] if base else []))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def breaches(root: Path) -> List[str]:
    """Every import under `root` that goes against an arrow."""
    found = []
    for folder in ("bort", "data", "experiments", "scripts"):
        for path in sorted((root / folder).rglob("*.py")):
            module = module_name(path, root)
            source = path.read_text(encoding="utf-8")
            for line, name in imported_names(source, module, path.name == "__init__.py"):
                where = f"{path.relative_to(root)}:{line}: {module} imports {name}"
                top = name.split(".")[0]
                if module not in ONE_DOOR.get(top, (module,)):
                    found.append(where)
                if top == "horovod" and module != KNOWS_HOROVOD:
                    found.append(where)
                elif top in FRAMEWORKS and is_inside(module, "bort"):
                    if not is_inside(module, "bort.gluon"):
                        found.append(where)
                elif top in FRAMEWORKS and is_inside(module, "data"):
                    found.append(where)
                for package, forbidden in FORBIDDEN.items():
                    if is_inside(module, package) and any(is_inside(name, f) for f in forbidden):
                        found.append(where)
    return found


def renames(root: Path) -> List[str]:
    """Every call outside `bort.storage` that renames, syncs or makes a temporary folder itself."""
    found = []
    for folder in ("bort", "data", "experiments", "scripts"):
        for path in sorted((root / folder).rglob("*.py")):
            if is_inside(module_name(path, root), "bort.storage"):
                continue
            source = path.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(source)):
                names = set()
                if isinstance(node, ast.Attribute):
                    names.add(f"{getattr(node.value, 'id', '')}.{node.attr}")
                elif isinstance(node, ast.ImportFrom):
                    names.update(f"{node.module}.{alias.name}" for alias in node.names)
                found += [f"{path.relative_to(root)}: {name}" for name in names & OF_STORAGE]
    return found


def pure_modules() -> List[str]:
    paths = [path for folder in PURE for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [module_name(path) for path in paths]
    pure = [name for name in names if not any(is_inside(name, other) for other in NOT_PURE)]
    return pure + PURE_NEVERTHELESS


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


BLOCK_AND_IMPORT = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mxnet", "gluonnlp", "horovod"):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
failed = []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed.append(name + ": " + str(error))
print("\\n".join(failed))
sys.exit(bool(failed))
"""


def test_no_import_goes_against_an_arrow() -> None:
    assert breaches(ROOT) == []


def test_storage_alone_renames_and_syncs() -> None:
    assert renames(ROOT) == []


@pytest.mark.parametrize(
    ("file", "source", "count"),
    [
        ("bort/text/bad.py", "import os\nos.replace('a', 'b')", 1),
        ("data/bad.py", "def late():\n    from shutil import move, copyfile", 1),
        ("scripts/bad.py", "import os, tempfile\nos.fsync(os.dup(tempfile.mkdtemp()))", 2),
        ("bort/storage/good.py", "import os\nos.replace('a', 'b')", 0),
        ("bort/text/good.py", "import os\nname.replace('a', 'b')\nos.remove('a')", 0),
    ],
)
def test_a_rename_elsewhere_is_found(tmp_path: Path, file: str, source: str, count: int) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert len(renames(tmp_path)) == count


def test_pure_modules_import_without_frameworks() -> None:
    names = pure_modules()
    assert {"bort", "bort.architecture", "bort.settings.config"} <= set(names)
    result = run_python(BLOCK_AND_IMPORT, *names)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_block_really_blocks() -> None:
    assert run_python(BLOCK_AND_IMPORT, "mxnet").returncode == 1


def test_importing_bort_imports_no_framework() -> None:
    result = run_python(
        "import sys, bort; print(sorted(set(sys.modules) & {'mxnet', 'gluonnlp', 'horovod'}))"
    )
    assert result.stdout.strip() == "[]", result.stderr


SHOW_ALL_HELP = """
import os, runpy, sys

sys.path.insert(0, os.path.dirname(sys.argv[1]))  # as when a script is called itself
for script in sys.argv[1:]:
    before, sys.argv = set(sys.modules), [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code, script
    names = {name.split(".")[0] for name in set(sys.modules) - before}
    print("imports of", script, *sorted(names))
"""


HEAVY = FRAMEWORKS | {"scipy", "sklearn", "matplotlib", "tensorboard", "sentencepiece"}
HEAVY |= {"onnx", "onnxruntime", "openvino", "torch", "transformers", "tokenizers", "jinja2"}


def test_the_help_of_every_command_starts_without_heavy_packages() -> None:
    scripts = sorted(str(path) for path in (ROOT / "scripts").glob("*.py"))
    result = run_python(SHOW_ALL_HELP, *scripts)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if line.startswith("imports of ")]
    assert len(lines) == len(scripts)
    assert [line for line in lines if HEAVY & set(line.split())] == []


SHOW_BORT_HELP = """
import sys
from bort.command.main import run_subcommand
try:
    run_subcommand(sys.argv[1:])
except SystemExit:
    print("imports of bort", *sorted({name.split(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("words", [["--help"], ["finetune", "--help"], ["no-subcommand"]])
def test_the_console_command_starts_without_heavy_packages(words: List[str]) -> None:
    printed = run_python(SHOW_BORT_HELP, *words).stdout.splitlines()
    imported = set(printed[-1].split())
    assert {"bort", "argparse"} <= imported
    assert HEAVY & imported == set()


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("bort/text/bad.py", "import data"),
        ("bort/text/bad.py", "from data.readers.glue import read"),
        ("bort/text/bad.py", "def late():\n    import mxnet as mx\n    return mx"),
        ("bort/inference.py", "from gluonnlp.data import x"),
        ("bort/search/bad.py", "from bort.gluon import model"),
        ("bort/teacher/bad.py", "from bort.training import objective"),
        ("bort/super_network/bad.py", "from bort.search.space import SearchSpace"),
        ("bort/super_network/bad.py", "from bort.gluon.super_network import trainer"),
        ("bort/gluon/training/bad.py", "from bort.gluon.super_network import trainer"),
        ("bort/search/bad.py", "from ..gluon.model import BortModel"),
        ("bort/search/bad.py", "from bort.super_network.folder import open_super_network"),
        ("bort/search/__init__.py", "from ..gluon import model"),
        (
            "bort/agora/bad.py",
            "import importlib\nimportlib.import_module('bort.gluon.engine')",
        ),
        ("data/bad.py", "import horovod.mxnet as hvd"),
        ("bort/gluon/training/bad.py", "import horovod.mxnet as hvd"),
        ("scripts/bad.py", "import horovod.mxnet as hvd"),
        ("data/bad.py", "from bort.gluon import model"),
        ("bort/gluon/training/bad.py", "from bort.gluon.finetuning import trainer"),
        ("bort/errors.py", "from bort.storage.files import read_json"),
        ("bort/ranks.py", "from bort.gluon.distributed import HorovodProcess"),
        ("bort/engines/bad.py", "def late():\n    import mxnet"),
        ("bort/engines/bad.py", "from bort.gluon.network.array_network import as_network"),
        ("bort/export/bad.py", "from bort.gluon.engine import GluonEngine"),
        ("bort/inference/bad.py", "def late():\n    from bort.gluon import engine"),
        ("bort/engines/bad.py", "def late():\n    import onnxruntime"),
        ("scripts/bad.py", "from openvino import Core"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert len(breaches(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("bort/gluon/good.py", "import mxnet\nfrom gluonnlp.model import x"),
        ("bort/gluon/distributed.py", "def late():\n    import horovod.mxnet as horovod"),
        ("bort/inference/good.py", "from bort.engines.choosing import open_engine"),
        ("bort/engines/good.py", "def late():\n    from bort.gluon import engine"),
        ("bort/formats/openvino_file.py", "def late():\n    import openvino"),
        ("bort/search/good.py", "from bort.super_network.space import SubNetworkSpace"),
        ("data/good.py", "from bort.text import vocabulary\nimport database"),
        ("scripts/good.py", "import data\nfrom bort.gluon import model"),
    ],
)
def test_an_allowed_import_is_no_breach(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source, encoding="utf-8")
    assert breaches(tmp_path) == []
