"""The small inputs of all campaigns, made by the project's own commands, each when it is needed."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Set

import numpy as np

from tests.faults.children import ROOT, run_child

SMALL = "--architecture 1-2-16-32 --batch_size 4 --cpu_only".split()
DATA = ["--data", "shards", *SMALL]
SEARCH = [
    *("--data shards --teacher_model teacher --heads 2 --hiddens 16 --cpu_only".split()),
    *("--depths 1 2 --intermediates 16 32 --epsilon 1 --seeds 2 --latency multiply_adds".split()),
    *("--train_steps 2 --held_out_batches 1 --batch_size 4 --threads 1".split()),
]
SLICED = [*SEARCH, *"--initialise_from teacher --depths 1 --even_depth false".split()]
AGORA = [
    *("--task WSC --sample --allow_weak_socrates --cpu_only --max_len 64 --epochs 1".split()),
    *("--seeds 0 --lrs 2e-3 1e-3 --weight_decays 0 --warmup_ratios 0.1 --sources dev".split()),
    *("--points_per_source 2 --balance none --threads 1".split()),
]
SUPER = [
    *("--data shards --data_eval shards --start teacher --teacher_model teacher".split()),
    *("--hiddens 8 16 --intermediates 16 32 --qkvs 8 16 --hidden_weight 1 --cpu_only".split()),
    *("--num_steps 6 --ckpt_interval 2 --log_interval 1 --eval_interval 3".split()),
    *("--batch_size 4 --importance_batches 1".split()),
]
SCORING = [
    *("--super_network super --data shards --held_out_batches 1 --batch_size 4".split()),
    *("--architectures largest smallest 1-1-16-16".split()),
]
LATENCY = [
    *("--space latency_space.json --architecture 2-2-16-32 --engine mxnet --length 8".split()),
    *("--repeats 1 --count 6 --held_out 0".split()),
]
FINETUNE = "--sample --max_len 32 --lr 1e-3 --gpu false".split()
DISTIL = [
    *("scripts/finetune.py", "--task_name", "CoLA", *FINETUNE, "--teacher", "cola"),
    *("--unlabelled in.txt --initialise_from teacher --architecture 1-2-16-16".split()),
    *("--relation_weight 1 --kept_features_gb 1 --epochs 2".split()),
    *("--ckpt_interval 1 --log_interval 1".split()),
]
SMALL_MODEL = [
    *("scripts/make_small_model.py --teacher deep_teacher --data reviews.csv".split()),
    *("--parameters 9500 --hours 20s --least_steps 0 --baseline false".split()),
    *("--agora never --max_len 32 --engine mxnet --gpu false --output_dir small_model".split()),
]
CACHE = [
    *("--data shards --teacher_model teacher --cpu_only --batch_size 8".split()),
    *("--rows_per_part 100 --top_k 8".split()),
]


class World:
    """A folder of small inputs; `part` makes one with everything that it needs.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
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

    def run(self, *command: str) -> bytes:
        """Run a command in the folder; return what it prints."""
        streams = self.folder / "streams"
        done = run_child(command, self.folder, streams)
        if done.status != 0:
            raise AssertionError(f"{' '.join(command)}: {done.said[-2000:]}")
        return done.printed


def _script(name: str, *flags: str, output: str = "--output_dir") -> Callable[[World, Path], None]:
    def make(world: World, path: Path) -> None:
        world.run(f"scripts/{name}.py", *flags, output, path.name)

    return make


def _corpus(world: World, path: Path) -> None:
    world.run(*"scripts/generate_english.py --num_documents 60 --output_file corpus.txt".split())


def _wikitext(world: World, path: Path) -> None:
    text = (world.folder / "corpus.txt").read_text(encoding="utf-8")
    documents = [" ".join(one.split("\n")) for one in text.split("\n\n")][:20]
    lines = [f" = Title {n} = \n\n {body} \n\n = = Part = = \n" for n, body in enumerate(documents)]
    path.write_text("".join(lines), encoding="utf-8")


