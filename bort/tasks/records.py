"""The table of tasks: names, labels, metrics, files and splits.

Labels are in the order of their class ids, as in GluonNLP and the original release. Other libraries
use other orders, so a saved model stores its labels. Metrics are in the order of published scores.

Sources: arXiv:1804.07461 (GLUE), arXiv:1905.00537 (SuperGLUE), arXiv:1704.04683 (RACE),
arXiv:1606.05250 and arXiv:1806.03822 (SQuAD 1.1 and 2.0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from bort.errors import InputError

GLUE, SUPERGLUE, RACE, SQUAD = "GLUE", "SuperGLUE", "RACE", "SQuAD"
SUITES = (GLUE, SUPERGLUE, RACE, SQUAD)

# Formulations: how an official item becomes one or more model inputs; see
# `bort.tasks.formulations`.
SINGLE = "single sentence"
PAIR = "sentence pair"
SPANS = "two spans marked in a text"
WORD = "word in two sentences"
CHOICES = "each of two choices"
ANSWERS = "each answer to a question"
ENTITIES = "each candidate entity"
OPTIONS = "each of four options"
SPAN_OF_PASSAGE = "span of a passage"

ACCURACY = "accuracy"
F1 = "f1"
MATTHEWS = "matthews"
PEARSON = "pearson"
SPEARMAN = "spearman"
MACRO_F1 = "macro_f1"
MICRO_F1 = "micro_f1"
SUBSET_ACCURACY = "subset_accuracy"
ANSWER_F1 = "answer_f1"
EXACT_MATCH = "exact_match"
TOKEN_F1 = "token_f1"
GENDER_PARITY = "gender_parity"

TRAIN, DEV, TEST = "train", "dev", "test"
REPORT = "report"  # labelled examples of an own task, which no training and no selection reads
LINEAR_CLASSIFIER, EXTRA_LAYER = "linear", "extra layer"
MAX_LENGTH = 512
MAX_LENGTH_OF_WINDOWS = 384


@dataclass(frozen=True)
class Split:
    """One part of a task's data.

    Attributes:
        name: "train", "dev" or "test"; MNLI has two halves of dev and test, such as "dev_matched".
        role: "train", "dev", "test" or, of an own task, "report"; labels of a test split are never
            read.
        files: possible names of the file (RACE: folder) in the task's folder, official name first.
        rows: official number of rows of a test split (MultiRC: passages, ReCoRD: queries, RACE:
            questions); None if it is not known for certain.
        submission: name of the file in a submission; "" if there is none.
        is_public: whether the file can be downloaded; SQuAD's test files are hidden.
    """

    name: str
    role: str
    files: Tuple[str, ...]
    rows: Optional[int] = None
    submission: str = ""
    is_public: bool = True


@dataclass(frozen=True)
class TaskRecord:
    """One task.

    Attributes:
        name: the key of the table.
        suite: "GLUE", "SuperGLUE", "RACE" or "SQuAD"; "own" for a task of the user.
        title: the full name.
        folder: the task's folder in the suite's official layout.
        cache_folder: the task's folder under GluonNLP's `datasets`.
        fields: the official names of an item's texts.
        passage: the field that truncation shortens first; "" if both sentences are equal in rank.
        labels: label strings in the order of class ids; () for a regression, and for ReCoRD and
            SQuAD, whose answers are texts.
        label_range: lowest and highest score of a regression; None otherwise.
        metrics: names of the metrics, in published order.
        formulation: one of `SINGLE` to `SPAN_OF_PASSAGE`, see above.
        splits: the splits in the order train, dev, test.
        model_task: the task whose model predicts this one; for most tasks its own name.
        head: "linear", or "extra layer" (a linear layer before the classifier; CoLA in the paper).
        batch_size: batch size of the paper.
        max_length: longest input in tokens; that of a window of SQuAD's passages.
        aliases: other names that `get_task` accepts.
        source: address of the official files; "" if there is more than one.
        diagnostic: whether benchmark scores exclude the task.
        answers_optional: whether some questions have no answer (SQuAD 2.0).
        several_labels: whether a text has any number of the labels, or none, instead of one (an own
            task of kind `labels`).
    """

    name: str
    suite: str
    title: str
    folder: str
    cache_folder: str
    fields: Tuple[str, ...]
    labels: Tuple[str, ...]
    metrics: Tuple[str, ...]
    formulation: str
    splits: Tuple[Split, ...]
    model_task: str
    passage: str = ""
    label_range: Optional[Tuple[float, float]] = None
    head: str = LINEAR_CLASSIFIER
    batch_size: int = 8
    max_length: int = MAX_LENGTH
    aliases: Tuple[str, ...] = ()
    source: str = ""
    diagnostic: bool = False
    answers_optional: bool = False
    several_labels: bool = False

    @property
    def is_regression(self) -> bool:
        """Whether the label is a number."""
        return self.label_range is not None

    @property
    def has_spans(self) -> bool:
        """Whether a model answers with a span of the passage (SQuAD)."""
        return self.formulation == SPAN_OF_PASSAGE

    @property
    def trains(self) -> bool:
        """Whether the task has training data of its own."""
        return self.model_task == self.name

    def splits_of(self, role: str) -> Tuple[Split, ...]:
        """Return the splits with role "train", "dev" or "test"; diagnostics have only test."""
        return tuple(split for split in self.splits if split.role == role)

    def split(self, name: str) -> Split:
        """Return the split with a given name.

        Raises:
            InputError: the task has no such split.
        """
        for split in self.splits:
            if split.name == name:
                return split
        known = ", ".join(split.name for split in self.splits)
        raise InputError(f"{self.name}: has no split {name!r}, it has {known}")


def _three(
    suffix: str, dev: str, rows: Optional[int], submission: str = ""
) -> Tuple[Split, Split, Split]:
    return (
        Split(TRAIN, TRAIN, (f"train{suffix}",)),
        Split(DEV, DEV, (f"{dev}{suffix}",)),
        Split(TEST, TEST, (f"test{suffix}",), rows, submission),
    )


def _glue(
    name: str,
    title: str,
    fields: Tuple[str, ...],
    labels: Tuple[str, ...],
    metrics: Tuple[str, ...],
    rows: Optional[int],
    passage: str = "",
    cache: str = "",
    batch_size: int = 8,
    **other: object,
) -> TaskRecord:
    values: Dict[str, object] = {
        "formulation": PAIR if len(fields) == 2 else SINGLE,
        "splits": _three(".tsv", "dev", rows, f"{name}.tsv"),
        "model_task": name,
        "source": f"https://dl.fbaipublicfiles.com/glue/data/{name}.zip",
        "folder": name,
    }
    values.update(other)
    return TaskRecord(
        name=name,
        suite=GLUE,
        title=title,
        cache_folder=cache or f"glue_{name.lower().replace('-', '')}",
        fields=fields,
        labels=labels,
        metrics=metrics,
        passage=passage,
        batch_size=batch_size,
        **values,  # type: ignore[arg-type]
    )


def _superglue(
    folder: str,
    title: str,
    fields: Tuple[str, ...],
    labels: Tuple[str, ...],
    metrics: Tuple[str, ...],
    rows: int,
    formulation: str = PAIR,
    passage: str = "",
    **other: object,
) -> TaskRecord:
    values: Dict[str, object] = {
        "name": folder,
        "model_task": folder,
        "splits": _three(".jsonl", "val", rows, f"{folder}.jsonl"),
        "cache_folder": f"superglue_{folder.lower().replace('-', '_')}",
        "source": f"https://dl.fbaipublicfiles.com/glue/superglue/data/v2/{folder}.zip",
    }
    values.update(other)
    return TaskRecord(
        suite=SUPERGLUE,
        title=title,
        folder=folder,
        fields=fields,
        labels=labels,
        metrics=metrics,
        formulation=formulation,
        passage=passage,
        **values,  # type: ignore[arg-type]
    )


def _race(name: str, title: str, level: str, rows: int) -> TaskRecord:
    return TaskRecord(
        name=name,
        suite=RACE,
        title=title,
        folder="RACE",
        cache_folder="race",
        fields=("article", "question", "options"),
        passage="article",
        labels=("A", "B", "C", "D"),
        metrics=(ACCURACY,),
        formulation=OPTIONS,
        splits=_three(f"/{level}", "dev", rows),
        model_task=name,
        aliases=(f"RACE-{level}",),
    )


def _squad(version: str, alias: str, answers_optional: bool) -> TaskRecord:
    """Return SQuAD of a version; the batch size is one of arXiv:1810.04805, appendix A.3."""
    name = f"SQuAD{version}"
    splits = tuple(
        Split(role, role, (f"{role}-v{version}.json",), is_public=role != TEST)
        for role in (TRAIN, DEV, TEST)
    )
    return TaskRecord(
        name=name,
        suite=SQUAD,
        title=f"Stanford Question Answering Dataset {version}",
        folder="SQuAD",
        cache_folder="squad",
        fields=("question", "context"),
        passage="context",
        labels=(),
        metrics=(EXACT_MATCH, F1),
        formulation=SPAN_OF_PASSAGE,
        splits=splits,
        model_task=name,
        batch_size=16,
        max_length=MAX_LENGTH_OF_WINDOWS,
        aliases=(alias, *(() if answers_optional else ("SQuAD",))),
        answers_optional=answers_optional,
    )


_TWO_SENTENCES = ("sentence1", "sentence2")
_PREMISE = ("premise", "hypothesis")
_BINARY = ("0", "1")
_TRUTH = ("false", "true")
_RTE = ("not_entailment", "entailment")
_NLI = ("neutral", "entailment", "contradiction")
_SUPERGLUE_RTE = "SuperGLUE-RTE"

_MNLI_SPLITS = (
    Split(TRAIN, TRAIN, ("train.tsv",)),
    Split("dev_matched", DEV, ("dev_matched.tsv",)),
    Split("dev_mismatched", DEV, ("dev_mismatched.tsv",)),
    Split("test_matched", TEST, ("test_matched.tsv",), 9796, "MNLI-m.tsv"),
    Split("test_mismatched", TEST, ("test_mismatched.tsv",), 9847, "MNLI-mm.tsv"),
)

TASKS: Tuple[TaskRecord, ...] = (
    _glue("CoLA", "Corpus of Linguistic Acceptability", ("sentence",), _BINARY, (MATTHEWS,), 1063,
          head=EXTRA_LAYER),
    _glue("SST-2", "Stanford Sentiment Treebank", ("sentence",), _BINARY, (ACCURACY,), 1821,
          cache="glue_sst", batch_size=16, aliases=("SST",)),
    _glue("MRPC", "Microsoft Research Paraphrase Corpus", ("#1 String", "#2 String"), _BINARY,
          (F1, ACCURACY), 1725, source=""),
    _glue("STS-B", "Semantic Textual Similarity Benchmark", _TWO_SENTENCES, (),
          (PEARSON, SPEARMAN), 1379, label_range=(0.0, 5.0), aliases=("STS",)),
    _glue("QQP", "Quora Question Pairs", ("question1", "question2"), _BINARY, (F1, ACCURACY),
          390965, batch_size=16, source="https://dl.fbaipublicfiles.com/glue/data/QQP-clean.zip"),
    _glue("MNLI", "Multi-Genre Natural Language Inference", _TWO_SENTENCES, _NLI, (ACCURACY,),
          None, "sentence1", batch_size=16, splits=_MNLI_SPLITS),
    _glue("QNLI", "Question Natural Language Inference", ("question", "sentence"), _RTE,
          (ACCURACY,), 5463, "sentence", batch_size=16,
          source="https://dl.fbaipublicfiles.com/glue/data/QNLIv2.zip"),
    _glue("RTE", "Recognizing Textual Entailment", _TWO_SENTENCES, _RTE, (ACCURACY,), 3000,
          "sentence1", aliases=("GLUE-RTE",)),
    _glue("WNLI", "Winograd Natural Language Inference", _TWO_SENTENCES, _BINARY, (ACCURACY,), 146,
          "sentence1"),
    _glue("AX", "GLUE diagnostics", _TWO_SENTENCES, _NLI, (MATTHEWS,), 1104, "sentence1",
          model_task="MNLI", diagnostic=True, aliases=("diagnostic", "GLUE-AX"),
          splits=(Split(TEST, TEST, ("AX.tsv", "diagnostic.tsv", "test.tsv"), 1104, "AX.tsv"),),
          source="https://dl.fbaipublicfiles.com/glue/data/AX.tsv"),
    _superglue("BoolQ", "Boolean Questions", ("passage", "question"), _TRUTH, (ACCURACY,), 3245,
               passage="passage"),
    _superglue("CB", "CommitmentBank", _PREMISE, _NLI, (MACRO_F1, ACCURACY), 250,
               passage="premise"),
    _superglue("COPA", "Choice of Plausible Alternatives",
               ("premise", "choice1", "choice2", "question"), _BINARY, (ACCURACY,), 500, CHOICES),
    _superglue("MultiRC", "Multi-Sentence Reading Comprehension",
               ("passage", "question", "answers"), _BINARY, (ANSWER_F1, EXACT_MATCH), 166, ANSWERS,
               passage="passage"),
    _superglue("ReCoRD", "Reading Comprehension with Commonsense Reasoning",
               ("passage", "query", "entities"), (), (TOKEN_F1, EXACT_MATCH), 10000, ENTITIES,
               passage="passage"),
    _superglue("RTE", "Recognizing Textual Entailment (SuperGLUE)", _PREMISE, _RTE, (ACCURACY,),
               3000, passage="premise", name=_SUPERGLUE_RTE, model_task=_SUPERGLUE_RTE,
               aliases=("SuperGLUERTE", "SG-RTE", "RTE-SuperGLUE")),
    _superglue("WiC", "Word in Context", ("word", *_TWO_SENTENCES), _TRUTH, (ACCURACY,), 1400,
               WORD),
    _superglue("WSC", "Winograd Schema Challenge", ("text", "span1_text", "span2_text"),
               _TRUTH, (ACCURACY,), 146, SPANS),
    _superglue("AX-b", "SuperGLUE broad-coverage diagnostics", _TWO_SENTENCES, _RTE, (MATTHEWS,),
               1104, passage="sentence1", model_task=_SUPERGLUE_RTE, diagnostic=True,
               splits=(Split(TEST, TEST, ("AX-b.jsonl", "test.jsonl"), 1104, "AX-b.jsonl"),)),
    _superglue("AX-g", "SuperGLUE Winogender diagnostics", _PREMISE, _RTE,
               (GENDER_PARITY, ACCURACY), 356, passage="premise", model_task=_SUPERGLUE_RTE,
               diagnostic=True,
               splits=(Split(TEST, TEST, ("AX-g.jsonl", "test.jsonl"), 356, "AX-g.jsonl"),)),
    _race("RACE-H", "Reading comprehension from examinations, high school", "high", 3498),
    _race("RACE-M", "Reading comprehension from examinations, middle school", "middle", 1436),
    _squad("1.1", "SQuAD1", answers_optional=False),
    _squad("2.0", "SQuAD2", answers_optional=True),
)  # fmt: skip


def _key(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _index() -> Dict[str, TaskRecord]:
    index: Dict[str, TaskRecord] = {}
    for record in TASKS:
        for name in (record.name, *record.aliases):
            assert index.setdefault(_key(name), record) is record, f"{name} names two tasks"
    return index


_TASK_OF_KEY = _index()


def get_task(name: str) -> TaskRecord:
    """Return the record of a task.

    Args:
        name: name or alias of the task; case, dashes and underscores are ignored.

    Raises:
        InputError: there is no such task; lists the known tasks.

    >>> get_task("sts_b").name
    'STS-B'
    """
    record = _TASK_OF_KEY.get(_key(name))
    if record is None:
        known = ", ".join(task.name for task in TASKS)
        raise InputError(f"task {name!r}: is not known, allowed are {known}")
    return record
