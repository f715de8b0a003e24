"""Sentences on what did not pay in a run, each with the stages that its numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from bort.engines.protocol import ONNXRUNTIME, OPENVINO
from bort.formats.precisions import BF16, FP32, INT8
from bort.process.timing import MOST_SPREAD
from bort.report.html.seconds import spoken_seconds
from bort.tasks.metrics import mean_score
from bort.training.time_budget import parse_duration
from experiments.small_model.statements import (
    BIG,
    CUT,
    FASTEST,
    SERVED,
    SMALL,
    WITH_AGORA,
    is_noise,
    limit_words,
    measured_words,
    not_learnt_words,
)

if TYPE_CHECKING:
    from experiments.small_model.results import SmallModelResults

_NOISY = 1 / 3
"""Share of the measured architectures with noisy times from which the machine is called busy."""

_ROOM = 1.25
"""Times that a limit is kept from which a larger model would keep it, too."""

_LATE = 1.02
"""Used seconds as a share of the allowed ones from which a run is called late."""


class Note(NamedTuple):
    """A sentence, and the names of the stages that its numbers come from."""

    text: str
    stages: Tuple[str, ...]


def notes_on(found: SmallModelResults) -> Iterator[Note]:
    """Yield what did not pay, and what the user should know.

    Args:
        found: the results; their own notes are not read.
    """
    if found.teacher is not None and found.teacher.get("learnt") is False:
        words = not_learnt_words(found.teacher)
        yield Note(f"{words[0].upper()}{words[1:]}. More hours or more rows may help.", (BIG,))
    yield from _on_latencies(found)
    yield from _on_candidates(found)
    for row in found.precisions:
        if row["precision"] != FP32 and not row.get("taken") and row.get("reason"):
            reason = row["reason"]
            yield Note(
                f"{row['precision']} on {row['engine']} is not served: {reason}.", ("export",)
            )
        if row.get("taken") and row.get("reason") not in (None, "", FASTEST):
            words = f"{row['precision']} on {row['engine']} is served: {row['reason']}."
            yield Note(words, ("export",))
    if found.limit.get("kept") is False:
        limit, measured = limit_words(found.limit), measured_words(found.limit)
        yield Note(f"The limit is not kept: {limit}, measured is {measured}.", ("final",))
    yield from _on_room(found)
    yield from _on_time(found)
    difference = found.difference(SERVED, CUT)
    if difference is not None and is_noise(difference) and found.chosen != CUT:
        yield Note(
            "On the report split, the served model and the truncated teacher do not differ by more "
            "than the noise of so few examples.",
            ("final",),
        )


def _on_latencies(found: SmallModelResults) -> Iterator[Note]:
    """Yield a sentence on latencies of a busy machine, from which the search's limit follows."""
    rows, noisy = found.sample.get("architectures", 0), found.sample.get("noisy", 0)
    if noisy <= _NOISY * rows:
        return
    missing = found.sample["chosen"] - rows
    ended = f", and there was no time for {missing} more" if missing > 0 else ""
    yield Note(
        f"The machine was busy while latencies were measured: {noisy} of {rows} times vary by more "
        f"than {100 * MOST_SPREAD:.0f} %{ended}. The search may keep the limit less exactly.",
        ("latency",),
    )


def _on_candidates(found: SmallModelResults) -> Iterator[Note]:
    means: Dict[str, float] = {
        name: mean_score(one["dev"]) for name, one in found.candidates.items() if one.get("dev")
    }
    student = means.get(SMALL)
    if student is None:
        return
    best = SMALL
    if WITH_AGORA in means:
        agora = means[WITH_AGORA]
        best = WITH_AGORA if agora > student else SMALL
        if found.candidates[WITH_AGORA].get("steps") == 0:
            yield Note("There was no time for Agora.", (WITH_AGORA,))
        elif agora <= student:
            yield Note(
                f"Agora did not pay: dev {agora:.3f} against {student:.3f} without.",
                (SMALL, WITH_AGORA),
            )
    if CUT in means and means[CUT] >= means[best]:
        over = ""
        if found.candidates[CUT].get("keeps_limit") is False:
            over = ", but is over the limit"
        yield Note(
            f"The search did not pay: the truncated teacher has dev {means[CUT]:.3f}{over}, the "
            f"student {means[best]:.3f}.",
            (CUT, best),
        )


def _on_room(found: SmallModelResults) -> Iterator[Note]:
    """Yield a sentence on a limit of fp32 that leaves room for a better model in what serves."""
    fast = _fast_row(found)
    if fast is None or found.settings["precision"] != FP32 or found.teacher is None:
        return
    row, gain = fast
    if not row.get("taken") or mean_score(row["dev"]) >= mean_score(found.teacher["dev"]):
        return
    limit, teacher_ms = found.limit, found.teacher["latency_ms"]
    most = limit["value"] if limit["kind"] == "latency_ms" else teacher_ms / limit["value"]
    stages, precision = (BIG, "export", "final"), row["precision"]
    if teacher_ms / gain <= most:
        yield Note(
            f"The limit is that of the search in fp32. In {precision} the teacher itself may keep "
            f"it: here {precision} is {gain:.2f} times as fast as fp32. scripts/export_model.py "
            "exports the teacher.",
            stages,
        )
    elif most / row["latency_ms"] >= _ROOM:
        yield Note(
            f"What serves in {precision} is {most / row['latency_ms']:.2f} times as fast as the "
            "limit asks, which is that of the search in fp32. With --precision fast, a larger model"
            " keeps the limit, and may keep more of the teacher's score.",
            stages,
        )


def _fast_row(found: SmallModelResults) -> Optional[Tuple[Mapping[str, Any], float]]:
    """Return the row of `--precision fast`, and how many times as fast as fp32 it is.

    None without a limit of latency, or where that precision is fp32 on the engine of the latencies.
    """
    timed = found.limit["kind"] in ("speed_up", "latency_ms") and found.final is not None
    exact = [row for row in found.precisions if row["precision"] == FP32]
    if not timed or not exact:
        return None
    kinds = ((OPENVINO, BF16), (ONNXRUNTIME, INT8))
    for row in found.precisions:
        kind = (row["engine"], row["precision"])
        if kind in kinds and row["engine"] == exact[0]["engine"]:
            return row, exact[0]["latency_ms"] / row["latency_ms"]
    return None


def _on_time(found: SmallModelResults) -> Iterator[Note]:
    """Yield a sentence on a run that took longer than it was allowed, with the stage to blame."""
    time = found.time
    allowed = parse_duration(time["hours"])
    rows = [one for one in time["stages"] if one["used_seconds"] and one["planned_seconds"]]
    if time["used_seconds"] <= _LATE * allowed or not rows:
        return
    worst = max(rows, key=lambda one: one["used_seconds"] - one["planned_seconds"])
    used, planned = (spoken_seconds(worst[name]) for name in ("used_seconds", "planned_seconds"))
    yield Note(
        f"The run took {spoken_seconds(time['used_seconds'])}, more than its "
        f"{spoken_seconds(allowed)}: the stage {worst['stage']} took {used}, planned were "
        f"{planned}.",
        tuple(one["stage"] for one in time["stages"] if one["used_seconds"] is not None),
    )
