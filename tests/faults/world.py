"""The small inputs of all campaigns, made by the project's own commands, each when it is needed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
from pathlib import Path
from typing import Dict, List, Set

from tests.faults import made_files, made_models
from tests.faults.command_folder import CommandFolder, Maker, script
from tests.faults.flags import (
    AGORA,
    CACHE,
    DISTIL,
    FINETUNE_RUN,
    LATENCY,
    PRETRAIN,
    SCORING,
    SEARCH,
    SLICED,
    SMALL_MODEL,
    SUPER,
)


class World(CommandFolder):
    """A folder of small inputs; `part` makes one with everything that it needs.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._made: Set[str] = set()

    def part(self, name: str) -> Path:
        """Return the path of a file or folder, which is made if it does not exist yet."""
        if name not in self._made:
            self._made.add(name)
            for needed in NEEDS.get(name, ()):
                self.part(needed)
            MAKERS[name](self, self.folder / name)
        return self.folder / name

    def copy(self, name: str, folder: Path) -> None:
        """Copy a part, and the parts that commands find next to it, into a folder."""
        source = self.part(name)
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)


MAKERS: Dict[str, Maker] = {
    "corpus.txt": made_files.corpus,
    "wiki.txt": made_files.wikitext,
    "corpus.txt.gz": made_files.packed(lambda content: gzip.compress(content, mtime=0)),
    "corpus.txt.bz2": made_files.packed(bz2.compress),
    "corpus.txt.xz": made_files.packed(lzma.compress),
    "dump.xml": lambda world, path: made_files.write(path, made_files.wikipedia_dump()),
    "dump.xml.bz2": lambda world, path: made_files.write(
        path, bz2.compress(made_files.wikipedia_dump())
    ),
    "vocabulary": script(
        "train_vocabulary", *"--input_file corpus.txt --vocabulary_size 340".split()
    ),
    "words": made_files.wordpiece,
    "byte_bpe": made_files.byte_bpe,
    "merges": made_files.original_vocabulary,
    "shards": script(
        "create_pretraining_data",
        *"--input_file corpus.txt --vocab vocabulary --max_seq_length 32 --split 0.8 0.2".split(),
    ),
    "original_shards": made_files.original_shards,
    "teacher": made_models.pretrained,
    "deep_teacher": made_models.deep_teacher,
    "teacher.params": made_models.mxnet_parameters,
    "cola": made_models.finetuned,
    "rte": made_models.finetuned,
    "bert": made_models.pretrained_on("words", "bert"),
    "bpe": made_models.pretrained_on("byte_bpe", "bpe"),
    "cache": script("cache_teacher_answers", *CACHE),
    "pretraining": made_models.interrupted(
        "run_pretraining_distillation", PRETRAIN, made_models.drop_last_checkpoint
    ),
    "finetuning": made_models.interrupted(
        "finetune", FINETUNE_RUN, made_models.drop_last_checkpoint
    ),
    "distilled": made_models.interrupted("finetune", DISTIL[1:], made_models.drop_last_checkpoint),
    "super_run": made_models.interrupted(
        "train_super_network", SUPER, made_models.drop_last_checkpoint
    ),
    "search": made_models.interrupted(
        "search_architecture",
        SEARCH,
        made_models.drop_last_results(
            "results-rank*.jsonl", 1, "ranking.json", "ranking.csv", "best.json"
        ),
    ),
    "sliced": made_models.interrupted(
        "search_architecture",
        SLICED,
        made_models.drop_last_results(
            "results-rank*.jsonl", 1, "ranking.json", "ranking.csv", "best.json"
        ),
    ),
    "super": made_models.super_network,
    "scoring": made_models.interrupted(
        "evaluate_architectures",
        SCORING,
        made_models.drop_last_results("scores-rank*.jsonl", 1, "scores.json"),
    ),
    "parts.txt": lambda world, path: made_files.write(path, b"largest\n1-1-8-16\n1-2-16-20-8\n"),
    "agora": made_models.interrupted(
        "run_agora",
        AGORA,
        made_models.drop_last_results("trainings-rank*.jsonl", 1, "result.json", "predictions"),
    ),
    "begun": made_models.begun_agora,
    "features": made_models.cached_features,
    "hf": script("export_model", *"--model cola --to huggingface".split()),
    "hf_bert_own": script("export_model", *"--model bert --to huggingface".split()),
    "hf_bpe": script("export_model", *"--model bpe --to huggingface".split()),
    "hf_bert": made_models.bare("hf_bert_own"),
    "hf_roberta": made_models.bare("hf_bpe"),
    "hf_bert_words": made_models.bare("hf_bert_own", "tokenizer.json"),
    "hf_roberta_merges": made_models.bare("hf_bpe", "tokenizer.json"),
    "hf_unigram": made_models.bare("hf"),
    "hf_sharded": made_models.sharded,
    "sentences": made_models.sentence_model,
    "xlm_roberta": made_files.xlm_roberta,
    "onnx": script("export_model", *"--model cola --to onnx".split()),
    "openvino": script("export_model", *"--model cola --to openvino".split()),
    "hyperparameters.json": made_files.json_file(
        [{"lr": 0.5, "optimizer": "sgd", "clip": 1.0, "warmup_ratio": 0.1, "weight_decay": 0.0}]
    ),
    "latency_space.json": made_files.json_file(
        {"depths": [1, 2], "hiddens": [8, 16], "intermediates": [16, 32], "heads": [1, 2]}
    ),
    "latency": script("measure_latency", *LATENCY),
    "space.json": made_files.json_file(
        {"depths": [1, 2], "heads": [2], "hiddens": [16], "intermediates": [16, 32]}
    ),
    "sub-networks.json": made_files.json_file(
        {"depths": {"from": 1, "to": 2}, "hiddens": [8, 16], "intermediates": [32], "heads": [1, 2]}
    ),
    "best.json": made_files.json_file(
        {"architecture": {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32}}
    ),
    "small.json": made_files.json_file(
        {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32, "vocabulary_size": 340}
    ),
    "sets.json": made_files.json_file(
        [{"seed": 0, "lr": 2e-3, "weight_decay": 0.0, "warmup_ratio": 0.1}]
    ),
    "tasks": made_files.task_folder,
    "messages.csv": made_files.own_table,
    "topics.jsonl": made_files.own_table,
    "reviews.csv": made_files.reviews_table,
    "small_model": lambda world, path: world.run(*SMALL_MODEL) and None,
    "messages.json": made_files.json_file(
        {
            "name": "messages",
            "fields": ["message"],
            "label_column": "kind",
            "labels": ["order", "repair"],
            "metrics": ["accuracy"],
            "formulation": "single sentence",
            "files": {"train": "messages.csv"},
            "split_seed": 1,
            "dev_share": 0.1,
        }
    ),
    "CoLA.zip": made_files.zip_archive,
    "RACE.tar.gz": made_files.tar_archive,
    "in.txt": made_files.question_lines,
    "masked.txt": made_files.question_lines,
    "in.tsv": made_files.question_lines,
    "in.jsonl": made_files.question_lines,
    "in.csv": made_files.question_lines,
    "RTE.tsv": made_files.task_predictions,
    "answers.json": made_files.passage_answers,
}

