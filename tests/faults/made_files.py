"""Makers of small inputs that no training makes: texts, vocabularies, tables, archives."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Callable

import numpy as np

from tests.faults.children import ROOT
from tests.faults.command_folder import CommandFolder, Maker


def corpus(world: CommandFolder, path: Path) -> None:
    """Write generated documents, a line a sentence."""
    world.run(*"scripts/generate_english.py --num_documents 60 --output_file corpus.txt".split())


def wikitext(world: CommandFolder, path: Path) -> None:
    """Write documents of the corpus as WikiText has them: under titles, in one line."""
    text = (world.folder / "corpus.txt").read_text(encoding="utf-8")
    documents = [" ".join(one.split("\n")) for one in text.split("\n\n")][:20]
    lines = [f" = Title {n} = \n\n {body} \n\n = = Part = = \n" for n, body in enumerate(documents)]
    path.write_text("".join(lines), encoding="utf-8")


def packed(pack: Callable[[bytes], bytes]) -> Maker:
    """Return a maker that compresses the corpus."""
    return lambda world, path: write(path, pack((world.folder / "corpus.txt").read_bytes()))


def wikipedia_dump() -> bytes:
    """Return the small dump of this repository."""
    return (ROOT / "test_data" / "wikipedia" / "enwiki.xml").read_bytes()


def wordpiece(world: CommandFolder, path: Path) -> None:
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


def byte_bpe(world: CommandFolder, path: Path) -> None:
    """Write a small byte-BPE vocabulary."""
    from tests.text.tiny_vocabulary import tiny_vocabulary

    tiny_vocabulary().save(path)


def original_vocabulary(world: CommandFolder, path: Path) -> None:
    """Write the byte-BPE vocabulary as Hugging Face's pair of files."""
    path.mkdir()
    for file in sorted((world.folder / "hf_bpe").iterdir()):
        if file.name in ("vocab.json", "merges.txt"):
            shutil.copy2(file, path / file.name)


def xlm_roberta(world: CommandFolder, path: Path) -> None:
    """Write the tokenizer of an XLM-RoBERTa: a SentencePiece model with fairseq's ids."""
    from tests.text.hugging_face_folders import sentencepiece_folder

    sentencepiece_folder(path, "xlm-roberta")


def original_shards(world: CommandFolder, path: Path) -> None:
    """Write shards as the original release stores them, of random tokens."""
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


def json_file(value: Any) -> Maker:
    """Return a maker that writes a value as JSON."""
    return lambda world, path: write(path, json.dumps(value, indent=1).encode())


def reviews_table(world: CommandFolder, path: Path) -> None:
    """Write a table of 130 texts of the corpus, labelled by their length."""
    text = (world.folder / "corpus.txt").read_text(encoding="utf-8")
    lines = [line for line in dict.fromkeys(text.split("\n")) if line and '"' not in line][:130]
    middle = sorted(map(len, lines))[len(lines) // 2]
    rows = [f'"{line}",{"short" if len(line) < middle else "long"}' for line in lines]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")


def question_lines(world: CommandFolder, path: Path) -> None:
    """Write questions in the form that the file's name asks for."""
    texts = ["The old house is quiet.", "quiet is house The", "A ferry — 1,250 crowns!", "Rain."]
    lines = {
        "txt": texts,
        "tsv": [f"{text}\tIt is so." for text in texts],
        "jsonl": [json.dumps({"sentence1": text, "sentence2": "It is so."}) for text in texts],
        "csv": ["sentence1,sentence2", *(f'"{text}",It is so.' for text in texts)],
    }
    found = ["The [MASK] house."] * 2 if path.name == "masked.txt" else lines[path.suffix[1:]]
    path.write_text("\n".join(found) + "\n", encoding="utf-8")


def own_table(world: CommandFolder, path: Path) -> None:
    """Copy the repository's table of an own task."""
    shutil.copy(ROOT / "test_data" / "own_task" / path.name, path)


def task_folder(world: CommandFolder, path: Path) -> None:
    """Copy the repository's small data sets in the official layout."""
    shutil.copytree(ROOT / "test_data" / "tasks", path)


def zip_archive(world: CommandFolder, path: Path) -> None:
    """Pack a task as GLUE does."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((ROOT / "test_data" / "tasks" / "GLUE" / "CoLA").iterdir()):
            archive.write(file, f"CoLA/{file.name}")


def tar_archive(world: CommandFolder, path: Path) -> None:
    """Pack a task as RACE does."""
    with tarfile.open(path, "w:gz") as archive:
        archive.add(ROOT / "test_data" / "tasks" / "RACE", "RACE")


def task_predictions(world: CommandFolder, path: Path) -> None:
    """Write the gold labels of RTE as predictions."""
    rows = (ROOT / "test_data" / "tasks" / "GLUE" / "RTE" / "dev.tsv").read_text().splitlines()[1:]
    lines = [f"{row.split(chr(9))[0]}\t{row.split(chr(9))[-1]}" for row in rows]
    path.write_text("\n".join(["index\tprediction", *lines]) + "\n", encoding="utf-8")


def passage_answers(world: CommandFolder, path: Path) -> None:
    """Write the first gold answer to each question of SQuAD."""
    sample = ROOT / "test_data" / "tasks" / "SQuAD" / "dev-v2.0.json"
    articles = json.loads(sample.read_text(encoding="utf-8"))["data"]
    asked = [one for a in articles for part in a["paragraphs"] for one in part["qas"]]
    answers = {one["id"]: one["answers"][0]["text"] if one["answers"] else "" for one in asked}
    path.write_text(json.dumps(answers), encoding="utf-8")


def write(path: Path, content: bytes) -> None:
    """Write a file of the given content."""
    path.write_bytes(content)
