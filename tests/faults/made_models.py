"""Makers of models, in this toolkit's folders and others', and of runs that are not complete."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Callable, List

import numpy as np

from tests.faults.command_folder import CommandFolder, Maker
from tests.faults.flags import DATA, FINETUNE, SMALL
from tests.faults.made_files import json_file


def pretrained(world: CommandFolder, path: Path) -> None:
    """Pre-train a teacher for some steps on the shards."""
    steps = "--teacher_model none --num_steps 4 --ckpt_dir teacher_run".split()
    world.run("scripts/run_pretraining_distillation.py", *DATA, *steps)
    shutil.move(str(world.folder / "teacher_run" / "model"), path)


def deep_teacher(world: CommandFolder, path: Path) -> None:
    """Write a network of random weights that has enough parts for a search."""
    from bort.architecture import Architecture
    from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
    from bort.network.random_network import random_network
    from bort.text.vocabularies import load_vocabulary

    vocabulary = load_vocabulary(world.folder / "vocabulary")
    sizes = Architecture(2, 2, 16, 64, len(vocabulary), maximum_length=32)
    network = random_network(sizes, 0).replace(vocabulary_fingerprint=vocabulary.fingerprint)
    path.mkdir()
    write_model_folder(path, network.description, network.arrays)
    vocabulary.save(path / VOCABULARY_FOLDER)


def pretrained_on(vocabulary: str, name: str) -> Maker:
    """Return a maker that pre-trains a model on the corpus with another vocabulary."""

    def make(world: CommandFolder, path: Path) -> None:
        shards, run = f"{name}_shards", f"{name}_run"
        create = ["--input_file", "corpus.txt", "--vocab", vocabulary, "--max_seq_length", "32"]
        world.run("scripts/create_pretraining_data.py", *create, "--output_dir", shards)
        steps = ["--teacher_model", "none", "--num_steps", "1", "--ckpt_dir", run]
        train = ["scripts/run_pretraining_distillation.py", "--data", shards, *SMALL, *steps]
        world.run(*train)
        shutil.move(str(world.folder / run / "model"), path)

    return make


def finetuned(world: CommandFolder, path: Path) -> None:
    """Fine-tune a classifier on the sample of CoLA or RTE, as the name says."""
    run = f"{path.name}_run"
    task = {"cola": "CoLA", "rte": "RTE"}[path.name]
    flags = ["--task_name", task, "--epochs", "1", "--output_dir", run]
    world.run("scripts/finetune.py", *FINETUNE, *flags)
    shutil.move(str(world.folder / run / "model"), path)


def mxnet_parameters(world: CommandFolder, path: Path) -> None:
    """Write the teacher's weights as MXNet does."""
    world.run("tests/faults/save_parameters.py", "teacher", path.name)


def super_network(world: CommandFolder, path: Path) -> None:
    """Write a super-network of the teacher's weights, with a map as distillation leaves it."""
    from bort.network.model_folder import read_model_folder
    from bort.super_network.folder import SuperNetworkRecord, write_super_network
    from bort.super_network.space import SubNetworkSpace
    from bort.text.vocabularies import load_vocabulary

    teacher = world.folder / "teacher"
    space = SubNetworkSpace((1,), (8, 16), (16, 32), heads=(1, 2))
    hidden_map = {"weight": np.eye(16, dtype=np.float32), "bias": np.zeros(16, np.float32)}
    write_super_network(
        path,
        SuperNetworkRecord(space, layer_order=(0,), steps=4),
        read_model_folder(teacher),
        load_vocabulary(teacher / "vocabulary"),
        hidden_map,
    )


def bare(source: str, *without: str) -> Maker:
    """Make a Hugging Face folder as others publish it: without this toolkit's own record."""

    def make(world: CommandFolder, path: Path) -> None:
        shutil.copytree(world.folder / source, path)
        for name in ("bort.json", "vocabulary.json", "sentencepiece.model", *without):
            if (path / name).exists():
                (path / name).unlink()
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        config.pop("bort", None)
        (path / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")

    return make


def sharded(world: CommandFolder, path: Path) -> None:
    """Split the weights of a Hugging Face folder over two files with an index."""
    import safetensors.numpy

    shutil.copytree(world.folder / "hf_bert", path)
    weights = safetensors.numpy.load_file(str(path / "model.safetensors"))
    (path / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    place = {name: names[number % 2] for number, name in enumerate(sorted(weights))}
    for file in names:
        part = {name: weights[name] for name in weights if place[name] == file}
        safetensors.numpy.save_file(part, str(path / file), {"format": "pt"})
    size = sum(array.nbytes for array in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": place}
    json_file(index)(world, path / "model.safetensors.index.json")


def sentence_model(world: CommandFolder, path: Path) -> None:
    """Write a folder of sentence-transformers around a Hugging Face folder."""
    shutil.copytree(world.folder / "hf_bert", path)
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            **{"idx": number, "name": str(number)},
            **{"path": f"{number}_{kind}" if number else ""},
            **{"type": f"sentence_transformers.models.{kind}"},
        }
        for number, kind in enumerate(kinds)
    ]
    json_file(modules)(world, path / "modules.json")
    (path / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    json_file(pooling)(world, path / "1_Pooling" / "config.json")
    json_file({"max_seq_length": 12})(world, path / "sentence_bert_config.json")


def interrupted(script: str, flags: List[str], done: Callable[[Path], None]) -> Maker:
    """Make a run that is not complete: it lacks what `done` removes."""

    def make(world: CommandFolder, path: Path) -> None:
        option = "--ckpt_dir" if "pretraining" in script else "--output_dir"
        world.run(f"scripts/{script}.py", *flags, option, path.name)
        done(path)

    return make


def drop_last_checkpoint(folder: Path) -> None:
    """Remove the newest checkpoint of a run."""
    shutil.rmtree(sorted(folder.glob("step-*"))[-1])


def drop_last_results(pattern: str, count: int, *more: str) -> Callable[[Path], None]:
    """Return a function that removes the last results of a run, and further files."""

    def drop(folder: Path) -> None:
        for path in folder.glob(pattern):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:-count]))
        for name in more:
            found = folder / name
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)

    return drop


def cached_features(world: CommandFolder, path: Path) -> None:
    """Write the tokenised data of a task, as a fine-tuning caches them."""
    flags = "--task_name COPA --epochs 1 --output_dir features_run --cache_dir features".split()
    world.run("scripts/finetune.py", *FINETUNE, *flags)


def begun_agora(world: CommandFolder, path: Path) -> None:
    """Keep the sample's models of a run of Agora: making them takes half of its time."""
    shutil.copytree(world.folder / "agora" / "sample", path / "sample")
