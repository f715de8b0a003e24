"""The report of the demonstration: `report.html` and `report.md`, made from its results alone."""

from __future__ import annotations

import shlex
import statistics
from typing import Any, List, Mapping, Optional, Sequence

from bort.architecture import Architecture
from bort.command.subcommands import as_called
from bort.report.html.charts import Axes, Series, draw_chart
from bort.report.html.document import (
    Cell,
    Code,
    Document,
    Figure,
    Highlight,
    Inline,
    Link,
    Number,
    Origin,
    Part,
    ReportedStage,
    Section,
    Table,
    numbered,
)
from bort.report.html.files import HTML_FILE
from bort.report.html.limited import (
    architecture_text,
    front_figures,
    ranking_table,
    verdict_bullets,
)
from bort.report.html.seconds import spoken_seconds
from bort.report.html.settings import settings_table
from bort.report.html.sources import Sources
from bort.super_network.parts import part_name
from experiments.demo.plan import GENERATED, DemoConfig, preset_for
from experiments.demo.results import (
    AGORA,
    DISTILLED,
    FROM_RANDOM,
    PLAIN,
    SELF_SUPERVISED,
    SLICE,
    SMALL_MODEL_STAGE,
)
from experiments.demo.small_model_numbers import REFUSED, small_model_rows, small_model_sentence

_KINDS = {
    DISTILLED: "from the super-network, by distillation",
    FROM_RANDOM: "from random weights, by distillation",
    SELF_SUPERVISED: "from random weights, without a teacher",
}
_STAGES = {
    "data": "text, vocabulary and shards are made",
    "latency": "a sample of architectures is timed, the others are predicted",
    "teacher": "the teacher is pre-trained by itself",
    "super_network": "the teacher's answers are kept, and a super-network learns from them",
    "search": "the best architecture that is fast enough is picked and timed",
    "students": "the pick is trained in three ways, with several seeds each",
    "agora": "the student learns a task from few labels, plainly and with Agora",
    "small_model": "the one command makes a small model of Agora's fine-tuned teacher",
}

_SMALL = "A small model for a task, by one command"


def demo_document(
    results: Mapping[str, Any],
    stages: Optional[Sequence[ReportedStage]] = None,
    sources: Optional[Mapping[str, Origin]] = None,
) -> Document:
    """Return the report of a demonstration.

    Args:
        results: the content of `results.json`.
        stages: the stages to list at the end; by default those of `results`, without keys.
        sources: key, or keys, of `data`, `latency`, `teacher`, `super_network`, `search`,
            `students` and, if they ran, `agora` and `small_model`; by default these names.
    """
    names = [name for name in _STAGES if name in results["seconds"]]
    if stages is None:
        stages = [ReportedStage(name, name, results["seconds"][name]) for name in names]
    content = _Content(results, dict(zip(names, names)) if sources is None else sources)
    sections = [
        Section("Scores", content.scores()),
        Section("Learning curves", content.curves()),
        Section("The search", content.search()),
        *([Section("Few labels", content.agora())] if "agora" in results else []),
        *([Section(_SMALL, content.small_model())] if "small_model" in results else []),
        Section("What was done", content.work(names)),
        Section("Go on from here", content.next_steps()),
    ]
    return Document(content.title(), content.lead(), sections, stages, content.highlights())