NEEDS: Dict[str, List[str]] = {
    "latency": ["latency_space.json"],
    "wiki.txt": ["corpus.txt"],
    "corpus.txt.gz": ["corpus.txt"],
    "corpus.txt.bz2": ["corpus.txt"],
    "corpus.txt.xz": ["corpus.txt"],
    "vocabulary": ["corpus.txt"],
    "words": ["corpus.txt"],
    "merges": ["hf_bpe"],
    "shards": ["vocabulary"],
    "original_shards": ["vocabulary"],
    "teacher": ["shards"],
    "teacher.params": ["teacher"],
    "bert": ["words"],
    "bpe": ["byte_bpe", "corpus.txt"],
    "cache": ["teacher"],
    "pretraining": ["teacher"],
    "search": ["teacher"],
    "sliced": ["teacher"],
    "super": ["teacher"],
    "super_run": ["teacher"],
    "distilled": ["cola", "in.txt"],
    "scoring": ["super"],
    "reviews.csv": ["corpus.txt"],
    "deep_teacher": ["vocabulary"],
    "small_model": ["deep_teacher", "reviews.csv"],
    "begun": ["agora"],
    "hf": ["cola"],
    "hf_bert_own": ["bert"],
    "hf_bpe": ["bpe"],
    "hf_bert": ["hf_bert_own"],
    "hf_roberta": ["hf_bpe"],
    "hf_bert_words": ["hf_bert_own"],
    "hf_roberta_merges": ["hf_bpe"],
    "hf_unigram": ["hf"],
    "hf_sharded": ["hf_bert"],
    "sentences": ["hf_bert"],
    "onnx": ["cola"],
    "openvino": ["cola"],
}
