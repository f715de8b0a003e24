"""Write the small sample of all tasks in their official formats and folders.

    python test_data/make_task_samples.py [folder]

Fixed seeds make the files the same at every run. Labels are balanced and follow from the sentences,
so that a model can learn them. The texts contain quote characters and letters outside ASCII, which
often break readers.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

import task_examples as make
from squad_paragraphs import PASSAGES as SQUAD_PASSAGES
from squad_paragraphs import Passage

Row = Sequence[Any]
SIZES = {"train": 24, "dev": 12, "test": 8}
PASSAGES = {"train": 8, "dev": 4, "test": 4}


def generator(task: str, split: str) -> random.Random:
    """Return a random generator that depends only on task and split."""
    return random.Random(zlib.crc32(f"{task} {split}".encode()))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a tab-separated file without quoting."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(header)] if header else []
    lines += ["\t".join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_lines(path: Path, objects: Iterable[Dict[str, Any]]) -> None:
    """Write one JSON object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(value, ensure_ascii=False) for value in objects)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_sentences(folder: Path) -> None:
    """Write CoLA and SST-2."""
    for split, size in SIZES.items():
        rows = make.cola(generator("CoLA", split), size)
        path = folder / "CoLA" / f"{split}.tsv"
        if split == "test":
            write_table(path, ("index", "sentence"), [(n, s) for n, (_, s) in enumerate(rows)])
        else:
            write_table(path, (), [("ours", y, "" if y == "1" else "*", s) for y, s in rows])
        rows = make.sst(generator("SST-2", split), size)
        path = folder / "SST-2" / f"{split}.tsv"
        if split == "test":
            write_table(path, ("index", "sentence"), [(n, s) for n, (_, s) in enumerate(rows)])
        else:
            write_table(path, ("sentence", "label"), [(s, y) for y, s in rows])


def write_paraphrases(folder: Path) -> None:
    """Write MRPC, STS-B and QQP, with all columns of the official files."""
    strings = ("#1 ID", "#2 ID", "#1 String", "#2 String")
    for split, size in SIZES.items():
        is_test = split == "test"
        rows = make.paraphrases(generator("MRPC", split), size)
        write_table(
            folder / "MRPC" / f"{split}.tsv",
            ("index" if is_test else "Quality", *strings),
            [(n if is_test else y, 2 * n, 2 * n + 1, a, b) for n, (y, a, b) in enumerate(rows)],
        )
        rows = make.similarities(generator("STS-B", split), size)
        header = ("index", "genre", "filename", "year", "old_index", "source1", "source2")
        source = ("main-captions", "ours", "2020", "0000", "none", "none")
        write_table(
            folder / "STS-B" / f"{split}.tsv",
            (*header, "sentence1", "sentence2", *(() if is_test else ("score",))),
            [(n, *source, a, b, *(() if is_test else (y,))) for n, (y, a, b) in enumerate(rows)],
        )
        rows = make.question_pairs(generator("QQP", split), size)
        path = folder / "QQP" / f"{split}.tsv"
        if is_test:
            table = [(n, a, b) for n, (_, a, b) in enumerate(rows)]
            write_table(path, ("id", "question1", "question2"), table)
        else:
            names = ("id", "qid1", "qid2", "question1", "question2", "is_duplicate")
            table = [(n, 2 * n, 2 * n + 1, a, b, y) for n, (y, a, b) in enumerate(rows)]
            write_table(path, names, table)


