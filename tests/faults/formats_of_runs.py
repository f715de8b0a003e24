"""Formats of what commands keep for each other and for `--resume`: shards, caches, runs."""

from __future__ import annotations

from typing import Dict, List

from tests.faults.flags import (
    AGORA,
    CACHE,
    DATA,
    DISTIL,
    FINETUNE_RUN,
    LATENCY,
    ONE_STEP,
    PRETRAIN,
    SCORING,
    SEARCH,
    SLICED,
    SMALL_MODEL,
    SUPER,
    TRAIN,
)
from tests.faults.reading import Reading

RESUMED_TRAINING = [*TRAIN, *PRETRAIN, "--ckpt_dir", "pretraining", "--resume"]
RESUMED_FINETUNING = [
    *("scripts/finetune.py", *FINETUNE_RUN, "--output_dir", "finetuning", "--resume")
]
RESUMED_SEARCH = ["scripts/search_architecture.py", *SEARCH, "--output_dir", "search", "--resume"]
RESUMED_SLICED = ["scripts/search_architecture.py", *SLICED, "--output_dir", "sliced", "--resume"]
RESUMED_AGORA = ["scripts/run_agora.py", *AGORA, "--output_dir", "agora", "--resume"]
RESUMED_SCORING = [
    *("scripts/evaluate_architectures.py", *SCORING, "--output_dir", "scoring", "--resume")
]
RESUMED_SUPER = [
    *("scripts/train_super_network.py", *SUPER, "--output_dir", "super_run", "--resume")
]
RESUMED_DISTILLING = [*DISTIL, "--output_dir", "distilled", "--resume"]
RESUMED_LATENCY = ["scripts/measure_latency.py", *LATENCY, "--output_dir", "latency", "--resume"]
TAKE_OUT = "scripts/extract_model.py --super_network super --output_dir out".split()
CACHED = [*ONE_STEP, "--teacher_cache", "cache"]


def _resumed(part: str, files: str, kind: str, command: List[str], *needs: str) -> Reading:
    return Reading((part, *needs), (f"{part}/{files}",), kind, command)


