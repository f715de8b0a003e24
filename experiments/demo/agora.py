"""The last stage of the demonstration: fine-tuning on scarce data, with and without Agora."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
from pathlib import Path
from typing import Any, Dict, List, Mapping

from bort.agora.config import AgoraConfig
from bort.agora.hyperparameters import HyperparameterSets, grid, with_more_seeds
from bort.agora.task_data import AgoraTask
from bort.agora.timaeus_config import TimaeusConfig
from bort.text.vocabularies import load_vocabulary
from bort.training.finetuning_config import FinetuningConfig
from data.generated_tasks.scarce import ScarceSizes, open_scarce_task, write_scarce_tasks
from experiments.demo.plan import DemoConfig
from experiments.demo.results import AGORA, PLAIN
from experiments.demo.students import STUDENT
from experiments.processes import advance, run_in_processes

AGORA_TASK = "acceptability"
METRIC = "Matthews correlation"
FOLDER = "agora"
SETS = grid((0, 1), (1e-3, 5e-4), (0.01,), (0.1,))
TRAININGS = 7
"""Trainings of a run: pruning reduces Θ from 4 sets to 2 and 1, and no iteration is repeated."""


def compare_agora(config: DemoConfig, folder: Path) -> Dict[str, Any]:
    """Compare plain fine-tuning and Agora on scarce data, over several seeds.

    The task is synthetic: whether a sentence of the generated English is grammatical. Socrates is
    the teacher, fine-tuned on many examples. Timaeus is the student, which has few examples. Both
    ways have the same number of trainings, choose a model by the dev set, and are scored on a
    report split. A Socrates that is too weak for Agora is used nevertheless; the results contain
    its score.

    Args:
        config: sizes.
        folder: the folder of the demonstration, with the trained teacher and student.

    Returns:
        `task`, `synthetic`, `metric`, `sizes`, `socrates` (its dev scores), `seeds` (scores and
        trainings of both ways for each seed), and `plain` and `agora`, the mean scores on the
        report split.
    """
    target = folder / FOLDER
    sizes = ScarceSizes(
        config.agora_train_size,
        config.agora_dev_size,
        config.agora_report_size,
        config.socrates_size,
        config.seeds,
    )
    target.mkdir()
    write_scarce_tasks(target / "files", AGORA_TASK, sizes, config.seed)
    socrates = _train_socrates(config, folder)
    jobs = [(config, folder, seed, way) for seed in range(config.seeds) for way in (PLAIN, AGORA)]
    title = f"{len(jobs)} times {TRAININGS} trainings on {AGORA_TASK}"
    found = run_in_processes(_run, jobs, len(jobs) * TRAININGS, title)
    seeds: List[Dict[str, Any]] = [
        {PLAIN: plain, AGORA: agora} for plain, agora in zip(found[::2], found[1::2])
    ]
    return {
        "task": AGORA_TASK,
        "synthetic": True,
        "metric": METRIC,
        "sizes": dataclasses.asdict(sizes),
        "socrates": dict(socrates),
        "seeds": seeds,
        **{
            way: statistics.mean(float(seed[way]["report"]) for seed in seeds)
            for way in (PLAIN, AGORA)
        },
    }


def lines(results: Mapping[str, Any]) -> List[str]:
    """Return the lines that the screen shows.

    Args:
        results: the result of `compare_agora`.
    """
    sizes = results["sizes"]
    shown = [
        f"{results['task']} (synthetic), {sizes['train']} gold examples, {results['metric']} on "
        f"{sizes['report']} report examples; Socrates learnt from {sizes['socrates']} and has "
        f"{results['socrates']['matthews']:.3f} on a dev set"
    ]
    for number, seed in enumerate(results["seeds"]):
        plain, agora = seed[PLAIN], seed[AGORA]
        shown.append(
            f"seed {number}: plain fine-tuning {plain['report']:.3f}, Agora {agora['report']:.3f} "
            f"({plain['trainings']} and {agora['trainings']} trainings; dev {plain['dev']:.3f} and "
            f"{agora['dev']:.3f})"
        )
    return shown


def _task(config: DemoConfig, folder: Path, name: str) -> AgoraTask:
    vocabulary = load_vocabulary(folder / "vocabulary")
    files = folder / FOLDER / "files"
    return open_scarce_task(files, AGORA_TASK, name, vocabulary, config.max_seq_length)


def _train_socrates(config: DemoConfig, folder: Path) -> Mapping[str, float]:
    from bort.gluon.agora.sample import make_socrates

    settings = FinetuningConfig(
        seed=config.seed,
        epochs=config.socrates_epochs,
        lr=4e-4,
        weight_decay=0.01,
        warmup_ratio=0.1,
        batch_size=32,
        max_len=config.max_seq_length,
    )
    data = _task(config, folder, "gold-0").data
    result = make_socrates(folder / FOLDER / "socrates", data, folder / "teacher", settings)
    metrics: Mapping[str, float] = result["best"]["metrics"]
    return metrics


def _run(config: DemoConfig, folder: Path, seed: int, way: str) -> Dict[str, Any]:
    """Run one way for one seed, in a separate process."""
    import mxnet as mx

    from bort.gluon.agora.baselines import best_of
    from bort.gluon.finetuning.starting_point import StartingPoint

    work = folder / FOLDER / f"{way}-{seed}"
    task = _task(config, folder, f"seed-{seed}")
    start = StartingPoint(str(folder / STUDENT), "")
    timaeus = TimaeusConfig(
        inputs=config.agora_inputs,
        batch_size=16,
        max_len=config.max_seq_length,
        batch_size_eval=256,
    )
    if way == AGORA:
        found = _agora(config, folder, seed, task, start, timaeus, work)
    else:
        sets: HyperparameterSets = with_more_seeds(SETS, TRAININGS)
        best = best_of(
            task,
            start,
            timaeus,
            sets,
            task.training,
            work,
            mx.cpu(),
            on_trained=lambda training, score: advance(),
        )
        assert best is not None
        found = {
            "dev": best.dev_score,
            "report": best.report_score,
            "trainings": best.trainings,
            "points": best.points,
        }
    shutil.rmtree(work / "models", ignore_errors=True)
    return found


def _agora(
    config: DemoConfig,
    folder: Path,
    seed: int,
    task: AgoraTask,
    start: Any,
    timaeus: TimaeusConfig,
    work: Path,
) -> Dict[str, Any]:
    from bort.gluon.agora.plan import AgoraPlan
    from bort.gluon.agora.run import run_agora_in_folder
    from bort.ranks import SingleProcess

    loop = AgoraConfig(
        seed=config.seed + seed,
        sources="dev",
        points_per_source=4,
        replay="none",
        allow_weak_socrates=True,
    )
    socrates, proposer = folder / FOLDER / "socrates", str(folder / "teacher")
    plan = AgoraPlan(loop, timaeus, SETS, task, start, socrates, proposer, work)
    result = run_agora_in_folder(
        plan, SingleProcess(), on_trained=lambda training, score: advance()
    )
    return {
        "dev": result["dev"]["mean"],
        "report": result["report"]["mean"],
        "trainings": result["trainings"],
        "points": sum(result["training_points"].values()),
    }