def write_inferences(folder: Path) -> None:
    """Write MNLI with all its columns, QNLI, RTE, WNLI, and the diagnostic task AX."""
    for split in ("train", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched"):
        role = split.split("_")[0]
        labels = {"train": ("label1",), "dev": tuple(f"label{n}" for n in range(1, 6)), "test": ()}
        header = [
            "index", "promptID", "pairID", "genre", "sentence1_binary_parse",
            "sentence2_binary_parse", "sentence1_parse", "sentence2_parse", "sentence1",
            "sentence2", *labels[role], *(["gold_label"] if role != "test" else []),
        ]  # fmt: skip
        rows = make.inferences(generator("MNLI", split), SIZES[role])
        more = 0 if role == "test" else len(labels[role]) + 1
        write_table(
            folder / "MNLI" / f"{split}.tsv",
            header,
            [
                (n, n, f"{n}x", "ours", "( )", "( )", "(ROOT )", "(ROOT )", a, b, *[y] * more)
                for n, (y, a, b) in enumerate(rows)
            ],
        )
    pairs = ("sentence1", "sentence2")
    tasks: Dict[str, Tuple[Tuple[str, str], Callable[..., List[Tuple[str, str, str]]]]] = {
        "QNLI": (("question", "sentence"), make.answered),
        "RTE": (pairs, lambda rng, size: make.inferences(rng, size, make.RTE)),
        "WNLI": (pairs, make.winograd),
    }
    for task, (names, maker) in tasks.items():
        for split, size in SIZES.items():
            rows = maker(generator(task, split), size)
            label = () if split == "test" else ("label",)
            write_table(
                folder / task / f"{split}.tsv",
                ("index", *names, *label),
                [(n, a, b, *([y] if label else [])) for n, (y, a, b) in enumerate(rows)],
            )
    rows = make.inferences(generator("AX", "test"), SIZES["test"])
    table = [(n, a, b) for n, (_, a, b) in enumerate(rows)]
    write_table(folder / "AX" / "AX.tsv", ("index", *pairs), table)


def hide(objects: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Remove labels and answers, which the official test files do not have."""
    for value in objects:
        value.pop("label", None)
        passage = value.get("passage")
        for question in passage.get("questions", []) if isinstance(passage, dict) else []:
            for answer in question["answers"]:
                del answer["label"]
        for query in value.get("qas", []):
            del query["answers"]
    return objects


def write_superglue(folder: Path) -> None:
    """Write the ten tasks of SuperGLUE; its two diagnostic tasks have labels."""
    premise, sentences = ("premise", "hypothesis"), ("sentence1", "sentence2")
    tasks: Dict[str, Callable[[random.Random, int], List[Dict[str, Any]]]] = {
        "BoolQ": make.boolq,
        "CB": lambda rng, size: make.premise_objects(rng, size, make.NLI, premise),
        "COPA": make.copa,
        "MultiRC": make.multirc,
        "ReCoRD": make.record,
        "RTE": lambda rng, size: make.premise_objects(rng, size, make.RTE, premise),
        "WiC": make.wic,
        "WSC": make.wsc,
    }
    for task, maker in tasks.items():
        for split, size in SIZES.items():
            objects = maker(generator(f"SuperGLUE {task}", split), size)
            name = "val" if split == "dev" else split
            path = folder / task / f"{name}.jsonl"
            write_lines(path, hide(objects) if split == "test" else objects)
    size = SIZES["test"]
    broad = make.premise_objects(generator("AX-b", "test"), size, make.RTE, sentences)
    write_lines(folder / "AX-b" / "AX-b.jsonl", broad)
    gendered = make.winogender(generator("AX-g", "test"), size)
    write_lines(folder / "AX-g" / "AX-g.jsonl", gendered)


def write_race(folder: Path) -> None:
    """Write RACE, one file per passage; its official test files have answers."""
    for split, count in PASSAGES.items():
        for level in ("high", "middle"):
            place = folder / split / level
            place.mkdir(parents=True, exist_ok=True)
            passages = make.race(generator(f"RACE {level}", split), count, level)
            for number, passage in enumerate(passages, 1):
                write_lines(place / f"{number}.txt", [passage])


def squad_answer(context: str, text: str) -> Dict[str, Any]:
    """Return an answer with its offset in the passage."""
    return {"text": text, "answer_start": context.index(text)}


def squad_paragraph(passage: Passage, version: str, name: str) -> Dict[str, Any]:
    """Return a paragraph of SQuAD's files; version 1.1 has no questions without an answer."""
    asked: List[Dict[str, Any]] = []
    for number, question in enumerate(passage.questions):
        if version == "1.1" and not question.answers:
            continue
        entry: Dict[str, Any] = {"id": f"{name}-{number}", "question": question.text}
        if name.startswith("test"):
            asked.append(entry)
            continue
        accepted = question.answers[:1] if name.startswith("train") else question.answers
        entry["answers"] = [squad_answer(passage.context, text) for text in accepted]
        if version == "2.0":
            entry["is_impossible"] = not question.answers
            if not question.answers:
                careless = squad_answer(passage.context, question.plausible)
                entry["plausible_answers"] = [careless]
        asked.append(entry)
    return {"context": passage.context, "qas": asked}


def write_squad(folder: Path) -> None:
    """Write SQuAD 1.1 and 2.0; dev questions have several answers, test questions none."""
    for version in ("1.1", "2.0"):
        for split, passages in SQUAD_PASSAGES.items():
            numbered = enumerate(passages)
            articles = [
                {
                    "title": title.replace(" ", "_"),
                    "paragraphs": [
                        squad_paragraph(passage, version, f"{split}-{number}")
                        for number, passage in group
                    ],
                }
                for title, group in itertools.groupby(numbered, lambda one: one[1].title)
            ]
            content = {"version": f"v{version}", "data": articles}
            write_lines(folder / f"{split}-v{version}.json", [content])


def write_all(folder: Path) -> None:
    """Write all tasks."""
    write_sentences(folder / "GLUE")
    write_paraphrases(folder / "GLUE")
    write_inferences(folder / "GLUE")
    write_superglue(folder / "SuperGLUE")
    write_race(folder / "RACE")
    write_squad(folder / "SQuAD")


def main() -> None:
    """Write all files into the given folder, by default `tasks` next to this script."""
    here = Path(__file__).resolve().parent
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else here / "tasks")


if __name__ == "__main__":
    main()