class _Content:
    """The parts of the report.

    Args:
        results: the content of `results.json`.
        sources: see `demo_document`.
    """

    def __init__(self, results: Mapping[str, Any], sources: Mapping[str, Origin]) -> None:
        self._results = results
        self._settings: Mapping[str, Any] = results["settings"]
        self._sources = Sources(sources)
        self._number, self._known = self._sources.number, self._sources.known
        self._scores: Mapping[str, float] = results["mlm_accuracy"]
        search = results["search"]
        pick = search["best"] or search["nearest"]
        name = part_name(Architecture.from_dict(pick["architecture"]))
        given = str(self._settings["student"])
        self._is_pick = given in (name, name.rpartition("-")[0])
        self._student = architecture_text(pick) if self._is_pick else given
        self._speed_up = _speed_up(search["reference"], pick) if self._is_pick else None

    def title(self) -> List[Inline]:
        behind = self._scores["teacher"] - self._scores[DISTILLED]
        points = self._number(f"{100 * abs(behind):.1f}", "teacher", "students")
        relation = "behind" if behind >= 0 else "ahead of"
        words: List[Inline] = [points, f" points of accuracy {relation} its teacher"]
        if self._speed_up is None:
            return ["A small model ", *words]
        speed = self._number(f"{self._speed_up:.1f} times", "search")
        return ["A small model, ", speed, " as fast and ", *words]

    def lead(self) -> List[Inline]:
        gone = self._share_gone()
        words: List[Inline] = [
            f"Trained on from its slice of a super-network, with the teacher's answers, "
            f"{self._student} guesses ",
            self._accuracy(DISTILLED),
            " of held-out masked tokens right, the teacher ",
            self._accuracy("teacher"),
            ". From random weights the same architecture reaches ",
            self._accuracy(FROM_RANDOM),
            " with the teacher's answers and ",
            self._accuracy(SELF_SUPERVISED),
            " without",
        ]
        if gone is None or self._scores[DISTILLED] <= self._scores[FROM_RANDOM]:
            return [*words, "."]
        return [*words, ": ", gone, " of the distance to the teacher is gone."]

    def highlights(self) -> List[Highlight]:
        found = []
        if self._speed_up is not None:
            speed = self._number(f"{self._speed_up:.1f} ×", "search")
            found.append(Highlight(speed, "as fast as the teacher, measured in turns with it"))
        found.append(
            Highlight(
                self._accuracy(DISTILLED),
                ["of held-out tokens are right; the teacher has ", self._accuracy("teacher")],
            )
        )
        gone = self._share_gone()
        if gone is not None:
            words = "of the distance to the teacher is gone, against random weights"
            found.append(Highlight(gone, words))
        if "agora" in self._results:
            agora = self._results["agora"]
            score = self._number(f"{agora[AGORA]:.2f}", "agora")
            plain = self._number(f"{agora[PLAIN]:.2f}", "agora")
            label: List[Inline] = [f"{agora['metric']} with few labels and Agora; plainly ", plain]
            found.append(Highlight(score, label))
        return found

    def scores(self) -> List[Part]:
        results = self._results
        origins = {"teacher": "teacher", SLICE: "super_network"}
        titles = {
            "teacher": f"teacher {self._settings['teacher']}",
            SLICE: "slice of the super-network, as it was found",
            **{kind: f"student {words}" for kind, words in _KINDS.items()},
        }
        rows: List[List[Cell]] = []
        for kind, title in titles.items():
            origin = origins.get(kind, "students")
            rows.append(
                [
                    title,
                    self._number(_per_cent(self._scores[kind]), origin),
                    self._number(f"{results['mlm_loss'][kind]:.3f}", origin),
                    self._number(f"{results['perplexity'][kind]:.2f}", origin),
                ]
            )
        guess = self._number(_per_cent(results["unigram_accuracy"]), "data")
        rows.append(["the most frequent token, always", guess, "", ""])
        table = Table(
            ["", "accuracy", "loss (nats)", "perplexity"],
            rows,
            "Masked tokens of held-out text",
            [
                "Students: means over ",
                self._number(str(self._settings["seeds"]), "students"),
                " seeds. A student from the super-network has had more training than the others: "
                "that of its slice. Its seconds are counted.",
            ],
            emphasised=[list(titles).index(DISTILLED)],
        )
        return [table, self._seeds()]

    def _seeds(self) -> Table:
        rows: List[List[Cell]] = []
        for seed, found in enumerate(zip(*(self._results["seeds"][kind] for kind in _KINDS))):
            accuracies = [float(one["mlm_accuracy"]) for one in found]
            cells = [_per_cent(value) for value in accuracies]
            cells.append(f"{100 * (accuracies[0] - max(accuracies[1:])):+.1f}")
            rows.append([f"seed {seed}", *(self._number(cell, "students") for cell in cells)])
        return Table(
            ["", *(words.replace("by distillation", "distilled") for words in _KINDS.values())]
            + ["ahead by (points)"],
            rows,
            "Accuracy of each seed",
            "The last column compares the first kind with the better one of the others.",
        )

    def curves(self) -> List[Part]:
        kinds = self._results["curves"]
        level = {"teacher": self._scores["teacher"]}
        figures: List[Part] = []
        for axis, label in (("steps", "training steps"), ("seconds", "seconds")):
            series = []
            for kind, words in _KINDS.items():
                values = list(zip(*(curve["mlm_accuracy"] for curve in kinds[kind])))
                x = [statistics.mean(places) for places in zip(*(c[axis] for c in kinds[kind]))]
                means = [statistics.mean(one) for one in values]
                series.append(Series(words, x, means, [*map(min, values)], [*map(max, values)]))
            axes = Axes(label, "held-out accuracy", percent=True, from_zero=True, levels=level)
            words = {
                "steps": "Means over seeds; bands go from the worst to the best seed.",
                "seconds": "The same with time. The training of the super-network and the "
                "teacher's answers count, the training of the teacher does not.",
            }[axis]
            source = self._sources.of("teacher", "students")
            data = self._curve_table(axis, series)
            title = f"Accuracy over {axis}"
            figures.append(Figure(title, draw_chart(series, axes), words, source, data))
        return [*figures, self._time_to_equal()]

    def _curve_table(self, axis: str, series: Sequence[Series]) -> Table:
        columns = [cell for one in series for cell in (axis, one.label)]
        rows: List[List[Cell]] = []
        for points in zip(*(zip(one.x, one.y) for one in series)):
            cells = [text for x, y in points for text in (f"{x:.0f}", _per_cent(y))]
            rows.append([self._number(cell, "students") for cell in cells])
        return Table(columns, rows)

    def _time_to_equal(self) -> List[Inline]:
        times = self._results["time_to_equal_accuracy"]
        words: List[Inline] = [
            "Without a teacher, the students reach ",
            self._number(_per_cent(times["accuracy"]), "students"),
            " after ",
            *self._when(times, SELF_SUPERVISED),
        ]
        for kind in (FROM_RANDOM, DISTILLED):
            words.append(f". Those {_KINDS[kind].replace(',', '')} ")
            if times[f"{kind}_steps"] is None:
                words.append("do not get there")
            else:
                words += ["are there after ", *self._when(times, kind)]
        return [*words, "."]

    def _when(self, times: Mapping[str, Any], kind: str) -> List[Inline]:
        return [
            self._number(f"{times[f'{kind}_steps']:.0f}", "students"),
            " steps and ",
            self._number(spoken_seconds(times[f"{kind}_seconds"]), "students"),
        ]

    def search(self) -> List[Part]:
        search, source = self._results["search"], self._sources.of("search")
        space = self._number(str(search["space_size"]), "search")
        speed = self._number(f"{self._settings['speed_up']:g} times", "search")
        words: List[Inline] = [
            "The super-network holds ",
            space,
            " architectures. The search ranks those that are predicted to be about ",
            speed,
            " as fast as the teacher, by their error as parts of the super-network. The pick is "
            "the best one that keeps the limit when it is measured.",
        ]
        parts: List[Part] = [
            words,
            *front_figures(search, source),
            ranking_table(search, source),
            verdict_bullets(search["verdict"], source),
        ]
        if not self._is_pick:
            parts.append(f"The students have an architecture that was given, {self._student}.")
        elif search["best"] is None:
            parts.append("The students have the fastest architecture that was measured.")
        return parts

    def agora(self) -> List[Part]:
        agora = self._results["agora"]
        sizes, seeds = agora["sizes"], agora["seeds"]
        ahead = sum(seed[AGORA]["report"] > seed[PLAIN]["report"] for seed in seeds)
        rows: List[List[Cell]] = []
        for number, seed in enumerate(seeds):
            cells = [
                f"{seed[way][split]:.3f}" for way in (PLAIN, AGORA) for split in ("dev", "report")
            ]
            rows.append(
                [
                    f"seed {number}",
                    *(self._number(cell, "agora") for cell in cells),
                    self._number(str(seed[AGORA]["points"]), "agora"),
                ]
            )
        means = [
            f"{statistics.mean(seed[way][split] for seed in seeds):.3f}"
            for way in (PLAIN, AGORA)
            for split in ("dev", "report")
        ]
        rows.append(["mean", *(self._number(mean, "agora") for mean in means), ""])
        words: List[Inline] = [
            f"The task, {agora['task']}, is synthetic. The student has ",
            self._number(str(sizes["train"]), "agora"),
            " labelled examples. Agora adds examples that the fine-tuned teacher labels; that one "
            "has learnt from ",
            self._number(str(sizes["socrates"]), "agora"),
            " examples and has ",
            self._number(f"{agora['socrates']['matthews']:.3f}", "agora"),
            " on a dev set. Agora is ahead with ",
            self._number(f"{ahead} of {len(seeds)}", "agora"),
            " seeds.",
        ]
        columns = ["", "plain, dev", "plain, report", "Agora, dev", "Agora, report"]
        table = Table(
            [*columns, "examples with Agora"],
            rows,
            f"{agora['metric']}: of the dev set that chose the model, and of a report split",
            "Both ways train equally often. Believe the scores of the report split.",
            emphasised=[len(rows) - 1],
        )
        return [words, table]

    def small_model(self) -> List[Part]:
        found, source = self._results["small_model"], self._sources.of("small_model")
        sentence = small_model_sentence(found)
        answer = numbered(f"{sentence[0].upper()}{sentence[1:]}.", source)
        if REFUSED in found:
            return [answer]
        rows: List[List[Cell]] = [
            [name, *(self._number(cell, "small_model") for cell in cells)]
            for name, *cells in small_model_rows(found)
        ]
        table = Table(
            ["", "latency", "dev", "report split"],
            rows,
            f"{found['metric']} on the task of Agora, and latency of a text",
            "The truncated teacher keeps as many layers as the limit allows, and learns for as "
            "long. All but the served model are timed in fp32.",
            emphasised=[len(rows) - 1],
        )
        whole = Link("its own report", f"{SMALL_MODEL_STAGE}/{HTML_FILE}")
        return [
            answer,
            table,
            ["The whole account, with intervals and what did not pay, is in ", whole, "."],
        ]

    def work(self, names: Sequence[str]) -> List[Part]:
        seconds = self._results["seconds"]
        rows: List[List[Cell]] = [
            [name, _STAGES[name], self._known(f"{seconds[name]:.1f}", name)] for name in names
        ]
        total = Number(f"{sum(seconds.values()):.1f}", self._sources.all())
        table = Table(["stage", "what happens", "seconds"], [*rows, ["all", "", total]])
        return [table, self._settings_table()]

    def _settings_table(self) -> Table:
        usual = {**DemoConfig().as_dict(), **preset_for(self._settings["corpus"])}
        unset = {"folder", *(["student"] if self._is_pick else [])}
        return settings_table(DemoConfig, self._settings, usual, unset)

    def next_steps(self) -> List[Part]:
        folder = shlex.quote(str(self._settings["folder"]))
        is_generated = self._settings["corpus"] == GENERATED
        sentence = "Ella owns a blue <mask>." if is_generated else "the name of the <mask>"
        names = ("predict", "export_model", "extract_model")
        predict, export, extract = (as_called(f"scripts/{name}.py") for name in names)
        commands = (
            "# Guess a masked token with the student\n"
            f"echo {shlex.quote(sentence)} | {predict} --model {folder}/student\n\n"
            "# Serve the student with ONNX Runtime\n"
            f"{export} --model {folder}/student --to onnx "
            f"--output_dir {folder}/exported\n\n"
            "# Take another size out of the super-network\n"
            f"{extract} --super_network {folder}/super_network "
            f"--architecture largest --output_dir {folder}/largest\n"
        )
        return ["Every model of the demonstration is an ordinary model folder.", Code(commands)]

    def _accuracy(self, kind: str) -> Number:
        return self._number(
            _per_cent(self._scores[kind]), "teacher" if kind == "teacher" else "students"
        )

    def _share_gone(self) -> Optional[Number]:
        gone = self._results["distance_to_teacher"]["share_gone"]
        return None if gone is None else self._number(f"{100 * gone:.0f} %", "teacher", "students")


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _speed_up(reference: Optional[Mapping[str, Any]], pick: Mapping[str, Any]) -> Optional[float]:
    if reference is None or not reference["measured_seconds"] or not pick["measured_seconds"]:
        return None
    return float(reference["measured_seconds"] / pick["measured_seconds"])
