"""The requirement files, the project's metadata and what goes into its wheel agree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bort.command.subcommands import SUBCOMMANDS
from bort.process.cuda_libraries import LIBRARIES
from tests.conftest import PROJECT_ROOT
from tests.patience import HANG_SECONDS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYTHONS = ["3.8", "3.9", "3.10", "3.11", "3.12"]
FLAVOURS = ["requirements.txt", "requirements-cu101.txt", "requirements-cu112.txt"]


def read_requirements(path: Path) -> List[Requirement]:
    """The requirements of a file and of those that it includes."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("-r "):
            found += read_requirements(path.parent / text[3:])
        elif text:
            found.append(Requirement(text))
    return found


def applies(requirement: Requirement, python: str) -> bool:
    """Whether a requirement is one of a Python version."""
    marker = requirement.marker
    return marker is None or marker.evaluate({"python_version": python})


def pins_for(requirements: List[Requirement], python: str) -> Dict[str, str]:
    """Name -> version of what applies to a Python version; each name at most once."""
    pins: Dict[str, str] = {}
    for requirement in requirements:
        if not applies(requirement, python):
            continue
        name = canonicalize_name(requirement.name)
        assert name not in pins, f"{name} is pinned twice for Python {python}"
        (specifier,) = requirement.specifier
        pins[name] = specifier.version
    return pins


@pytest.fixture
def project(project_root: Path) -> Any:
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


EXTRAS = ["requirements-test.txt", "requirements-parity.txt", "requirements-openvino.txt"]


@pytest.mark.parametrize("name", [*FLAVOURS, *EXTRAS])
def test_every_requirement_is_pinned_exactly(project_root: Path, name: str) -> None:
    for requirement in read_requirements(project_root / name):
        assert re.fullmatch(r"==[0-9][0-9.]*", str(requirement.specifier)), str(requirement)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_are_within_the_ranges_of_the_metadata(
    project_root: Path, project: Any, python: str
) -> None:
    pins: Dict[str, str] = {}
    for file in ("requirements.txt", *EXTRAS):
        for name, version in pins_for(read_requirements(project_root / file), python).items():
            assert pins.setdefault(name, version) == version, f"{file}: {name} differs"
    accepted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        accepted += extra
    for text in accepted:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in pins and applies(requirement, python):
            assert requirement.specifier.contains(pins[name]), f"{text}: {pins[name]} is pinned"
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    assert declared <= set(pins)


def accepts(texts: List[str], python: str, name: str, version: str) -> bool:
    """Whether requirements want a package on a Python version and accept a version of it."""
    found = [one for one in map(Requirement, texts) if one.name == name and applies(one, python)]
    return bool(found) and all(one.specifier.contains(version) for one in found)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_extra_mxnet_brings_what_mxnet_can_be_imported_with(project: Any, python: str) -> None:
    texts = project["optional-dependencies"]["mxnet"]
    is_new = python == "3.12"
    assert accepts(texts, python, "numpy", "1.23.5") == (not is_new)
    assert not accepts(texts, python, "numpy", "1.24.0")
    # Python 3.12 has no distutils of its own.
    assert accepts(texts, python, "setuptools", "80.0") == is_new


def test_the_extra_for_gpus_differs_in_mxnet_and_what_it_links_to_alone(project: Any) -> None:
    plain = project["optional-dependencies"]["mxnet"]
    found = project["optional-dependencies"]["cu112"]
    libraries = {library.requirement for library in LIBRARIES}
    assert {text for text in found if text.startswith("nvidia-")} == libraries
    others = [text.replace("mxnet-cu112", "mxnet") for text in found if text not in libraries]
    assert others == plain


