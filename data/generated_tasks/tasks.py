"""Synthetic classification tasks from the generated English, in the file formats of GLUE tasks.

Their labels are correct by construction, since the grammar that generates a sentence also decides
its label. Scores on them say nothing about the tasks whose file formats they use.

| name | format | meaning of a positive label |
|---|---|---|
| acceptability | CoLA | the sentence follows the grammar; otherwise one word is wrong |
| order | CoLA | the sentence follows the grammar; otherwise two adjacent words are exchanged |
| actor | SST-2 | the person who acts in the sentence is a woman; otherwise a man |
| entailment | RTE | the hypothesis is a fact that the premise states |
| coreference | WNLI | the name in place of the pronoun is the one that the pronoun refers to |
| similarity | STS-B | (0 to 5) the number of equal slots: day, person, adjective, object, place |
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Set, Tuple

from bort.agora.examples import Example, normalised_key
from bort.errors import InputError
from bort.settings.config import Config, setting
from bort.storage.files import atomic_write, new_folder, write_json
from bort.storage.outputs import check_new_folder
from data.generated_english.story import Draw
from data.generated_tasks.actors import actor
from data.generated_tasks.broken_sentences import acceptability, order
from data.generated_tasks.pairs import Candidate, coreference, entailment, similarity

GENERATED_TASKS = ("acceptability", "order", "actor", "entailment", "coreference", "similarity")
FORMAT_OF_TASK = {
    "acceptability": "CoLA",
    "order": "CoLA",
    "actor": "SST-2",
    "entailment": "RTE",
    "coreference": "WNLI",
    "similarity": "STS-B",
}
GENERATED_SPLITS = ("train", "dev", "report")
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
    """Settings of the generated tasks."""

    output_dir: str = setting(
        ..., "output folder, with <task>/<format>/train.tsv, dev.tsv and report.tsv"
    )
    tasks: Tuple[str, ...] = setting(GENERATED_TASKS, "tasks to generate", choices=GENERATED_TASKS)
    train_size: int = setting(500, "training examples", minimum=2, maximum=50_000)
    dev_size: int = setting(200, "dev examples", minimum=2, maximum=50_000)
    report_size: int = setting(
        500, "examples in report.tsv, for the final score (--report_file)", minimum=2
    )
    positive_share: float = setting(
        0.5,
        "share of label 1 (entailment) in every split; for similarity, of scores of at least 3",
        minimum=0.0,
        maximum=1.0,
    )
    seed: int = setting(0, "seed of the examples", minimum=0)


@dataclass(frozen=True)
class GeneratedExample:
    """An example of a generated task.

    Attributes:
        texts: one or two sentences.
        label: 0.0 or 1.0; a score of 0.0 to 5.0 for similarity.
        is_positive: whether the example counts as positive in a balanced split.
        origin: the number of the document, and how the example was made from it.
    """

    texts: Tuple[str, ...]
    label: float
    is_positive: bool
    origin: str


def generate_task(config: GeneratedTasksConfig, task: str) -> Dict[str, List[GeneratedExample]]:
    """Generate the splits of a task; the same configuration gives the same splits.

    All examples of all splits differ in more than case, spaces and punctuation, and the examples
    of a document are in one split.

    Args:
        config: sizes, share of positive examples, and seed.
        task: one of `GENERATED_TASKS`.

    Returns:
        The examples of the splits "train", "dev" and "report".

    Raises:
        InputError: the task is unknown, or the grammar has too few distinct examples.
    """
    if task not in _MAKERS:
        raise InputError(f"task is {task!r}, allowed are {', '.join(GENERATED_TASKS)}")
    sizes = {name: int(getattr(config, f"{name}_size")) for name in GENERATED_SPLITS}
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
                    f"{name}_size is {size}, but {last} documents have only {len(found)} different "
                    f"examples of {task}"
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
    """Write `train.tsv`, `dev.tsv` and `report.tsv` of all tasks.

    `report.tsv` has the format of `dev.tsv`. There is no `test.tsv`, since no benchmark takes
    submissions for these tasks. `<output_dir>/<task>` serves as the task's `data_dir`.

    Args:
        config: output folder, tasks and sizes.

    Returns:
        The sizes of the splits of each task.

    Raises:
        InputError: the output folder exists; also see `generate_task`.
        WorkError: a file cannot be written.
    """
    check_new_folder(config.output_dir)
    made = {task: generate_task(config, task) for task in config.tasks}
    settings = {key: value for key, value in config.as_dict().items() if key != "output_dir"}
    with new_folder(config.output_dir) as folder:
        for task, splits in made.items():
            write_splits(folder / task / FORMAT_OF_TASK[task], task, splits)
        write_json(folder / "about.json", {"notice": NOTICE, "settings": settings})
    return {t: {n: len(e) for n, e in s.items()} for t, s in made.items()}


def write_splits(folder: Path, task: str, splits: Mapping[str, Sequence[GeneratedExample]]) -> None:
    """Write each split as `<split>.tsv` in the format of the task.

    Args:
        folder: the folder of the files.
        task: one of `GENERATED_TASKS`.
        splits: name of a split → its examples.

    Raises:
        WorkError: a file cannot be written.
    """
    for name, examples in splits.items():
        lines = _FILES[task](examples)
        with atomic_write(folder / f"{name}.tsv") as stream:
            stream.write("".join("\t".join(line) + "\n" for line in lines).encode("utf-8"))


def _candidates(task: str, seed: int, number: int) -> Iterator[Candidate]:
    # Each task and document has its own stream of random draws.
    draw = Draw(seed * len(GENERATED_TASKS) + GENERATED_TASKS.index(task), -2 - number)
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