def _packed(pack: Callable[[bytes], bytes]) -> Callable[[World, Path], None]:
    return lambda world, path: _write(path, pack((world.folder / "corpus.txt").read_bytes()))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _teacher(world: World, path: Path) -> None:
    steps = "--teacher_model none --num_steps 4 --ckpt_dir teacher_run".split()
    world.run("scripts/run_pretraining_distillation.py", *DATA, *steps)
    shutil.move(str(world.folder / "teacher_run" / "model"), path)


def _finetuned(world: World, path: Path) -> None:
    run = f"{path.name}_run"
    task = {"cola": "CoLA", "rte": "RTE"}[path.name]
    flags = ["--task_name", task, "--epochs", "1", "--output_dir", run]
    world.run("scripts/finetune.py", *FINETUNE, *flags)
    shutil.move(str(world.folder / run / "model"), path)


def _wordpiece(world: World, path: Path) -> None:
    """Write a vocabulary of BERT's kind: the words of the corpus and its characters."""
    text = (world.folder / "corpus.txt").read_text(encoding="utf-8").lower()
    words = sorted({word.strip(".,!?\"'—") for word in text.split()})[:200]
    characters = sorted(set(text) - {" ", "\n"})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = dict.fromkeys([*special, *characters, *(f"##{c}" for c in characters), *words])
    path.mkdir()
    lines = "".join(f"{token}\n" for token in tokens if token)
    (path / "vocab.txt").write_text(lines, encoding="utf-8")
    (path / "tokenizer_config.json").write_text('{"do_lower_case": true}\n', encoding="utf-8")


def _byte_bpe(world: World, path: Path) -> None:
    from tests.text.tiny_vocabulary import tiny_vocabulary

    tiny_vocabulary().save(path)


def _original_vocabulary(world: World, path: Path) -> None:
    """Write the byte-BPE vocabulary as Hugging Face's pair of files."""
    path.mkdir()
    for file in sorted((world.folder / "hf_bpe").iterdir()):
        if file.name in ("vocab.json", "merges.txt"):
            shutil.copy2(file, path / file.name)


def _deep_teacher(world: World, path: Path) -> None:
    """Write a network of random weights that has enough parts for a search."""
    from bort.architecture import Architecture
    from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
    from bort.network.random_network import random_network
    from bort.text.vocabularies import load_vocabulary

    vocabulary = load_vocabulary(world.folder / "vocabulary")
    sizes = Architecture(2, 2, 16, 64, len(vocabulary), maximum_length=32)
    network = random_network(sizes, 0).replace(vocabulary_fingerprint=vocabulary.fingerprint)
    path.mkdir()
    write_model_folder(path, network.description, network.arrays)
    vocabulary.save(path / VOCABULARY_FOLDER)


def _teacher_of(vocabulary: str, name: str) -> Callable[[World, Path], None]:
    def make(world: World, path: Path) -> None:
        shards, run = f"{name}_shards", f"{name}_run"
        create = ["--input_file", "corpus.txt", "--vocab", vocabulary, "--max_seq_length", "32"]
        world.run("scripts/create_pretraining_data.py", *create, "--output_dir", shards)
        steps = ["--teacher_model", "none", "--num_steps", "1", "--ckpt_dir", run]
        train = ["scripts/run_pretraining_distillation.py", "--data", shards, *SMALL, *steps]
        world.run(*train)
        shutil.move(str(world.folder / run / "model"), path)

    return make