@pytest.mark.parametrize("python", PYTHONS)
def test_pip_builds_no_tokenizers_on_python_3_8(project: Any, python: str) -> None:
    # 0.21.0 says that it runs there, but has no wheel for it.
    is_accepted = accepts(project["dependencies"], python, "tokenizers", "0.21.0")
    assert is_accepted == (python != "3.8")
    assert accepts(project["dependencies"], python, "tokenizers", "0.20.3")


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
def test_the_flavours_differ_in_mxnet_and_what_it_links_to_alone(
    project_root: Path, flavour: str
) -> None:
    plain = pins_for(read_requirements(project_root / FLAVOURS[0]), "3.11")
    other = pins_for(read_requirements(project_root / flavour), "3.11")
    libraries = {library.requirement for library in LIBRARIES} if "cu112" in flavour else set()
    assert libraries == {f"{n}=={other.pop(n)}" for n in list(other) if n.startswith("nvidia-")}
    assert plain.pop("mxnet") == other.pop("mxnet-" + flavour[len("requirements-") : -len(".txt")])
    assert plain == other


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the project, so that nothing is left beside its sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(PROJECT_ROOT / name, source)
    for name in ("bort", "data", "experiments", "scripts", "test_data", "tests", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT_ROOT / name, source / name, ignore=ignored)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    result = subprocess.run(
        [*command, "--no-index", "-w", str(folder), str(source)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    (found,) = folder.glob("bort-*.whl")
    return found


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """A folder in which the wheel is installed."""
    folder = wheel.parent / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


def files_below(folder: str) -> List[str]:
    """The files of a folder of the project that Python or the toolkit reads, without caches."""
    found = [path for path in (PROJECT_ROOT / folder).rglob("*") if path.is_file()]
    names = [path.relative_to(PROJECT_ROOT).as_posix() for path in found]
    return [name for name in names if not name.endswith((".pyc", ".md", ".sh"))]


@pytest.mark.integration
def test_the_wheel_holds_the_library_and_in_it_the_commands(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        fields = archive.read(metadata).decode("utf-8").splitlines()
        (points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        assert b"bort = bort.command.main:run_subcommand" in archive.read(points)
    assert "License: Apache-2.0" in fields
    assert [name for name in names if name.endswith("/LICENSE")]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"bort"}
    expected = {*files_below("bort")}
    for folder in ("data", "experiments", "scripts", "test_data/tasks"):
        expected |= {f"bort/_toolkit/{name}" for name in files_below(folder)}
    assert {name for name in names if ".dist-info/" not in name} == expected
    programs = {one.program for one in SUBCOMMANDS.values() if one.is_script}
    assert {f"bort/_toolkit/{program}" for program in programs} <= set(names)


@pytest.mark.integration
def test_the_installed_command_works_beside_folders_named_as_its_own(
    site: Path, tmp_path: Path
) -> None:
    for name in ("data", "experiments", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not the toolkit')")
    (tmp_path / "grid.json").write_text(
        '{"hyperparameters": {"seed": [1]}, "default_parameters": {"task_name": "RTE", '
        '"sample": true, "epochs": 1, "max_len": 32}}'
    )
    result = subprocess.run(
        [site / "bin" / "bort", "run-grid", "--grid", "grid.json", "--output_dir", "grid"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(site)])},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["done"] == 1
    (record,) = tmp_path.glob("grid/cells/*/run/run.json")
    script = json.loads(record.read_text(encoding="utf-8"))["command"][0]
    assert script == str(site / "bort" / "_toolkit" / "scripts" / "finetune.py")


PREDICT = """
import sys
import bort
from bort import Predictor
print(bort.__file__)
print(len(Predictor.from_pretrained(sys.argv[1], engine="mxnet", threads=1)(["one", "two"])))
print("data" in sys.modules)
"""


@pytest.mark.integration
def test_the_installed_wheel_predicts_beside_a_folder_named_data(
    wheel: Path, site: Path, tmp_path: Path
) -> None:
    from tests.formats.parity import BORT, make_network, write_network
    from tests.text.tiny_vocabulary import tiny_vocabulary

    vocabulary = tiny_vocabulary()
    architecture = BORT.replace(vocabulary_size=len(vocabulary))
    write_network(tmp_path / "model", make_network(architecture, head="linear", num_classes=2))
    vocabulary.save(tmp_path / "model" / "vocabulary")
    folder = tmp_path / "elsewhere"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "__init__.py").write_text("raise RuntimeError('not the toolkit')")
    result = subprocess.run(
        [sys.executable, "-c", PREDICT, str(tmp_path / "model")],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [str(site / "bort" / "__init__.py"), "2", "False"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode("utf-8")
    needed = {
        canonicalize_name(Requirement(line.split(": ", 1)[1]).name)
        for line in metadata.splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    }
    assert {"numpy", "safetensors", "tiktoken", "tqdm"} <= needed
    for extra in ("mxnet", "onnx", "openvino", "sentencepiece"):
        assert f"Provides-Extra: {extra}" in metadata.splitlines()
