"""The report of a run: `report.html` and `report.md`, made from its results alone."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from bort.formats.precisions import FP32
from bort.report.html.document import (
    Bullets,
    Cell,
    Code,
    Document,
    Highlight,
    Inline,
    Number,
    Origin,
    Part,
    ReportedStage,
    Section,
    Table,
    numbered,
)
from bort.report.html.limited import front_figures, ranking_table, verdict_bullets
from bort.report.html.seconds import spoken_seconds
from bort.report.html.settings import settings_table
from bort.report.html.sources import Sources
from bort.report.metric_words import spoken_metrics
from bort.search.latency import describe_conditions
from bort.tasks.metrics import mean_score
from experiments.small_model.config import SmallModelConfig
from experiments.small_model.notes import notes_on
from experiments.small_model.results import SmallModelResults
from experiments.small_model.score_figure import score_figure, scored_parts
from experiments.small_model.statements import (
    BIG,
    CUT,
    FASTEST,
    MATH_WORDS,
    MODEL_WORDS,
    SERVED,
    SMALL,
    WITH_AGORA,
    difference_verdict,
    is_noise,
    limit_words,
    measured_words,
    milliseconds,
    signed_points,
)

_STAGES = {
    "teacher": "the teacher is fine-tuned, unless it was before, and scored",
    "latency": "architectures are timed on this device, in turns with the teacher",
    "super_network": "the teacher becomes a super-network that learns the task from it",
    "search": "the best sub-network within the limit is picked and timed",
    SMALL: "the pick is taken out and learns from the labels and the teacher",
    CUT: "the teacher with fewer layers learns the same way for as long, to compare",
    WITH_AGORA: "the student learns from new examples that the teacher labels",
    "export": "the best model is exported, and its precision is chosen",
    "final": "the served model is timed in a fresh process and scored once",
}


def small_model_document(
    found: SmallModelResults, stages: Sequence[ReportedStage], keys: Mapping[str, Origin]
) -> Document:
    """Return the report of a run, also of one that is not finished.

    Args:
        found: the results.
        stages: the finished stages, for the list at the end.
        keys: names of the finished stages → their keys; one or more.
    """
    content = _Content(found, Sources(keys))
    sections: List[Tuple[str, Sequence[Part]]] = [
        ("Scores and latencies", content.scores()),
        ("Differences and their noise", content.differences()),
        ("Use it", content.usage()),
        ("Precisions", content.precisions()),
        ("The search", content.search()),
        ("What did not pay", content.notes()),
        ("Where the time went", content.time()),
        ("Task, device and settings", content.conditions()),
    ]
    shown = [Section(title, parts) for title, parts in sections if parts]
    return Document(content.title(), content.lead(), shown, stages, content.highlights())


class _Content:
    """The parts of the report.

    Args:
        found: the results.
        sources: the keys of the finished stages.
    """

    def __init__(self, found: SmallModelResults, sources: Sources) -> None:
        self._found, self._sources = found, sources
        self._metric = spoken_metrics(found.task.get("metrics", ()))

    def title(self) -> List[Inline]:
        final = self._found.final
        if final is None:
            return ["A small model is on its way: not all stages are finished"]
        words: List[Inline] = ["A small model"]
        if final["speed_up"] is not None:
            words = [self._final(f"{final['speed_up']:.1f} times"), " as fast"]
        if (self._found.teacher or {}).get("learnt") is False:
            link = " of" if final["speed_up"] is None else " as"
            words.append(f"{link} a teacher that is no better than guessing")
        elif final["share_of_teacher"] is not None:
            share = self._final(f"{100 * final['share_of_teacher']:.1f} %")
            words += [", ", share, " of the teacher's score"]
        rival = self._found.difference(SERVED, CUT)
        if self._found.chosen == CUT:
            return [*words, ": the truncated teacher"]
        if rival is None:
            return words
        points = self._final(f"{abs(100 * rival['difference']):.1f} points")
        if points.text == "0.0 points":
            return [*words, f", as good as {self._rival()}"]
        relation = "better" if rival["difference"] > 0 else "worse"
        doubt = " (within the noise)" if is_noise(rival) else ""
        return [*words, ", ", points, f" {relation} than {self._rival()}{doubt}"]

    def _rival(self) -> str:
        """Return the name of the baseline, which may be over the limit."""
        if self._found.candidates[CUT].get("keeps_limit") is False:
            return "the truncated teacher, which is over the limit"
        return "the teacher truncated to the same speed"

    def lead(self) -> List[Inline]:
        """Return the answer: what is served, its score beside the others, and the limit."""
        found, final = self._found, self._found.final
        if final is None:
            return self._unfinished()
        words: List[Inline] = []
        if found.teacher is not None and found.teacher.get("learnt") is False:
            words.append("The teacher is no better than guessing, so a share of its score means ")
            words.append("little. ")
        if found.chosen in found.candidates:
            chosen = found.candidates[found.chosen or ""]
            words.append(
                f"Served is the {MODEL_WORDS[found.chosen or '']}, {chosen['architecture']}"
            )
            taken = [one for one in found.precisions if one.get("taken")]
            words.append(f", {taken[0]['precision']} on {taken[0]['engine']}. " if taken else ". ")
        if final.get("latency_ms") and final.get("teacher_latency_ms"):
            words += [
                "A text takes ",
                self._final(milliseconds(final["latency_ms"])),
                ", with the teacher ",
                self._final(milliseconds(final["teacher_latency_ms"])),
                " in fp32. ",
                *self._speed_without_precision(),
            ]
        words += self._limit()
        rival = found.difference(SERVED, CUT)
        if rival is not None and found.chosen != CUT:
            words += difference_verdict(rival, self._sources.of("final"))
        return words or ["All stages are finished."]

    def _speed_without_precision(self) -> List[Inline]:
        """Return a sentence on how much of the speed-up the precision makes; [] for fp32."""
        exact = [one for one in self._found.precisions if one["precision"] == FP32]
        if not exact or exact[0].get("taken"):
            return []
        latency = (self._found.final or {})["teacher_latency_ms"]
        times = f"{latency / exact[0]['latency_ms']:.1f} times"
        number = self._sources.number(times, "final", "export")
        return ["In fp32 the same model is ", number, " as fast. "]

    def highlights(self) -> List[Highlight]:
        found, final = self._found, self._found.final
        if final is None:
            return []
        shown = []
        if final["speed_up"] is not None:
            speed = self._final(f"{final['speed_up']:.1f} ×")
            shown.append(Highlight(speed, "as fast as the teacher, in a fresh process"))
        behind = found.difference(SERVED, BIG)
        if behind is not None and behind["share"] is not None:
            label: List[Inline] = ["of the teacher's score on the report split"]
            if behind["share_low"] is not None:
                ends = f"{100 * behind['share_low']:.1f} % to {100 * behind['share_high']:.1f} %"
                label += [", ", *numbered(ends, self._sources.of("final"))]
            shown.append(Highlight(self._final(f"{100 * behind['share']:.1f} %"), label))
        rival = found.difference(SERVED, CUT)
        if rival is not None and found.chosen != CUT:
            points = self._final(signed_points(rival["difference"]))
            note = ", within the noise" if is_noise(rival) else ""
            label = [f"points against {self._rival()}{note}"]
            shown.append(Highlight(points, label))
        return shown

    def scores(self) -> List[Part]:
        rows = [row for name in MODEL_WORDS for row in self._score_row(name)]
        if not rows:
            return []
        examples: List[Inline] = []
        if self._found.comparison is not None:
            count = self._final(f"{self._found.comparison['examples']:,}")
            examples = [" The report split has ", count, " examples; brackets are 95 % intervals."]
        note: List[Inline] = [
            f"Scores are 100 times the {self._metric}. The dev set chose models and settings; the "
            "report split was read once, at the end.",
            *examples,
        ]
        served = [place for place, row in enumerate(rows) if row[0] == MODEL_WORDS[SERVED]]
        columns = ["", "latency", "dev", "report split", "of the teacher"]
        table = Table(columns, rows, "Scores and latencies", note, served)
        figure = score_figure(self._found, self._sources, self._metric)
        return [*([] if figure is None else [figure]), table, *self._sizes()]

    def _score_row(self, name: str) -> List[List[Cell]]:
        """Return the row of a model in the table of scores; none if there is no such model."""
        found, label = self._found, MODEL_WORDS[name]
        if name == SERVED:
            taken = [one for one in found.precisions if one.get("taken")]
            if found.final is None or not taken or found.chosen is None:
                return []
            latency = self._milliseconds(found.final.get("latency_ms"), "final")
            dev = self._score(taken[0].get("dev"), "export")
        else:
            model = found.teacher if name == BIG else found.candidates.get(name)
            if model is None:
                return []
            timed = name if name != BIG else "latency" if found.final is None else "final"
            latency = self._milliseconds(model.get("latency_ms"), timed)
            if model.get("keeps_limit") is False:
                label += ", over the limit"
            dev = self._score(model.get("dev"), name)
        behind = found.difference(name, BIG)
        share: Cell = ""
        if behind is not None and behind["share"] is not None:
            share = self._final(f"{100 * behind['share']:.1f} %")
        return [[label, latency, dev, self._reported(name), share]]

    def _sizes(self) -> List[Part]:
        """Return the table of sizes and training times."""
        rows: List[List[Cell]] = []
        for name in (BIG, SMALL, WITH_AGORA, CUT):
            model = self._found.teacher if name == BIG else self._found.candidates.get(name)
            if model is None:
                continue
            steps = model.get("steps")
            is_given = model.get("fine_tuned_here") is False
            seconds = self._sources.known(spoken_seconds(model["seconds"]), name)
            rows.append(
                [
                    MODEL_WORDS[name],
                    str(model["architecture"]),
                    self._sources.known(f"{model['parameters'] / 1e6:.2f} M", name),
                    "" if steps is None else self._sources.known(f"{steps:,}", name),
                    "fine-tuned before" if is_given else seconds,
                ]
            )
        note = "The student comes out of the super-network, whose time is not in its own."
        columns = ["", "depth-heads-hidden-intermediate-qkv", "parameters", "steps", "training"]
        return [Table(columns, rows, "Sizes and training times", note)]

    def differences(self) -> List[Part]:
        pairs = [(SERVED, BIG), (SERVED, CUT), (SMALL, CUT), (WITH_AGORA, SMALL), (CUT, BIG)]
        known = [self._found.difference(*pair) for pair in pairs]
        items = [
            difference_verdict(one, self._sources.of("final")) for one in known if one is not None
        ]
        words = (
            "The examples of the report split were drawn again and again, with the same draw for "
            "both models. A difference whose 95 % interval holds 0 is within the noise."
        )
        return [words, Bullets(items)] if items else []

    def usage(self) -> List[Part]:
        if SMALL not in self._found.candidates:
            return []
        parts: List[Part] = [Code(self._found.usage)]
        if self._found.chosen is None:
            parts.insert(0, "This is the best model so far, which was not exported yet:")
        if self._found.elsewhere:
            parts += ["Without this toolkit, with Transformers:", Code(self._found.elsewhere)]
        return parts

    def precisions(self) -> List[Part]:
        found = self._found.precisions
        if not found:
            return []
        rows: List[List[Cell]] = []
        for row in found:
            size = row.get("bytes")
            rows.append(
                [
                    f"{row['precision']}, {row['engine']}",
                    self._score(row.get("dev"), "export"),
                    self._milliseconds(row.get("latency_ms"), "export"),
                    "" if size is None else self._sources.known(f"{size / 1e6:.2f} MB", "export"),
                    _served_words(row) if row.get("taken") else row.get("reason") or "",
                ]
            )
        taken = [place for place, row in enumerate(found) if row.get("taken")]
        loss = 100 * self._found.settings["precision_loss"]
        note = (
            f"The fastest is served whose dev score is at most {loss:g} points lower, unless it "
            "breaks a limit that another one keeps."
        )
        columns = ["", "dev", "latency", "file", ""]
        return [Table(columns, rows, "The exported model", note, taken)]

    def search(self) -> List[Part]:
        search = self._found.search
        if search is None:
            return []
        source = self._sources.of("search")
        figures = [] if scored_parts(self._found) else front_figures(search, source)
        ranking = ranking_table(search, source, rows=10)
        return [*figures, ranking, verdict_bullets(search["verdict"], source)]

    def notes(self) -> List[Part]:
        items = []
        for note in notes_on(self._found):
            known = [name for name in note.stages if name in self._sources]
            items.append(numbered(note.text, self._sources.of(*known)))
        return [Bullets(items)] if items else []

    def time(self) -> List[Part]:
        rows: List[List[Cell]] = []
        for row in self._found.time["stages"]:
            planned, used = row["planned_seconds"], row["used_seconds"]
            rows.append(
                [
                    row["stage"],
                    _STAGES.get(row["stage"], ""),
                    "" if planned is None else spoken_seconds(planned),
                    "" if used is None else self._sources.known(spoken_seconds(used), row["stage"]),
                ]
            )
        used = Number(spoken_seconds(self._found.time["used_seconds"]), self._sources.all())
        rows.append(["all", "", f"--hours {self._found.time['hours']}", used])
        return [Table(["stage", "what happens", "planned", "used"], rows)]

    def conditions(self) -> List[Part]:
        task = self._found.task
        kinds = {name: name for name in ("train", "dev", "report")}
        kinds["unlabelled"] = "further texts without a label"
        sizes = ", ".join(f"{task[one]:,} {words}" for one, words in kinds.items() if task.get(one))
        parts: List[Part] = [f"Task {task['name']}: {sizes}." if sizes else f"Task {task['name']}."]
        if self._found.device is not None:
            parts.append(f"Latencies: {describe_conditions(self._found.device)}.")
        findings = self._found.findings
        math = findings.get("math")
        if math is not None:
            parts.append(f"Trainings: {MATH_WORDS[math]}.")
        remarks = [*findings.get("task", {}).get("in_file", ()), *findings.get("notes", ())]
        if remarks:
            parts.append(Bullets(remarks))
        own = ("teacher", "task_name", "output_dir", "hours")
        return [*parts, settings_table(SmallModelConfig, self._found.settings, own=own)]

    def _unfinished(self) -> List[Inline]:
        missing = [
            row["stage"] for row in self._found.time["stages"] if row["used_seconds"] is None
        ]
        words = f"Not finished: {', '.join(missing)}. " if missing else ""
        return [f"{words}The same command continues. Below is what stands so far."]

    def _limit(self) -> List[Inline]:
        limit = self._found.limit
        if limit["measured"] is None:
            return []
        kept = "is kept" if limit["kept"] else "is not kept"
        names = ["final"] if limit["kind"] != "parameters" else [self._found.chosen or "final"]
        measured = self._sources.number(measured_words(limit), *names)
        return [f"The limit, {limit_words(limit)}, {kept}: ", measured, ". "]

    def _reported(self, name: str) -> Cell:
        """Return a model's score on the report split with its interval."""
        scores = (self._found.comparison or {}).get("scores", {}).get(name)
        if scores is None:
            return ""
        ends = ""
        if scores["low"] is not None:
            ends = f" [{100 * scores['low']:.1f}, {100 * scores['high']:.1f}]"
        return self._final(f"{100 * scores['mean']:.1f}{ends}")

    def _score(self, scores: Optional[Mapping[str, float]], *names: str) -> Cell:
        return "" if not scores else self._sources.known(f"{100 * mean_score(scores):.1f}", *names)

    def _milliseconds(self, value: Optional[float], *names: str) -> Cell:
        return "" if value is None else self._sources.known(milliseconds(value), *names)

    def _final(self, text: str) -> Number:
        return self._sources.number(text, "final")


def _served_words(row: Mapping[str, Any]) -> str:
    """Return why a precision is served, if that is not the usual reason."""
    reason = row.get("reason")
    return "served" if reason in (None, "", FASTEST) else f"served, {reason}"
