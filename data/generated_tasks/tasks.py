"""Tasks with known truth, made from the generated English, in the files of GLUE tasks.

They are synthetic: made to measure and to show, where every label is right by the grammar that
wrote the sentence. They say nothing about the tasks whose file format they borrow.

| name | format | a positive label says |
|---|---|---|
| acceptability | CoLA | the sentence is as the grammar wrote it; otherwise one word was broken |
| order | CoLA | the sentence is as the grammar wrote it; otherwise two neighbours were exchanged |
| actor | SST-2 | the one who acts in the sentence is a woman; otherwise a man |
| entailment | RTE | the hypothesis is a fact that the premise states |
| coreference | WNLI | the pronoun was replaced by the name that it stands for |
| similarity | STS-B | (0 to 5) so many of day, person, adjective, object, place are the same |
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from bort.agora.examples import Example, normalised_key
from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.storage.files import atomic_write, write_json
from data.generated_english.story import Draw
from data.generated_tasks.actors import actor
from data.generated_tasks.broken_sentences import acceptability, order
from data.generated_tasks.pairs import Candidate, coreference, entailment, similarity

TASKS = ("acceptability", "order", "actor", "entailment", "coreference", "similarity")
FORMATS = {
    "acceptability": "CoLA",
    "order": "CoLA",
    "actor": "SST-2",
    "entailment": "RTE",
    "coreference": "WNLI",
    "similarity": "STS-B",
}
SPLITS = ("train", "dev", "report")
_MAKERS = {
    "acceptability": acceptability,
    "order": order,
    "actor": actor,
    "entailment": entailment,
    "coreference": coreference,
    "similarity": similarity,
}
_RTE_LABELS = ("not_entailment", "entailment")
_DOCUMENTS_PER_EXAMPLE = 60
NOTICE = (
    "Synthetic: made from generated English, with labels that are right by its grammar. "
    "No part of the benchmark whose file format it has."
)


@dataclasses.dataclass(frozen=True)
class GeneratedTasksConfig(Config):
    """What is made."""

    output_dir: str = setting(
        ..., "folder to make: <task>/<format>/train.tsv, dev.tsv and report.tsv"
    )
    tasks: Tuple[str, ...] = setting(TASKS, "which tasks", choices=TASKS)
    train_size: int = setting(500, "training examples", minimum=2, maximum=50_000)
    dev_size: int = setting(200, "dev examples", minimum=2, maximum=50_000)
    report_size: int = setting(
        500, "examples of report.tsv, for an honest score (--report_file)", minimum=2
    )
    positive_share: float = setting(
        0.5,
        "share of label 1 (entailment) in every split; of similarity, scores of 3 and more",
        minimum=0.0,
        maximum=1.0,
    )
    seed: int = setting(0, "any integer: the same files for the same seed", minimum=0)


@dataclass(frozen=True)
class GeneratedExample:
    """One example with its truth.

    Attributes:
        texts: one sentence, or two.
        label: 0 or 1; of similarity 0.0 to 5.0.
        is_positive: on which side of a balanced split it counts.
        origin: where it came from: document, and what was done to it.
    """

    texts: Tuple[str, ...]
    label: float
    is_positive: bool
    origin: str


def generate_task(config: GeneratedTasksConfig, task: str) -> Dict[str, List[GeneratedExample]]:
    """The splits of a task, the same for the same configuration.

    No two examples of any splits are equal, case, spaces and punctuation aside, and no document
    gives examples to two splits.

    Raises:
        InputError: an unknown task, or more examples than the grammar gives.
    """
    if task not in _MAKERS:
        raise InputError(f"task is {task!r}, allowed are {', '.join(TASKS)}")
    sizes = {name: int(getattr(config, f"{name}_size")) for name in SPLITS}
    document = 0
    seen: Set[str] = set()
    splits: Dict[str, List[GeneratedExample]] = {}
    for name, size in sizes.items():
        positive = round(size * config.positive_share)
        left = {True: positive, False: size - positive}
        found: List[GeneratedExample] = []
        last = document + int(_DOCUMENTS_PER_EXAMPLE * size)
        while sum(left.values()):
            if document == last:
                raise InputError(
                    f"{name}_size is {size}, of {task} only {len(found)} different examples were "
                    f"found in {last} documents"
                )
            for candidate in _candidates(task, config.seed, document):
                key = normalised_key(Example.from_texts(*candidate.texts))
                if left[candidate.is_positive] and key not in seen:
                    seen.add(key)
                    left[candidate.is_positive] -= 1
                    origin = f"document {document}: {candidate.origin}"
                    found.append(
                        GeneratedExample(
                            candidate.texts, candidate.label, candidate.is_positive, origin
                        )
                    )
            document += 1
        splits[name] = _shuffled(found, Draw(config.seed, -1))
    return splits


def write_tasks(config: GeneratedTasksConfig) -> Dict[str, Dict[str, int]]:
    """Write `train.tsv`, `dev.tsv`, and `report.tsv` in the form of `dev.tsv`, of all tasks.

    There is no `test.tsv`: nobody takes submissions for these.

    Returns:
        Sizes of the splits of each task. `<output_dir>/<task>` is the task's `data_dir`.

    Raises:
        InputError: a folder that is there already, or see `generate_task`.
        WorkError: a file cannot be written.
    """
    root = Path(config.output_dir)
    if root.exists():
        raise InputError(f"{root}: is there already; name another folder")
    made = {task: generate_task(config, task) for task in config.tasks}
    for task, splits in made.items():
        write_splits(root / task / FORMATS[task], task, splits)
    settings = {key: value for key, value in config.as_dict().items() if key != "output_dir"}
    write_json(root / "about.json", {"notice": NOTICE, "settings": settings})
    return {t: {n: len(e) for n, e in s.items()} for t, s in made.items()}


def write_splits(folder: Path, task: str, splits: Mapping[str, Sequence[GeneratedExample]]) -> None:
    """Write `<split>.tsv` in the task's format for every split.

    Raises:
        WorkError: a file cannot be written.
    """
    for name, examples in splits.items():
        lines = _FILES[task](examples)
        with atomic_write(folder / f"{name}.tsv") as stream:
            stream.write("".join("\t".join(line) + "\n" for line in lines).encode("utf-8"))


def _candidates(task: str, seed: int, number: int) -> Iterator[Candidate]:
    # A stream of draws of its own for each task and document.
    draw = Draw(seed * len(TASKS) + TASKS.index(task), -2 - number)
    return _MAKERS[task](seed, number, draw)


def _shuffled(examples: List[GeneratedExample], draw: Draw) -> List[GeneratedExample]:
    left = list(examples)
    return [draw.take(left) for _ in range(len(left))]


_Rows = List[Sequence[str]]


def _cola(examples: Sequence[GeneratedExample]) -> _Rows:
    return [("synthetic", f"{e.label:.0f}", "" if e.label else "*", e.texts[0]) for e in examples]


def _rte(examples: Sequence[GeneratedExample]) -> _Rows:
    return _pairs(examples, [_RTE_LABELS[int(e.label)] for e in examples])


def _wnli(examples: Sequence[GeneratedExample]) -> _Rows:
    return _pairs(examples, [f"{e.label:.0f}" for e in examples])


def _pairs(examples: Sequence[GeneratedExample], labels: Sequence[str]) -> _Rows:
    rows: _Rows = [("index", "sentence1", "sentence2", "label")]
    return rows + [(str(n), *e.texts, label) for n, (e, label) in enumerate(zip(examples, labels))]


def _sts(examples: Sequence[GeneratedExample]) -> _Rows:
    head = "index genre filename year old_index source1 source2 sentence1 sentence2 score".split()
    rows: _Rows = [head]
    return rows + [
        (str(n), "synthetic", "generated", "0", str(n), "none", "none", *e.texts, f"{e.label:.3f}")
        for n, e in enumerate(examples)
    ]


def _sst(examples: Sequence[GeneratedExample]) -> _Rows:
    rows: _Rows = [("sentence", "label")]
    return rows + [(e.texts[0], f"{e.label:.0f}") for e in examples]


_FILES = {
    "acceptability": _cola,
    "order": _cola,
    "actor": _sst,
    "entailment": _rte,
    "coreference": _wnli,
    "similarity": _sts,
}
