"""Formats of what users give: settings, tasks, texts, archives."""

from __future__ import annotations

from typing import Dict

from tests.faults.flags import AGORA, CREATE, DISTIL, FINETUNE, ONE_STEP, PREDICT, SEARCH
from tests.faults.reading import Reading

EVALUATE = "scripts/evaluate.py --task_name".split()
OWN_TASK = ["scripts/finetune.py", "--task_name", "messages.json", *FINETUNE, "--epochs", "1"]
DESCRIBE = "scripts/describe_task.py messages.csv --text_columns message --label_column".split()
DESCRIBE_TOPICS = [
    *("scripts/describe_task.py topics.jsonl --text_columns message".split()),
    *("--label_column topics --kind labels".split()),
]
EXTRACT = ["tests/faults/extract.py"]


def _corpus(name: str, kind: str) -> Reading:
    command = [*CREATE, "--input_file", name, "--vocab", "vocabulary"]
    return Reading((name, "vocabulary"), (name,), kind, command, plain=True)


def _dump(name: str, kind: str) -> Reading:
    command = ["scripts/extract_wikipedia.py", name, *"--num_workers 1 --output_dir out".split()]
    return Reading((name,), (name,), kind, command, plain=True)


def _task(name: str, files: str, kind: str, *flags: str) -> Reading:
    train = ["scripts/finetune.py", "--task_name", name, *FINETUNE[1:], "--epochs", "1"]
    data = ["--data_dir", "tasks", "--vocab", "vocabulary", "--architecture", "1-2-16-32"]
    command = [*train, *data, *flags, "--pretrained_parameters", "teacher", "--output_dir", "out"]
    parts = ("tasks", "vocabulary", "teacher")
    return Reading(parts, (f"tasks/{files}",), kind, command, plain=True)


