"""Every command that is killed: its inputs, its flags, and how it is continued."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Tuple

from tests.faults.flags import (
    AGORA,
    CACHE,
    DATA,
    DISTIL,
    FINETUNE,
    PRETRAIN,
    SCORING,
    SEARCH,
    SUPER,
)

CREATE = [
    *("scripts/create_pretraining_data.py --input_file corpus.txt --vocab vocabulary".split()),
    *("--max_seq_length 32 --split 0.8 0.2 --output_dir out".split()),
]
EXTRACT_WIKIPEDIA = "scripts/extract_wikipedia.py dump.xml.bz2 --output_dir out".split()
TRAIN = ["scripts/run_pretraining_distillation.py"]


class Killed(NamedTuple):
    """A command that writes something.

    Attributes:
        parts: parts of the world that it needs.
        command: script and flags; it writes `out` (a file or folder).
        again: flags that continue it after a kill.
        fresh: run in a new interpreter; for commands that fork workers.
        before: a part that is copied to `out` first, which the command replaces.
        prints: whether the printed text is the result.
    """

    parts: Tuple[str, ...]
    command: List[str]
    again: Tuple[str, ...] = ()
    fresh: bool = False
    before: str = ""
    prints: bool = False


def _anew(killed: Killed) -> Killed:
    """Return a command that starts in a new interpreter, so that it is killed in imports, too."""
    return killed._replace(fresh=True)


RESUME = ("--resume",)
COMMANDS: Dict[str, Killed] = {
    "generate_english": Killed(
        (), "scripts/generate_english.py --num_documents 40 --output_file out".split()
    ),
    "generate_tasks": Killed(
        (),
        "scripts/generate_tasks.py --output_dir out --train_size 40 --dev_size 10 --report_size 10 "
        "--tasks entailment".split(),
    ),
    "describe_task": Killed(
        ("messages.csv",),
        "scripts/describe_task.py messages.csv --text_columns message --label_column kind".split()
        + ["--output", "out.json"],
    ),
    "train_vocabulary": Killed(
        ("corpus.txt",),
        "scripts/train_vocabulary.py --input_file corpus.txt --vocabulary_size 340".split()
        + ["--output_dir", "out"],
    ),
    "extract_wikipedia": Killed(
        ("dump.xml.bz2",), [*EXTRACT_WIKIPEDIA, "--num_workers", "1"], RESUME
    ),
    "extract_wikipedia on 2 workers": Killed(
        ("dump.xml.bz2",), [*EXTRACT_WIKIPEDIA, "--num_workers", "2"], RESUME, fresh=True
    ),
    "create_pretraining_data": Killed(
        ("corpus.txt", "vocabulary"), [*CREATE, "--num_workers", "1"]
    ),
    "create_pretraining_data on 2 workers": Killed(
        ("corpus.txt", "vocabulary"), [*CREATE, "--num_workers", "2"], fresh=True
    ),
    "create_pretraining_data --overwrite": Killed(
        ("corpus.txt", "vocabulary"),
        [*CREATE, "--num_workers", "1", "--random_seed", "7", "--overwrite"],
        before="shards",
    ),
    "cache_teacher_answers": Killed(
        ("shards", "teacher"), ["scripts/cache_teacher_answers.py", *CACHE, "--output_dir", "out"]
    ),
    "pre-training": Killed(("shards", "teacher"), [*TRAIN, *PRETRAIN, "--ckpt_dir", "out"], RESUME),
    "pre-training from a cache": Killed(
        ("shards", "cache"),
        [
            *(*TRAIN, *DATA, "--teacher_cache", "cache", "--num_steps", "6"),
            *("--ckpt_interval 1 --log_interval 1 --ckpt_dir out".split()),
        ],
        RESUME,
    ),
    "pre-training from its teacher's weights": Killed(
        ("shards", "teacher"),
        [*TRAIN, *PRETRAIN, "--initialise_from", "teacher", "--ckpt_dir", "out"],
        RESUME,
    ),
    "fine-tuning": Killed(
        (),
        [
            *("scripts/finetune.py", "--task_name", "COPA", *FINETUNE, "--epochs", "3"),
            *("--ckpt_interval 1 --log_interval 1 --output_dir out".split()),
        ],
        RESUME,
    ),
    "fine-tuning from a teacher": Killed(
        ("cola", "in.txt"),
        [
            *("scripts/finetune.py", "--task_name", "CoLA", *FINETUNE, "--epochs", "2"),
            *("--teacher cola --unlabelled in.txt --ckpt_interval 1 --log_interval 1".split()),
            *("--output_dir", "out"),
        ],
        RESUME,
    ),
    "fine-tuning of 2 seeds": Killed(
        (),
        [
            *("scripts/finetune.py", "--task_name", "CB", *FINETUNE, "--epochs", "1"),
            *("--seeds 2 --ckpt_interval 2 --output_dir out".split()),
        ],
        RESUME,
    ),
    "fine-tuning on a teacher": Killed(
        ("cola", "in.txt"), [*DISTIL, "--output_dir", "out"], RESUME
    ),
    "search": Killed(
        ("shards", "teacher"),
        ["scripts/search_architecture.py", *SEARCH, "--output_dir", "out"],
        RESUME,
    ),
    "super-network": Killed(
        ("shards", "teacher"),
        ["scripts/train_super_network.py", *SUPER, "--output_dir", "out"],
        RESUME,
    ),
    "take out a sub-network": Killed(
        ("super",),
        "scripts/extract_model.py --super_network super --architecture smallest".split()
        + ["--output_dir", "out"],
    ),
    "score sub-networks": Killed(
        ("super", "shards"),
        ["scripts/evaluate_architectures.py", *SCORING, "--output_dir", "out"],
        RESUME,
    ),
    "agora": Killed(
        (), ["scripts/run_agora.py", *AGORA, "--output_dir", "out"], RESUME, before="begun"
    ),
    "agora with its sample": Killed(
        (), ["scripts/run_agora.py", *AGORA, "--output_dir", "out"], RESUME
    ),
    "predict": Killed(
        ("cola", "in.txt"),
        "scripts/predict.py --engine mxnet --model cola --input in.txt --output out".split(),
        before="in.jsonl",
    ),
    "export to Hugging Face": Killed(
        ("cola",), "scripts/export_model.py --model cola --to huggingface --output_dir out".split()
    ),
    "export to ONNX": Killed(
        ("cola",), "scripts/export_model.py --model cola --to onnx --output_dir out".split()
    ),
    "export to OpenVINO": Killed(
        ("cola",), "scripts/export_model.py --model cola --to openvino --output_dir out".split()
    ),
    "import": Killed(("hf",), "scripts/import_model.py --source hf --output_dir out".split()),
    "evaluate": Killed(
        ("RTE.tsv",),
        "scripts/evaluate.py --task_name RTE --sample --predictions RTE.tsv".split(),
        prints=True,
    ),
}
"""Name → command."""
COMMANDS.update(
    {
        f"{name}, started anew": _anew(COMMANDS[name])
        for name in ("predict", "fine-tuning", "export to OpenVINO", "train_vocabulary")
    }
)
