"""Every format that is read: its files, and the shortest command that reads them."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from tests.faults.world import (
    AGORA,
    CACHE,
    DATA,
    DISTIL,
    FINETUNE,
    FINETUNE_RUN,
    LATENCY,
    PRETRAIN,
    SCORING,
    SEARCH,
    SLICED,
    SMALL_MODEL,
    SUPER,
)

PREDICT = ["scripts/predict.py", "--engine", "mxnet", "--model"]
CREATE = [
    *("scripts/create_pretraining_data.py --num_workers 1 --max_seq_length 32".split()),
    *("--output_dir out".split()),
]
TRAIN = ["scripts/run_pretraining_distillation.py"]
ONE_STEP = [*TRAIN, *DATA, "--num_steps", "1", "--ckpt_dir", "out"]
EVALUATE = "scripts/evaluate.py --task_name".split()


class Reading(NamedTuple):
    """A format with a command that reads it.

    Attributes:
        parts: parts of the world that the command needs.
        files: globs of the files to mutate, relative to the trial's folder.
        kind: kind of mutations, of `tests.faults.mutations.KINDS`.
        command: script and flags.
        given: the part that is the command's standard input.
        sealed: whether the format has checksums, so that no changed content may be accepted.
        plain: whether any content is a file of the format, as for text: a part of it, too, or it
            twice.
        late: whether the file is read in the middle of the work, when files have been written.
    """

    parts: Tuple[str, ...]
    files: Tuple[str, ...]
    kind: str
    command: List[str]
    given: str = ""
    sealed: bool = False
    plain: bool = False
    late: bool = False


def _model(part: str, name: str, kind: str, *flags: str, sealed: bool = True) -> Reading:
    return Reading((part,), (f"{part}/{name}",), kind, [*PREDICT, part, *flags], "in.txt", sealed)


def _vocabulary(part: str, name: str, kind: str, sealed: bool = False) -> Reading:
    command = [*CREATE, "--input_file", "corpus.txt", "--vocab", part]
    return Reading(("corpus.txt", part), (f"{part}/{name}",), kind, command, sealed=sealed)


def _imported(part: str, name: str, kind: str) -> Reading:
    command = ["scripts/import_model.py", "--source", part, "--output_dir", "out"]
    return Reading((part,), (f"{part}/{name}",), kind, command)


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


OWN_TASK = ["scripts/finetune.py", "--task_name", "messages.json", *FINETUNE, "--epochs", "1"]
DESCRIBE = "scripts/describe_task.py messages.csv --text_columns message --label_column".split()
DESCRIBE_TOPICS = [
    *("scripts/describe_task.py topics.jsonl --text_columns message".split()),
    *("--label_column topics --kind labels".split()),
]
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
EXTRACT = ["tests/faults/extract.py"]


def _resumed(part: str, files: str, kind: str, command: List[str], *needs: str) -> Reading:
    return Reading((part, *needs), (f"{part}/{files}",), kind, command)


READINGS: Dict[str, Reading] = {
    # model folders of this toolkit
    "model.json": _model("cola", "model.json", "json"),
    "model.safetensors": _model("cola", "model.safetensors", "binary"),
    "model vocabulary.json": _model("cola", "vocabulary/vocabulary.json", "json"),
    "model sentencepiece.model": _model("cola", "vocabulary/sentencepiece.model", "binary"),
    "pre-trained model.json": _model("teacher", "model.json", "json", "--task", "embeddings"),
    # vocabularies
    "vocabulary.json": _vocabulary("vocabulary", "vocabulary.json", "json", True),
    "sentencepiece.model": Reading(
        ("corpus.txt", "vocabulary"),
        ("vocabulary/sentencepiece.model",),
        "binary",
        [*CREATE, "--input_file", "corpus.txt", "--vocab", "vocabulary/sentencepiece.model"],
    ),
    "vocab.txt": _vocabulary("words", "vocab.txt", "text")._replace(plain=True),
    "tokenizer_config.json": _vocabulary("words", "tokenizer_config.json", "json"),
    "byte BPE": _vocabulary("byte_bpe", "*", "json", True),
    "vocab.json": _vocabulary("merges", "vocab.json", "json"),
    "merges.txt": _vocabulary("merges", "merges.txt", "text"),
    # Hugging Face folders, with and without this toolkit's record
    "bort.json": _model("hf", "bort.json", "json"),
    "HF config.json": _model("hf_bert", "config.json", "json", sealed=False)._replace(
        given="masked.txt"
    ),
    "HF model.safetensors": _imported("hf_roberta", "model.safetensors", "binary"),
    "HF vocab.txt": _imported("hf_bert_words", "vocab.txt", "text")._replace(plain=True),
    "HF tokenizer_config.json": _imported("hf_bert_words", "tokenizer_config.json", "json"),
    "HF WordPiece tokenizer.json": _imported("hf_bert", "tokenizer.json", "json"),
    "HF tokenizer.json": _imported("hf_unigram", "tokenizer.json", "json"),
    "HF special_tokens_map.json": _imported("hf_roberta", "special_tokens_map.json", "json"),
    "HF byte-BPE config.json": _imported("hf_roberta", "config.json", "json"),
    "HF byte-BPE tokenizer.json": _imported("hf_roberta", "tokenizer.json", "json"),
    "HF vocab.json": _imported("hf_roberta_merges", "vocab.json", "json"),
    "HF merges.txt": _imported("hf_roberta_merges", "merges.txt", "text"),
    "HF index.json": _imported("hf_sharded", "model.safetensors.index.json", "json"),
    "HF sharded safetensors": _imported("hf_sharded", "model-*.safetensors", "binary"),
    **{
        name: _model("sentences", file, "json", "--task", "embeddings", sealed=False)
        for name, file in (
            ("modules.json", "modules.json"),
            ("pooling config.json", "1_Pooling/config.json"),
            ("sentence_bert_config.json", "sentence_bert_config.json"),
        )
    },
    "sentencepiece.bpe.model": _vocabulary("xlm_roberta", "*.model", "binary"),
    # exported folders
    "onnx.json": _model("onnx", "onnx.json", "json", "--engine", "onnxruntime"),
    "model.onnx": _model("onnx", "model.onnx", "binary", "--engine", "onnxruntime"),
    "openvino.json": _model("openvino", "openvino.json", "json", "--engine", "openvino"),
    "openvino.xml": _model("openvino", "openvino.xml", "text", "--engine", "openvino"),
    "openvino.bin": _model("openvino", "openvino.bin", "binary", "--engine", "openvino"),
    # MXNet
    ".params": Reading(
        ("teacher.params", "small.json", "vocabulary", "tasks"),
        ("teacher.params",),
        "binary",
        [
            *("scripts/finetune.py", "--task_name", "COPA", *FINETUNE[1:], "--epochs", "1"),
            *("--pretrained_parameters teacher.params --architecture small.json".split()),
            *("--vocab vocabulary --data_dir tasks --output_dir out".split()),
        ],
    ),
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
