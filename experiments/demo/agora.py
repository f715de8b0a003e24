"""The stage `agora` of the demonstration: fine-tuning on scarce data, with and without Agora."""

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
from bort.storage.files import read_json, write_json
from bort.text.vocabularies import load_vocabulary
from bort.training.finetuning_config import FinetuningConfig
from data.generated_tasks.scarce import ScarceSizes, open_scarce_task, write_scarce_tasks
from experiments.demo.places import Places
from experiments.demo.plan import DemoConfig
from experiments.demo.results import AGORA, AGORA_TASK, METRIC, PLAIN
from experiments.processes import advance, run_in_processes

TASK_FILES, SOCRATES_FOLDER, GOLD = "files", "socrates", "gold-0"
"""Parts of the folder of the comparison: the data sets, the fine-tuned teacher, and the name of the
data set that it learns."""

SETS = grid((0, 1), (1e-3, 5e-4), (0.01,), (0.1,))
TRAININGS = 7
"""Trainings of a run: pruning reduces Θ from 4 sets to 2 and 1, and no iteration is repeated."""


def compare_agora(config: DemoConfig, places: Places) -> Dict[str, Any]:
    """Compare plain fine-tuning and Agora on scarce data, over several seeds.

    The task is synthetic: whether a sentence of the generated English is grammatical. Socrates is
    the teacher, fine-tuned on many examples. Timaeus is the student, which has few examples. Both
    ways have the same number of trainings, choose a model by the dev set, and are scored on a
    report split. A Socrates that is too weak for Agora is used nevertheless; the results contain
    its score. Finished trainings are kept, and a second call continues a killed one.

    Args:
        config: sizes.
        places: folders of the text, the trained teacher and student, and the comparison.

    Returns:
        `task`, `synthetic`, `metric`, `sizes`, `socrates` (its dev scores), `seeds` (scores and
        trainings of both ways for each seed), and `plain` and `agora`, the mean scores on the
        report split.
    """
    sizes = ScarceSizes(
        config.agora_train_size,
        config.agora_dev_size,
        config.agora_report_size,
        config.socrates_size,
        config.seeds,
    )
    if not (places.agora / TASK_FILES).exists():
        write_scarce_tasks(places.agora / TASK_FILES, AGORA_TASK, sizes, config.seed)
    socrates = _train_socrates(config, places)
    jobs = [(config, places, seed, way) for seed in range(config.seeds) for way in (PLAIN, AGORA)]
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


def _task(config: DemoConfig, places: Places, name: str) -> AgoraTask:
    vocabulary = load_vocabulary(places.text / "vocabulary")
    return open_scarce_task(
        places.agora / TASK_FILES, AGORA_TASK, name, vocabulary, config.max_seq_length
    )


def _train_socrates(config: DemoConfig, places: Places) -> Mapping[str, float]:
    """Train Socrates if it is not trained yet; return its dev scores."""
    from bort.gluon.agora.sample import make_socrates

    model = places.agora / SOCRATES_FOLDER
    scores = places.agora / "socrates.json"
    if scores.exists():
        found: Mapping[str, float] = read_json(scores)
        return found
    shutil.rmtree(model, ignore_errors=True)  # without scores, which come after it
    settings = FinetuningConfig(
        seed=config.seed,
        epochs=config.socrates_epochs,
        lr=4e-4,
        weight_decay=0.01,
        warmup_ratio=0.1,
        batch_size=32,
        max_len=config.max_seq_length,
    )
    data = _task(config, places, GOLD).data
    metrics: Mapping[str, float] = make_socrates(model, data, places.teacher, settings)["best"][
        "metrics"
    ]
    write_json(scores, dict(metrics))
    return metrics


def _run(config: DemoConfig, places: Places, seed: int, way: str) -> Dict[str, Any]:
    """Run one way for one seed, in a separate process."""
    import mxnet as mx

    from bort.gluon.agora.baselines import best_of
    from bort.gluon.finetuning.starting_point import StartingPoint

    work = places.agora / f"{way}-{seed}"
    scores = places.agora / f"{way}-{seed}.json"
    if scores.exists():
        known: Dict[str, Any] = read_json(scores)
        advance(TRAININGS)
        return known
    task = _task(config, places, f"seed-{seed}")
    start = StartingPoint(str(places.student), "")
    timaeus = TimaeusConfig(
        inputs=config.agora_inputs,
        batch_size=16,
        max_len=config.max_seq_length,
        batch_size_eval=256,
    )
    if way == AGORA:
        found = _agora(config, places, seed, task, start, timaeus, work)
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
    write_json(scores, found)
    return found


def _agora(
    config: DemoConfig,
    places: Places,
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
    socrates, proposer = places.agora / SOCRATES_FOLDER, str(places.teacher)
    plan = AgoraPlan(loop, timaeus, SETS, task, start, socrates, proposer, work)
    result = run_agora_in_folder(
        plan, SingleProcess(), resume=True, on_trained=lambda training, score: advance()
    )
    return {
        "dev": result["dev"]["mean"],
        "report": result["report"]["mean"],
        "trainings": result["trainings"],
        "points": sum(result["training_points"].values()),
    }
