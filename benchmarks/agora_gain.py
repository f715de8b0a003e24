"""What Agora gains over plain fine-tuning, distillation and gold labels, on generated tasks.

For every task and seed a small model (Timaeus) is fine-tuned four ways, and each way's best model
by dev score is judged once on a report split that nothing has looked at:

  plain      fine-tuning on the scarce gold data, as many trainings as Agora had, with further seeds
  distilled  the same on soft labels of Socrates for the same examples
  gold       fine-tuning on all the gold labels that Socrates was trained on, one training a set
  agora      Agora

Socrates is the teacher of the demonstration, fine-tuned on many gold examples of the task; Timaeus
is its student. Declared beforehand: a one-sided paired sign-flip permutation test over seeds that
Agora's report score is above that of plain fine-tuning, corrected over the tasks by Holm's method.

Needs a demonstration (./run_demo.sh). Two cores:

python -m bort.launch --ranks 2 benchmarks/agora_gain.py

The same command continues what was stopped or killed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from bort.agora.config import AgoraConfig
from bort.agora.hyperparameters import grid, with_more_seeds
from bort.agora.significance import holm, sign_flip_p_value
from bort.agora.timaeus_config import TimaeusConfig
from bort.command import make_parser, run_command
from bort.config import Config, setting
from bort.errors import InputError
from bort.files import read_json, write_json
from bort.stopping import StopRequest

log = logging.getLogger(__name__)

ARMS = ("agora", "plain", "distilled", "gold")
MAX_LEN = 64


@dataclasses.dataclass(frozen=True)
class GainConfig(Config):
    """What is compared."""

    tasks: Tuple[str, ...] = setting(("acceptability", "actor", "order"), "generated tasks")
    seeds: int = setting(8, "seeds a task: data, order, tau", minimum=2)
    train_size: int = setting(100, "gold examples that Timaeus has", minimum=8)
    dev_size: int = setting(200, "dev examples", minimum=8)
    report_size: int = setting(1_000, "examples of the honest score", minimum=8)
    socrates_size: int = setting(4_000, "gold examples that Socrates was trained on", minimum=8)
    positive_share: float = setting(0.5, "share of label 1", minimum=0.0, maximum=1.0)
    socrates_epochs: int = setting(6, "epochs of Socrates", minimum=1)
    socrates_lr: float = setting(4e-4, "learning rate of Socrates", above=0.0)
    lrs: Tuple[float, ...] = setting((1e-3, 5e-4), "learning rates of the sets", above=0.0)
    set_seeds: int = setting(2, "seeds of the sets", minimum=1)
    inputs: int = setting(
        3_000, "inputs that each training of Timaeus sees, however many are different", minimum=1
    )
    batch_size: int = setting(16, "inputs a step", minimum=1)
    arms: Tuple[str, ...] = setting(ARMS, "what is run", choices=ARMS)


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--demo", default="runs/demo", help="folder of a demonstration")
    parser.add_argument("--folder", default="runs/agora_gain", help="where everything goes")
    GainConfig.add_flags(parser.add_argument_group("what is compared"))
    AgoraConfig.add_flags(parser.add_argument_group("Agora's loop (seed: of the first run)"))
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    os.environ["OMP_NUM_THREADS"] = "1"
    gain, loop = GainConfig.from_arguments(parsed), AgoraConfig.from_arguments(parsed)
    stop = StopRequest().install()
    from bort.gluon.distributed import find_communicator, wait_for_all

    communicator = find_communicator()
    folder = Path(parsed.folder)
    bench = _Benchmark(gain, loop, Path(parsed.demo), folder, stop)
    if communicator.rank == 0:
        bench.prepare_all()
    wait_for_all(communicator)
    units = [(task, seed) for seed in range(gain.seeds) for task in gain.tasks]
    own = units[communicator.rank :: communicator.size]
    for done, (task, seed) in enumerate(own):
        if stop.requested():
            break
        bench.measure(task, seed)
        log.info("rank %d: %d of its %d done", communicator.rank, done + 1, len(own))
    wait_for_all(communicator)
    if communicator.rank == 0:
        print(json.dumps(bench.summary(), indent=2))
    return 0


class _Benchmark:
    def __init__(
        self, gain: GainConfig, loop: AgoraConfig, demo: Path, folder: Path, stop: StopRequest
    ) -> None:
        from bort.text.vocabularies import load_vocabulary

        for name in ("teacher", "student"):
            if not (demo / name / "model.json").is_file():
                raise InputError(f"{demo / name}: is not there; run ./run_demo.sh first")
        self.gain, self.loop, self.folder, self.stop = gain, loop, folder, stop
        self.student, self.teacher = demo / "student", demo / "teacher"
        self.vocabulary = load_vocabulary(demo / "vocabulary")
        settings = {"gain": gain.as_dict(), "agora": loop.results_settings()}
        settings["gain"] = {k: v for k, v in settings["gain"].items() if k not in _GROWING}
        path = folder / "settings.json"
        if path.is_file() and read_json(path) != json.loads(json.dumps(settings)):
            raise InputError(f"{path}: holds other settings; name another --folder")
        write_json(path, settings)

    def prepare_all(self) -> None:
        """Files and Socrates of every task; what is there stays."""
        for task in self.gain.tasks:
            self._write_task(task)
            self._train_socrates(task)

    # --- data

    def _write_task(self, task: str) -> None:
        from data.scarce_tasks import ScarceSizes, write_scarce_tasks

        target, gain = self.folder / task / "files", self.gain
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            sizes = ScarceSizes(
                gain.train_size,
                gain.dev_size,
                gain.report_size,
                gain.socrates_size,
                gain.seeds,
                gain.positive_share,
            )
            write_scarce_tasks(target, task, sizes)

    def _task(self, task: str, name: str) -> Any:
        from data.scarce_tasks import open_scarce_task

        return open_scarce_task(self.folder / task / "files", task, name, self.vocabulary, MAX_LEN)

    # --- models

    def _train_socrates(self, task: str) -> None:
        from bort.finetuning_config import FinetuningConfig
        from bort.gluon.agora_sample import make_socrates

        gain = self.gain
        config = FinetuningConfig(
            epochs=gain.socrates_epochs,
            lr=gain.socrates_lr,
            weight_decay=0.01,
            warmup_ratio=0.1,
            batch_size=32,
            max_len=MAX_LEN,
        )
        if not self._socrates(task).is_dir():
            data = self._task(task, "gold-0").data
            make_socrates(self._socrates(task), data, self.teacher, config)

    def _socrates(self, task: str) -> Path:
        return self.folder / task / "socrates"

    # --- the four ways

    def measure(self, task: str, seed: int) -> None:
        """All ways for one task and seed; each is durable when it is finished."""
        for arm in ARMS:
            path = self.folder / task / "results" / f"{seed}-{arm}.json"
            if arm not in self.gain.arms or path.is_file() or self.stop.requested():
                continue
            work = self.folder / task / "work" / f"{seed}-{arm}"
            result = self._agora(task, seed, work) if arm == "agora" else None
            if arm != "agora":
                result = self._baseline(task, seed, arm, work)
            if result is None:
                return
            log.info(
                "%s, seed %d, %s: dev %.4f, report %.4f (%d trainings, %.0f s)",
                *(task, seed, arm, result["dev_score"], result["report_score"]),
                *(result["trainings"], result["seconds"]),
            )
            write_json(path, result)
            shutil.rmtree(work, ignore_errors=True)

    @property
    def _sets(self) -> Any:
        return grid(range(self.gain.set_seeds), self.gain.lrs, (0.01,), (0.1,))

    @property
    def _timaeus(self) -> TimaeusConfig:
        gain = self.gain
        return TimaeusConfig(
            inputs=gain.inputs, batch_size=gain.batch_size, max_len=MAX_LEN, batch_size_eval=256
        )

    def _agora(self, task: str, seed: int, work: Path) -> Optional[Dict[str, Any]]:
        from bort.gluon.agora_run import AgoraPlan, run_agora_in_folder
        from bort.gluon.distributed import SingleProcess
        from bort.gluon.finetuning_run import StartingPoint

        began = time.perf_counter()
        plan = AgoraPlan(
            dataclasses.replace(self.loop, seed=self.loop.seed + seed),
            self._timaeus,
            self._sets,
            self._task(task, f"seed-{seed}"),
            StartingPoint(str(self.student), ""),
            self._socrates(task),
            str(self.teacher),
            work,
        )
        result = run_agora_in_folder(
            plan, SingleProcess(), resume=work.exists(), stop_requested=self.stop.requested
        )
        if result["stopped"]:
            return None
        return {
            "dev_score": result["dev"]["mean"],
            "report_score": result["report"]["mean"],
            "trainings": result["trainings"],
            "points": sum(result["training_points"].values()),
            "seconds": time.perf_counter() - began,
            "iterations": read_json(work / "iterations.json"),
        }

    def _baseline(self, task: str, seed: int, arm: str, work: Path) -> Optional[Dict[str, Any]]:
        import mxnet as mx

        from bort.gluon.agora_baselines import best_of, labelled_by
        from bort.gluon.agora_models import GluonSocrates
        from bort.gluon.finetuning_run import StartingPoint

        mine = self._task(task, f"gold-{seed}" if arm == "gold" else f"seed-{seed}")
        sets = self._sets
        points = mine.training
        if arm != "gold":
            agora = read_json(self.folder / task / "results" / f"{seed}-agora.json")
            sets = with_more_seeds(sets, agora["trainings"])
        if arm == "distilled":
            socrates = GluonSocrates(self._socrates(task), mine.data.record, mine.form)
            points = labelled_by(socrates, points)
        found = best_of(
            mine,
            StartingPoint(str(self.student), ""),
            self._timaeus,
            sets,
            points,
            work,
            mx.cpu(),
            stop_requested=self.stop.requested,
        )
        return None if found is None else dataclasses.asdict(found)

    # --- what came out

    def summary(self) -> Dict[str, Any]:
        """Scores by task and way, and the declared test."""
        tasks: Dict[str, Any] = {}
        p_values: Dict[str, float] = {}
        for task in self.gain.tasks:
            by_arm: Dict[str, Dict[int, Mapping[str, Any]]] = {}
            for arm in self.gain.arms:
                paths = {
                    seed: self.folder / task / "results" / f"{seed}-{arm}.json"
                    for seed in range(self.gain.seeds)
                }
                by_arm[arm] = {s: read_json(p) for s, p in paths.items() if p.is_file()}
            check = read_json(self._socrates(task) / "model.json")["extra"]["metrics"]
            tasks[task] = {
                "socrates": check,
                **{arm: _row(list(found.values())) for arm, found in by_arm.items() if found},
            }
            ours, plain = by_arm.get("agora", {}), by_arm.get("plain", {})
            both = sorted(set(ours) & set(plain))
            gains = [ours[s]["report_score"] - plain[s]["report_score"] for s in both]
            tasks[task]["gains"] = gains
            if len(gains) > 1:
                p_values[task] = sign_flip_p_value(gains)
        for task, corrected in zip(p_values, holm(list(p_values.values()))):
            tasks[task].update(p_value=p_values[task], p_value_holm=corrected)
        return {"settings": self.gain.as_dict(), "agora": self.loop.as_dict(), "tasks": tasks}


_GROWING = ("tasks", "arms")
"""May differ from call to call in one folder."""


def _row(results: List[Mapping[str, Any]]) -> Dict[str, Any]:
    report = [float(one["report_score"]) for one in results]
    return {
        "report": statistics.mean(report),
        "deviation": statistics.stdev(report) if len(report) > 1 else None,
        "dev": statistics.mean(float(one["dev_score"]) for one in results),
        "trainings": statistics.mean(float(one["trainings"]) for one in results),
        "points": statistics.mean(float(one["points"]) for one in results),
        "minutes": sum(float(one["seconds"]) for one in results) / 60,
        "seeds": len(results),
    }


if __name__ == "__main__":
    main()