INPUTS: Dict[str, Reading] = {
    "own table": Reading(
        ("messages.csv",), ("messages.csv",), "text", [*DESCRIBE, "kind"], plain=True
    ),
    "own table of several labels": Reading(
        ("topics.jsonl",), ("topics.jsonl",), "jsonl", DESCRIBE_TOPICS, plain=True
    ),
    "task file": Reading(
        ("messages.csv", "messages.json"),
        ("messages.json",),
        "json",
        [*OWN_TASK, "--output_dir", "out"],
    ),
    "unlabelled": Reading(
        ("cola", "in.txt"), ("in.txt",), "text", [*DISTIL, "--output_dir", "out"]
    )._replace(plain=True),
    # settings files
    "hyperparameters.json": Reading(
        ("hyperparameters.json", "shards", "teacher"),
        ("hyperparameters.json",),
        "json",
        [
            *("scripts/search_architecture.py", *SEARCH, "--output_dir", "out"),
            *("--hyperparameters", "hyperparameters.json"),
        ],
    ),
    "space.json": Reading(
        ("space.json", "shards", "teacher"),
        ("space.json",),
        "json",
        [
            *("scripts/search_architecture.py --data shards --teacher_model teacher".split()),
            *("--cpu_only --epsilon 1 --latency multiply_adds --train_steps 1".split()),
            *("--held_out_batches 1 --batch_size 4 --threads 1".split()),
            *("--space space.json --output_dir out".split()),
        ],
    ),
    "architecture.json": Reading(
        ("best.json", "shards"),
        ("best.json",),
        "json",
        [*ONE_STEP, "--teacher_model", "none", "--architecture", "best.json"],
    ),
    "sets.json": Reading(
        ("sets.json", "begun"),
        ("sets.json",),
        "json",
        [
            *("scripts/run_agora.py", *AGORA[:9], "--sources", "dev", "--points_per_source", "2"),
            *("--balance none --threads 1 --chs sets.json --output_dir begun".split()),
        ],
    ),
    "points.jsonl": Reading(
        ("agora", "begun"),
        ("agora/points.jsonl",),
        "jsonl",
        ["scripts/run_agora.py", *AGORA, *"--points agora/points.jsonl --output_dir begun".split()],
    )._replace(plain=True),
    # tasks
    "features": Reading(
        ("features",),
        ("features/**/*.*",),
        "json",
        [
            *("scripts/finetune.py", *FINETUNE, *"--task_name COPA --epochs 1".split()),
            *("--output_dir out --cache_dir features".split()),
        ],
    ),
    "CoLA tsv": _task("CoLA", "GLUE/CoLA/*.tsv", "text"),
    "STS-B tsv": _task("STS-B", "GLUE/STS-B/*.tsv", "text"),
    "MNLI tsv": _task("MNLI", "GLUE/MNLI/*.tsv", "text"),
    "CB jsonl": _task("CB", "SuperGLUE/CB/*.jsonl", "jsonl"),
    "COPA jsonl": _task("COPA", "SuperGLUE/COPA/*.jsonl", "jsonl"),
    "MultiRC jsonl": _task("MultiRC", "SuperGLUE/MultiRC/*.jsonl", "jsonl"),
    "ReCoRD jsonl": _task("ReCoRD", "SuperGLUE/ReCoRD/*.jsonl", "jsonl"),
    "WSC jsonl": _task("WSC", "SuperGLUE/WSC/*.jsonl", "jsonl"),
    "RACE txt": _task("RACE-H", "RACE/*/high/*.txt", "json"),
    "SQuAD json": _task("SQuAD2.0", "SQuAD/*-v2.0.json", "json", "--max_query_length", "8"),
    "answers json": Reading(
        ("answers.json",),
        ("answers.json",),
        "json",
        [*EVALUATE, "SQuAD2.0", "--sample", "--predictions", "answers.json"],
    )._replace(plain=True),
    "SQuAD gold json": Reading(
        ("answers.json", "tasks"),
        ("tasks/SQuAD/dev-v2.0.json",),
        "json",
        [*EVALUATE, "SQuAD2.0", "--data_dir", "tasks", "--predictions", "answers.json"],
    )._replace(plain=True),
    "predictions tsv": Reading(
        ("RTE.tsv",),
        ("RTE.tsv",),
        "text",
        [*EVALUATE, "RTE", "--sample", "--predictions", "RTE.tsv"],
    ),
    "gold tsv": Reading(
        ("RTE.tsv", "tasks"),
        ("tasks/GLUE/RTE/dev.tsv",),
        "text",
        [*EVALUATE, "RTE", "--data_dir", "tasks", "--predictions", "RTE.tsv"],
    ),
    # text
    "corpus": _corpus("corpus.txt", "text"),
    "wikitext": _corpus("wiki.txt", "text"),
    "dump": _dump("dump.xml", "text"),
    "dump bz2": _dump("dump.xml.bz2", "packed"),
    "corpus gz": _corpus("corpus.txt.gz", "packed"),
    "corpus bz2": _corpus("corpus.txt.bz2", "packed"),
    "corpus xz": _corpus("corpus.txt.xz", "packed"),
    "corpus of a vocabulary": Reading(
        ("corpus.txt",),
        ("corpus.txt",),
        "text",
        "scripts/train_vocabulary.py --vocabulary_size 340 --input_file corpus.txt".split()
        + ["--output_dir", "out"],
    )._replace(plain=True),
    "lines txt": Reading(
        ("cola", "in.txt"), ("in.txt",), "text", [*PREDICT, "cola", "--input", "in.txt"]
    )._replace(plain=True),
    "lines tsv": Reading(
        ("rte", "in.tsv"),
        ("in.tsv",),
        "text",
        [*PREDICT, "rte", "--input", "in.tsv", "--input_format", "tsv"],
    )._replace(plain=True),
    "lines csv": Reading(
        ("rte", "in.csv"),
        ("in.csv",),
        "text",
        [*PREDICT, "rte", "--input", "in.csv", "--input_format", "csv"],
    )._replace(plain=True),
    "lines jsonl": Reading(
        ("rte", "in.jsonl"),
        ("in.jsonl",),
        "jsonl",
        [*PREDICT, "rte", "--input", "in.jsonl", "--input_format", "jsonl"],
    )._replace(plain=True),
    # archives
    "zip": Reading(("CoLA.zip",), ("CoLA.zip",), "packed", [*EXTRACT, "CoLA.zip", "out"]),
    "tar.gz": Reading(
        ("RACE.tar.gz",), ("RACE.tar.gz",), "packed", [*EXTRACT, "RACE.tar.gz", "out"]
    ),
}
"""Name of a format → how it is read."""
