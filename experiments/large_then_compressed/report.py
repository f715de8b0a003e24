"""The report of the experiment, from the results that its store holds."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

from bort.report.html.charts import Axes, Series, draw_chart
from bort.report.html.document import (
    Bullets,
    Cell,
    Code,
    Document,
    Figure,
    Highlight,
    Number,
    ReportedStage,
    Section,
    Table,
)
from bort.report.metric_words import spoken_metrics
from bort.stages.store import Result
from bort.storage.files import read_json
from bort.tasks.records import get_task
from experiments.demo.plan import GENERATED
from experiments.large_then_compressed.graph import (
    EXPERIMENT,
    FINDINGS_STAGE,
    LATENCY_STAGE,
    TRAINED,
    chunk_name,
    score_name,
)
from experiments.large_then_compressed.plan import BERT_STEPS, LargeConfig, matching_epochs
from experiments.large_then_compressed.statements import (
    WAY_WORDS,
    Words,
    compression_statements,
    equal_seconds_statement,
    time_statement,
    with_half,
)

COMMAND = "python experiments/train_large_then_compress.py --settings FILE --output_dir FOLDER"


def make_document(config: LargeConfig, results: Mapping[str, Result]) -> Document:
    """Return the report.

    Args:
        config: the experiment.
        results: the results of all stages by name.
    """
    found = read_json(results[FINDINGS_STAGE].folder / "findings.json")
    key = results[FINDINGS_STAGE].key
    words, metric = Words(config, key), metric_words(config)
    times = time_statement(words, found["times"], metric)
    equal = equal_seconds_statement(words, found["equal_seconds"], config.large, metric)
    compressed = compression_statements(words, found["files"], config.large, config.smaller)
    return Document(
        title="Train large, then compress",
        lead=[*times, " ", *equal],
        sections=[
            Section(
                "Which size for a given time",
                [
                    _question(config),
                    _curves_figure(config, results, found, words, metric),
                    _accuracy_figure(found, words, key),
                    [*times],
                    [*equal],
                ],
            ),
            Section(
                "The large one compressed, the small one trained",
                [
                    "Every model at the end was exported in fp32 and int8. Scores and latencies "
                    "are those of the files. A cut model has the most important layers, heads "
                    "and neurons of the large one and was fine-tuned like the others. Slicing is "
                    "taught by training the large model for some more steps together with its "
                    "slices; the seconds of these steps are counted.",
                    _size_figure(config, found, words, key, metric),
                    _latency_figure(found, words, results, metric),
                    _files_table(found, words, key, metric),
                    Bullets(compressed),
                ],
            ),
            Section("How it was measured", [_method(config, found, words), Code(COMMAND)]),
        ],
        stages=[_reported(name, result) for name, result in results.items()],
        highlights=_highlights(found, words, metric),
    )


def metric_words(config: LargeConfig) -> str:
    """Return the score of the task in words."""
    return spoken_metrics(get_task(config.task_format).metrics)


def _question(config: LargeConfig) -> str:
    sizes = " and ".join(
        f"{name} (batches of {config.batch_size(name)}, {config.chunks * config.steps(name)} steps)"
        for name in config.architectures
    )
    data = (
        "generated English, whose labels are right by its grammar"
        if config.is_generated
        else f"the GLUE task {config.task}"
    )
    return (
        f"Is a larger model the better choice if pre-training may take so many seconds? Models of "
        f"{sizes}, depth-heads-hidden-intermediate, were pre-trained on "
        f"{'generated English' if config.corpus == GENERATED else 'the given text'} under one "
        f"learning-rate schedule in {config.chunks} parts, and fine-tuned after each part on "
        f"{config.task}: {data}."
    )


def _highlights(found: Mapping[str, Any], words: Words, metric: str) -> List[Highlight]:
    """Return the seconds until the common level, or without one the scores after equal seconds."""
    times, equal = found["times"], found["equal_seconds"]
    if times["level"] is not None:
        return [
            Highlight(
                words.seconds(seconds), f"until {metric} {times['level']:.2f}, {words.short(model)}"
            )
            for model, seconds in times["seconds"].items()
        ]
    return [
        Highlight(words.number(f"{score['mean']:.2f}"), f"{metric}, {words.short(model)}")
        for model, score in equal["scores"].items()
    ]


def _curves_figure(
    config: LargeConfig,
    results: Mapping[str, Result],
    found: Mapping[str, Any],
    words: Words,
    metric: str,
) -> Figure:
    series = [
        _band(words.short(model), mean["seconds"], mean["scores"])
        for model, mean in found["means"].items()
    ]
    rows: List[List[Cell]] = []
    for model, curves in found["curves"].items():
        for seed, curve in enumerate(curves):
            for part in range(1, config.chunks + 1):
                trained = results[chunk_name(model, seed, part)].key
                tuned = results[score_name(model, seed, part)].key
                rows.append(
                    [
                        f"{words.short(model)}, seed {seed}, part {part}",
                        Number(f"{curve['seconds'][part - 1]:.1f}", trained),
                        Number(f"{100 * curve['accuracies'][part - 1]:.1f} %", trained),
                        Number(f"{curve['chosen'][part - 1]:.3f}", tuned),
                        Number(f"{curve['scores'][part - 1]:.3f}", tuned),
                    ]
                )
    columns = ["run", "seconds", "masked tokens", "choosing split", "reported split"]
    return Figure(
        f"{_start(metric)} against seconds of pre-training",
        draw_chart(series, Axes("seconds of pre-training", metric, from_zero=True)),
        "Mean over the seeds, with its 95 % interval as a band. The seconds are those of the steps "
        "of pre-training alone: evaluations, checkpoints, fine-tunings, waiting, and steps that "
        "were lost with a kill are not counted.",
        results[FINDINGS_STAGE].key,
        Table(columns, rows, "Every run and part"),
    )


def _accuracy_figure(found: Mapping[str, Any], words: Words, key: str) -> Figure:
    series = [
        _band(words.short(model), mean["seconds"], mean["accuracies"])
        for model, mean in found["means"].items()
    ]
    return Figure(
        "Masked tokens of held-out text that are right",
        draw_chart(
            series, Axes("seconds of pre-training", "accuracy", percent=True, from_zero=True)
        ),
        "The same runs, scored on the pre-training task.",
        key,
    )


def _band(label: str, x: Sequence[Mapping[str, Any]], y: Sequence[Mapping[str, Any]]) -> Series:
    halves = [one["half"] for one in y]
    means = [one["mean"] for one in y]
    has_band = all(half is not None for half in halves)
    return Series(
        label,
        [one["mean"] for one in x],
        means,
        low=[m - h for m, h in zip(means, halves)] if has_band else None,
        high=[m + h for m, h in zip(means, halves)] if has_band else None,
    )


def _points(found: Mapping[str, Any], words: Words, position: str, scale: float) -> List[Series]:
    """Return the points of each way to a model; those of trained models have names."""
    ways: Dict[str, List[Mapping[str, Any]]] = {}
    for row in found["files"]:
        ways.setdefault(row["way"], []).append(row)
    series = []
    for way, rows in ways.items():
        halves = [row["score"]["half"] for row in rows]
        means = [row["score"]["mean"] for row in rows]
        has_band = all(half is not None for half in halves)
        names = [f"{words.short(row['model'])}, {row['precision']}" for row in rows]
        series.append(
            Series(
                WAY_WORDS[way],
                [scale * row[position] for row in rows],
                means,
                low=[m - h for m, h in zip(means, halves)] if has_band else None,
                high=[m + h for m, h in zip(means, halves)] if has_band else None,
                names=names if way == TRAINED else (),
                joined=False,
            )
        )
    return series


def _size_figure(
    config: LargeConfig, found: Mapping[str, Any], words: Words, key: str, metric: str
) -> Figure:
    return Figure(
        f"{_start(metric)} against the size of the file",
        draw_chart(
            _points(found, words, "bytes", 1e-6),
            Axes("megabytes", metric, from_zero=True),
            height=3.8,
        ),
        "The bytes are those of the exported graph with its weights. Bars are 95 % intervals of "
        "the mean over the seeds.",
        key,
    )


def _latency_figure(
    found: Mapping[str, Any], words: Words, results: Mapping[str, Result], metric: str
) -> Figure:
    return Figure(
        f"{_start(metric)} against latency",
        draw_chart(
            _points(found, words, "latency_seconds", 1e3),
            Axes("milliseconds per sequence", metric, from_zero=True),
            height=3.8,
        ),
        "One thread, full length. The runs of a file take turns with those of the large model's "
        "fp32 file, so that changes of the machine's speed cancel.",
        (results[FINDINGS_STAGE].key, results[LATENCY_STAGE].key),
    )


def _files_table(found: Mapping[str, Any], words: Words, key: str, metric: str) -> Table:
    rows: List[List[Cell]] = []
    for row in found["files"]:
        rows.append(
            [
                f"{words.way(row['way'], row['model'])}, {row['precision']}",
                Number(f"{row['parameters'] / 1e6:.2f} M", key),
                Number(f"{row['bytes'] / 1e6:.2f} MB", key),
                Number(f"{1e3 * row['latency_seconds']:.2f} ms", key),
                Number(with_half(row["latency_share"], ".2f"), key),
                words.score(row["score"]),
                words.seconds(row["training_seconds"]),
            ]
        )
    columns = [
        "model",
        "parameters",
        "file",
        "latency",
        "share of the large fp32",
        metric,
        "training",
    ]
    return Table(
        columns,
        rows,
        "The exported files",
        "± is the half width of the 95 % interval over the seeds. Training is the seconds of "
        "pre-training, with those of teaching the slicing, without fine-tuning.",
    )


def _method(config: LargeConfig, found: Mapping[str, Any], words: Words) -> Bullets:
    examples = found["examples"]
    chooser = (
        "the dev set" if config.is_generated else "a share of the training set, drawn by a seed,"
    )
    reported = "a third set" if config.is_generated else "the dev set"
    epochs = ", ".join(
        f"{matching_epochs(config.batch_size(m), config.max_seq_length, config.steps(m))} parts "
        f"for {words.model(m)}"
        for m in config.architectures
    )
    return Bullets(
        [
            [
                "Fine-tuning has ",
                words.number(f"{examples['train']}"),
                f" examples and {config.finetune_epochs} epochs. The best epoch is chosen on ",
                words.number(f"{examples['choose']}"),
                f" examples, {chooser} and the score is that on ",
                words.number(f"{examples['report']}"),
                f" others, {reported}, which choose nothing.",
            ],
            f"There are {config.seeds} seeds. A seed sets initial weights, order and masks. Models "
            "of one seed are compared with each other, and ± is the half width of Student's 95 % "
            "interval of the mean. A difference whose interval holds 0 is called none.",
            "The parts of a pre-training go on from each other's checkpoints under one schedule "
            "over all steps, so that they make the same steps as a single run.",
            f"To see as many tokens as BERT in its {BERT_STEPS:,} steps, it would take {epochs}.",
            f"Each int8 score is that of the int8 file on {config.engine}.",
            f"The stages are those of the experiment {EXPERIMENT} in the folder's store; "
            "`--report_only` renders this page from it without training.",
        ]
    )


def _reported(name: str, result: Result) -> ReportedStage:
    settings: Mapping[str, Any] = result.record["of"]["settings"]
    return ReportedStage(name, result.key, result.seconds, settings)


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