def _bare(source: str, *without: str) -> Callable[[World, Path], None]:
    """Make a Hugging Face folder as others publish it: without this toolkit's own record."""

    def make(world: World, path: Path) -> None:
        shutil.copytree(world.folder / source, path)
        for name in ("bort.json", "vocabulary.json", "sentencepiece.model", *without):
            if (path / name).exists():
                (path / name).unlink()
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        config.pop("bort", None)
        (path / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")

    return make


def _sharded(world: World, path: Path) -> None:
    """Split the weights of a Hugging Face folder over two files with an index."""
    import safetensors.numpy

    shutil.copytree(world.folder / "hf_bert", path)
    weights = safetensors.numpy.load_file(str(path / "model.safetensors"))
    (path / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    place = {name: names[number % 2] for number, name in enumerate(sorted(weights))}
    for file in names:
        part = {name: weights[name] for name in weights if place[name] == file}
        safetensors.numpy.save_file(part, str(path / file), {"format": "pt"})
    size = sum(array.nbytes for array in weights.values())
    index = {"metadata": {"total_size": size}, "weight_map": place}
    _json_file(index)(world, path / "model.safetensors.index.json")


def _sentences(world: World, path: Path) -> None:
    """Write a folder of sentence-transformers around a Hugging Face folder."""
    shutil.copytree(world.folder / "hf_bert", path)
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            **{"idx": number, "name": str(number)},
            **{"path": f"{number}_{kind}" if number else ""},
            **{"type": f"sentence_transformers.models.{kind}"},
        }
        for number, kind in enumerate(kinds)
    ]
    _json_file(modules)(world, path / "modules.json")
    (path / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    _json_file(pooling)(world, path / "1_Pooling" / "config.json")
    _json_file({"max_seq_length": 12})(world, path / "sentence_bert_config.json")


def _xlm_roberta(world: World, path: Path) -> None:
    """Write the tokenizer of an XLM-RoBERTa: a SentencePiece model with fairseq's ids."""
    from tests.text.hugging_face_folders import sentencepiece_folder

    sentencepiece_folder(path, "xlm-roberta")


def _original_shards(world: World, path: Path) -> None:
    path.mkdir()
    generator = np.random.default_rng(0)
    ids = generator.integers(10, 300, size=(40, 16)).astype(np.int32)
    np.savez_compressed(
        path / "part-000.npz",
        input_ids=ids,
        masked_lm_ids=ids[:, 2:4].copy(),
        masked_lm_positions=np.tile(np.array([[2, 3]], np.int32), (40, 1)),
        masked_lm_weights=np.ones((40, 2), np.float32),
        valid_lengths=np.full(40, 16, np.int32),
        segment_ids=np.zeros((40, 16), np.int32),
        next_sentence_labels=np.zeros(40, np.int32),
    )


def _parameters(world: World, path: Path) -> None:
    world.run("tests/faults/save_parameters.py", "teacher", path.name)


def _interrupted(
    script: str, flags: List[str], done: Callable[[Path], None]
) -> Callable[[World, Path], None]:
    """Make a run that is not complete: it lacks what `done` removes."""

    def make(world: World, path: Path) -> None:
        option = "--ckpt_dir" if "pretraining" in script else "--output_dir"
        world.run(f"scripts/{script}.py", *flags, option, path.name)
        done(path)

    return make


def _drop_last_checkpoint(folder: Path) -> None:
    shutil.rmtree(sorted(folder.glob("step-*"))[-1])


def _drop_last_results(pattern: str, count: int, *more: str) -> Callable[[Path], None]:
    def drop(folder: Path) -> None:
        for path in folder.glob(pattern):
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(lines[:-count]))
        for name in more:
            found = folder / name
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)

    return drop


def _super_network(world: World, path: Path) -> None:
    """Write a super-network of the teacher's weights, with a map as distillation leaves it."""
    from bort.network.model_folder import read_model_folder
    from bort.super_network.folder import SuperNetworkRecord, write_super_network
    from bort.super_network.space import SubNetworkSpace
    from bort.text.vocabularies import load_vocabulary

    teacher = world.folder / "teacher"
    space = SubNetworkSpace((1,), (8, 16), (16, 32), heads=(1, 2))
    hidden_map = {"weight": np.eye(16, dtype=np.float32), "bias": np.zeros(16, np.float32)}
    write_super_network(
        path,
        SuperNetworkRecord(space, layer_order=(0,), steps=4),
        read_model_folder(teacher),
        load_vocabulary(teacher / "vocabulary"),
        hidden_map,
    )


def _cached_features(world: World, path: Path) -> None:
    flags = "--task_name COPA --epochs 1 --output_dir features_run --cache_dir features".split()
    world.run("scripts/finetune.py", *FINETUNE, *flags)


def _begun(world: World, path: Path) -> None:
    """Keep the sample's models of a run of Agora: making them takes half of its time."""
    shutil.copytree(world.folder / "agora" / "sample", path / "sample")