RUNS: Dict[str, Reading] = {
    # shards
    "manifest.json": Reading(
        ("shards",), ("shards/manifest.json",), "json", [*ONE_STEP, "--teacher_model", "none"]
    ),
    "shard .npy": Reading(
        ("shards",),
        ("shards/train*.npy",),
        "binary",
        [*ONE_STEP, "--teacher_model", "none"],
        sealed=True,
    )._replace(late=True),
    "shard .npz": Reading(
        ("original_shards", "vocabulary"),
        ("original_shards/*.npz",),
        "packed",
        [
            *(*TRAIN, "--data", "original_shards", "--vocab", "vocabulary", *DATA[2:]),
            *("--num_steps 1 --ckpt_dir out --teacher_model none".split()),
        ],
    )._replace(plain=True),
    # the cache of the teacher
    "cache.json": Reading(("shards", "cache"), ("cache/cache.json",), "json", CACHED),
    "cache part.json": Reading(
        ("shards", "teacher", "cache"),
        ("cache/part-*.json",),
        "json",
        ["scripts/cache_teacher_answers.py", *CACHE, "--output_dir", "cache"],
    ),
    "cache part.bin": Reading(
        ("shards", "cache"), ("cache/*.bin", "cache/rows.npy"), "binary", CACHED, sealed=True
    )._replace(late=True),
    # runs
    **{
        f"{title} {name}": _resumed(part, files, kind, command, *needs)
        for title, part, command, needs in (
            ("pre-training", "pretraining", RESUMED_TRAINING, ("shards", "teacher")),
            ("fine-tuning", "finetuning", RESUMED_FINETUNING, ()),
            ("super-network", "super_run", RESUMED_SUPER, ("shards", "teacher")),
        )
        for name, files, kind in (
            ("run.json", "run.json", "json"),
            ("metrics.jsonl", "metrics.jsonl", "jsonl"),
            ("state.json", "step-*/state.json", "json"),
            ("tensors.safetensors", "step-*/tensors.safetensors", "binary"),
        )
    },
    **{
        f"teacher's {what} {kind}": _resumed(
            "distilled",
            f"teacher_outputs/{prefix}-*.{ending}",
            kind,
            RESUMED_DISTILLING,
            "cola",
            "in.txt",
        )
        for what, prefix in (("outputs", "part"), ("features", "features"))
        for ending, kind in (("json", "json"), ("npy", "binary"))
    },
    "search.json": _resumed("search", "search.json", "json", RESUMED_SEARCH, "shards", "teacher"),
    "maximum_point.json": _resumed(
        "search", "maximum_point.json", "json", RESUMED_SEARCH, "shards", "teacher"
    ),
    "search results": _resumed(
        "search", "results-rank0.jsonl", "jsonl", RESUMED_SEARCH, "shards", "teacher"
    ),
    **{
        name: _resumed("sliced", name, kind, RESUMED_SLICED, "shards", "teacher")._replace(
            sealed=kind == "binary"
        )
        for name, kind in (("importance.json", "json"), ("importance.safetensors", "binary"))
    },
    # super-networks
    "super_network.json": Reading(
        ("super",),
        ("super/super_network.json",),
        "json",
        [*TAKE_OUT, "--architecture", "smallest"],
        sealed=True,
    ),
    "importance": _resumed("super_run", "importance.*", "json", RESUMED_SUPER, "shards", "teacher"),
    "sub-networks.json": Reading(
        ("sub-networks.json", "shards"),
        ("sub-networks.json",),
        "json",
        [
            *("scripts/train_super_network.py --data shards --architecture 2-2-16-32".split()),
            *("--teacher_model none --space sub-networks.json --num_steps 1".split()),
            *("--batch_size 4 --cpu_only --output_dir out".split()),
        ],
    ),
    "super-network weights": Reading(
        ("super",),
        ("super/model/model.safetensors", "super/model/model.json"),
        "binary",
        [*TAKE_OUT, "--architecture", "smallest"],
        sealed=True,
    ),
    "evaluation.json": _resumed(
        "scoring", "evaluation.json", "json", RESUMED_SCORING, "shards", "super"
    ),
    "scores": _resumed(
        "scoring", "scores-rank0.jsonl", "jsonl", RESUMED_SCORING, "shards", "super"
    ),
    "list of architectures": Reading(
        ("parts.txt", "super", "shards"),
        ("parts.txt",),
        "text",
        [
            *("scripts/evaluate_architectures.py", *SCORING[:-3], "parts.txt"),
            *("--output_dir", "out"),
        ],
    )._replace(plain=True),
    **{
        name: _resumed("latency", name, "json", RESUMED_LATENCY, "latency_space.json")
        for name in ("latencies.json", "latency_table.json")
    },
    "agora.json": _resumed("agora", "agora.json", "json", RESUMED_AGORA),
    "agora trainings": _resumed("agora", "trainings-rank0.jsonl", "jsonl", RESUMED_AGORA),
    "agora answers": _resumed("agora", "answers-rank0.jsonl", "jsonl", RESUMED_AGORA),
    "agora iterations.json": _resumed("agora", "iterations.json", "json", RESUMED_AGORA),
    "agora models": _resumed("agora", "models/*/model.*", "json", RESUMED_AGORA)._replace(
        late=True
    ),
    # the run of a small model, which ends at once when it is run again
    **{
        f"small model {name}": Reading(
            ("small_model", "deep_teacher", "reviews.csv"),
            (f"small_model/{file}",),
            "json",
            SMALL_MODEL,
            sealed=is_sealed,
            late=is_late,
        )
        for name, file, is_sealed, is_late in (
            ("findings.json", "findings.json", False, False),
            ("run.json", "run.json", False, False),
            # The findings are written before the plan is read, and the plan, which names the folder
            # of today, before a stage's result is.
            ("plan", "stages/experiments/small-model.json", False, True),
            ("scores.json", "stages/done/*/scores.json", True, True),
            # The record of a stage holds its seconds, which no checksum covers.
            ("stage.json", "stages/done/*/stage.json", False, True),
            ("results", "stages/done/*/**/*.*", True, True),
            ("served files", "model/**/*.*", True, True),
        )
    },
}
"""Name of a format → how it is read."""