def _json_file(value: Any) -> Callable[[World, Path], None]:
    return lambda world, path: _write(path, json.dumps(value, indent=1).encode())


def _tasks(world: World, path: Path) -> None:
    shutil.copytree(ROOT / "test_data" / "tasks", path)


def _own_table(world: World, path: Path) -> None:
    shutil.copy(ROOT / "test_data" / "own_task" / path.name, path)


def _reviews(world: World, path: Path) -> None:
    """Write a table of 130 texts of the corpus, labelled by their length."""
    text = (world.folder / "corpus.txt").read_text(encoding="utf-8")
    lines = [line for line in dict.fromkeys(text.split("\n")) if line and '"' not in line][:130]
    middle = sorted(map(len, lines))[len(lines) // 2]
    rows = [f'"{line}",{"short" if len(line) < middle else "long"}' for line in lines]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")


def _zip(world: World, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((ROOT / "test_data" / "tasks" / "GLUE" / "CoLA").iterdir()):
            archive.write(file, f"CoLA/{file.name}")


def _tar(world: World, path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(ROOT / "test_data" / "tasks" / "RACE", "RACE")


def _lines(world: World, path: Path) -> None:
    texts = ["The old house is quiet.", "quiet is house The", "A ferry — 1,250 crowns!", "Rain."]
    lines = {
        "txt": texts,
        "tsv": [f"{text}\tIt is so." for text in texts],
        "jsonl": [json.dumps({"sentence1": text, "sentence2": "It is so."}) for text in texts],
        "csv": ["sentence1,sentence2", *(f'"{text}",It is so.' for text in texts)],
    }
    found = ["The [MASK] house."] * 2 if path.name == "masked.txt" else lines[path.suffix[1:]]
    path.write_text("\n".join(found) + "\n", encoding="utf-8")


def _predictions(world: World, path: Path) -> None:
    rows = (ROOT / "test_data" / "tasks" / "GLUE" / "RTE" / "dev.tsv").read_text().splitlines()[1:]
    lines = [f"{row.split(chr(9))[0]}\t{row.split(chr(9))[-1]}" for row in rows]
    path.write_text("\n".join(["index\tprediction", *lines]) + "\n", encoding="utf-8")


def _dump() -> bytes:
    return (ROOT / "test_data" / "wikipedia" / "enwiki.xml").read_bytes()


def _answers(world: World, path: Path) -> None:
    sample = ROOT / "test_data" / "tasks" / "SQuAD" / "dev-v2.0.json"
    articles = json.loads(sample.read_text(encoding="utf-8"))["data"]
    asked = [one for a in articles for part in a["paragraphs"] for one in part["qas"]]
    answers = {one["id"]: one["answers"][0]["text"] if one["answers"] else "" for one in asked}
    path.write_text(json.dumps(answers), encoding="utf-8")


PRETRAIN = [*DATA, "--teacher_model", "teacher", "--num_steps", "6", "--ckpt_interval", "2"]
FINETUNE_RUN = ["--task_name", "COPA", *FINETUNE, "--epochs", "3", "--ckpt_interval", "2"]

MAKERS: Dict[str, Callable[[World, Path], None]] = {
    "corpus.txt": _corpus,
    "wiki.txt": _wikitext,
    "corpus.txt.gz": _packed(lambda content: gzip.compress(content, mtime=0)),
    "corpus.txt.bz2": _packed(bz2.compress),
    "corpus.txt.xz": _packed(lzma.compress),
    "dump.xml": lambda world, path: _write(path, _dump()),
    "dump.xml.bz2": lambda world, path: _write(path, bz2.compress(_dump())),
    "vocabulary": _script(
        "train_vocabulary", *"--input_file corpus.txt --vocabulary_size 340".split()
    ),
    "words": _wordpiece,
    "byte_bpe": _byte_bpe,
    "merges": _original_vocabulary,
    "shards": _script(
        "create_pretraining_data",
        *"--input_file corpus.txt --vocab vocabulary --max_seq_length 32 --split 0.8 0.2".split(),
    ),
    "original_shards": _original_shards,
    "teacher": _teacher,
    "deep_teacher": _deep_teacher,
    "teacher.params": _parameters,
    "cola": _finetuned,
    "rte": _finetuned,
    "bert": _teacher_of("words", "bert"),
    "bpe": _teacher_of("byte_bpe", "bpe"),
    "cache": _script("cache_teacher_answers", *CACHE),
    "pretraining": _interrupted("run_pretraining_distillation", PRETRAIN, _drop_last_checkpoint),
    "finetuning": _interrupted("finetune", FINETUNE_RUN, _drop_last_checkpoint),
    "distilled": _interrupted("finetune", DISTIL[1:], _drop_last_checkpoint),
    "super_run": _interrupted("train_super_network", SUPER, _drop_last_checkpoint),
    "search": _interrupted(
        "search_architecture",
        SEARCH,
        _drop_last_results("results-rank*.jsonl", 1, "ranking.json", "ranking.csv", "best.json"),
    ),
    "sliced": _interrupted(
        "search_architecture",
        SLICED,
        _drop_last_results("results-rank*.jsonl", 1, "ranking.json", "ranking.csv", "best.json"),
    ),
    "super": _super_network,
    "scoring": _interrupted(
        "evaluate_architectures",
        SCORING,
        _drop_last_results("scores-rank*.jsonl", 1, "scores.json"),
    ),
    "parts.txt": lambda world, path: _write(path, b"largest\n1-1-8-16\n1-2-16-20-8\n"),
    "agora": _interrupted(
        "run_agora",
        AGORA,
        _drop_last_results("trainings-rank*.jsonl", 1, "result.json", "predictions"),
    ),
    "begun": _begun,
    "features": _cached_features,
    "hf": _script("export_model", *"--model cola --to huggingface".split()),
    "hf_bert_own": _script("export_model", *"--model bert --to huggingface".split()),
    "hf_bpe": _script("export_model", *"--model bpe --to huggingface".split()),
    "hf_bert": _bare("hf_bert_own"),
    "hf_roberta": _bare("hf_bpe"),
    "hf_bert_words": _bare("hf_bert_own", "tokenizer.json"),
    "hf_roberta_merges": _bare("hf_bpe", "tokenizer.json"),
    "hf_unigram": _bare("hf"),
    "hf_sharded": _sharded,
    "sentences": _sentences,
    "xlm_roberta": _xlm_roberta,
    "onnx": _script("export_model", *"--model cola --to onnx".split()),
    "openvino": _script("export_model", *"--model cola --to openvino".split()),
    "hyperparameters.json": _json_file(
        [{"lr": 0.5, "optimizer": "sgd", "clip": 1.0, "warmup_ratio": 0.1, "weight_decay": 0.0}]
    ),
    "latency_space.json": _json_file(
        {"depths": [1, 2], "hiddens": [8, 16], "intermediates": [16, 32], "heads": [1, 2]}
    ),
    "latency": _script("measure_latency", *LATENCY),
    "space.json": _json_file(
        {"depths": [1, 2], "heads": [2], "hiddens": [16], "intermediates": [16, 32]}
    ),
    "sub-networks.json": _json_file(
        {"depths": {"from": 1, "to": 2}, "hiddens": [8, 16], "intermediates": [32], "heads": [1, 2]}
    ),
    "best.json": _json_file(
        {"architecture": {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32}}
    ),
    "small.json": _json_file(
        {"depth": 1, "heads": 2, "hidden": 16, "intermediate": 32, "vocabulary_size": 340}
    ),
    "sets.json": _json_file([{"seed": 0, "lr": 2e-3, "weight_decay": 0.0, "warmup_ratio": 0.1}]),
    "tasks": _tasks,
    "messages.csv": _own_table,
    "topics.jsonl": _own_table,
    "reviews.csv": _reviews,
    "small_model": lambda world, path: world.run(*SMALL_MODEL) and None,
    "messages.json": _json_file(
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
    "CoLA.zip": _zip,
    "RACE.tar.gz": _tar,
    "in.txt": _lines,
    "masked.txt": _lines,
    "in.tsv": _lines,
    "in.jsonl": _lines,
    "in.csv": _lines,
    "RTE.tsv": _predictions,
    "answers.json": _answers,
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
