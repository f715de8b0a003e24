"""One of the timed runs of `timed_runs`: started, killed, resumed, and looked at."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from benchmarks.stored import Basis
from benchmarks.timed_runs_plan import (
    FINETUNING,
    SLOW_SAVES,
    TimedRun,
    command_of,
    environment_of,
    epochs_of,
    text_stage,
    write_slow_saves,
)
from bort.ranks import ALONE
from bort.stages.stage import Stage
from bort.storage.run_folder import METRICS_FILE
from bort.training.time_budget import ELAPSED, POSITION, TimeBudget, TimeBudgetConfig
from bort.training.used_seconds import SECONDS_FILE, read_seconds

WAIT_SECONDS = 2.0
"""Seconds between a kill and the next process, which do not count."""

_HANGS_AFTER = 4.0
_ESTIMATE = re.compile(r" buy ([0-9,]+) ± ([0-9,]+) steps")


def timed_run_stage(run: TimedRun) -> Stage:
    """Return the stage of a run; see `run_timed`.

    Its seconds are measured by the clock, so a result stays what it was measured to be; the number
    keeps runs with equal settings apart.
    """
    return Basis({"run": run.as_dict()}, {"inputs": text_stage(run)}).stage(
        f"run-{run.number:02d}", lambda work: run_timed(run, work.inputs["inputs"], work.folder)
    )


def run_timed(run: TimedRun, inputs: Path, folder: Path) -> Dict[str, Any]:
    """Run a command to its end, kills and resumes included, and return what it did.

    Args:
        run: the run.
        inputs: folder of the result of `text_stage`.
        folder: an empty folder for the run and its messages; of the former, the metrics stay.

    Returns:
        The fields of the run and of `_outcome`.
    """
    output = folder / "run"
    command = command_of(run, inputs, output)
    environment = environment_of(run, folder / "slow", dict(os.environ))
    if run.kind == SLOW_SAVES:
        write_slow_saves(folder / "slow")
    seconds: List[float] = []
    kills = list(run.kills)
    uncounted = 0.0
    while True:
        at = next((at for at in kills if at > sum(seconds)), None)
        limit = _HANGS_AFTER * run.seconds if at is None else at - sum(seconds)
        again = ["--resume"] if seconds else []
        recorded = read_seconds(output / SECONDS_FILE)
        spent, status = _run_until(command + again, environment, folder, len(seconds), limit)
        seconds.append(spent)
        if status is not None or at is None:
            break
        if read_seconds(output / SECONDS_FILE) == recorded:
            uncounted += spent
        time.sleep(WAIT_SECONDS)
    found = {
        **run.as_dict(),
        "processes": seconds,
        "uncounted": uncounted,
        **_outcome(run, seconds, status, folder, uncounted, inputs),
    }
    if found["is_whole"]:
        (output / METRICS_FILE).replace(folder / METRICS_FILE)
        shutil.rmtree(output, ignore_errors=True)
    return found


def _run_until(
    command: List[str], environment: Mapping[str, str], folder: Path, number: int, limit: float
) -> Tuple[float, Optional[int]]:
    """Run a process, and kill it with all its children after `limit` seconds.

    Returns:
        Its seconds, and its exit status; None if it was killed.
    """
    with (folder / f"{number}.out").open("wb") as printed, (folder / f"{number}.err").open(
        "wb"
    ) as messages:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=messages,
            env=environment,
            start_new_session=True,
        )
        try:
            status: Optional[int] = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return time.monotonic() - began, status


def _outcome(
    run: TimedRun,
    seconds: List[float],
    status: Optional[int],
    folder: Path,
    uncounted: float,
    inputs: Path,
) -> Dict[str, Any]:
    """Return what is left of a run.

    Returns:
        `status`, `wall` (counted seconds of all processes), `is_inside` (the budget), `is_whole`
        (ended well, with the last evaluation, checkpoint and model), `problem`, `steps`, `reserve`,
        `used` (share of T − reserve at the end of the last step), `trained` (share of T in training
        steps), `epochs`, `estimates` (steps and deviation after the trial of each process),
        `estimate_error` (of the last process's estimate).
    """
    wall = sum(seconds) - uncounted
    found: Dict[str, Any] = {
        "status": status,
        "wall": wall,
        "is_inside": wall <= run.seconds,
        "is_whole": False,
        "estimates": [_estimates(folder / f"{n}.err") for n in range(len(seconds))],
    }
    if status != 0:
        lines = (folder / f"{len(seconds) - 1}.err").read_text("utf-8", "replace").splitlines()
        return {**found, "problem": lines[-1] if lines else "no message"}
    summary = json.loads((folder / f"{len(seconds) - 1}.out").read_text("utf-8"))
    steps = int(summary["steps"])
    output = folder / "run"
    lines = (output / METRICS_FILE).read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    timed = {line["step"]: line for line in records if POSITION in line}
    missing = {
        "a step's position": set(timed) != set(range(1, steps + 1)),
        "the last evaluation": not _is_evaluated(records, steps, run.command),
        "the last checkpoint": not (output / f"step-{steps:08d}" / "state.json").is_file(),
        "the model": not (output / "model" / "model.json").is_file()
        and not (output / "model" / "super_network.json").is_file(),
    }
    found["problem"] = ", ".join(f"{name} is missing" for name in missing if missing[name])
    found["is_whole"] = not found["problem"]
    if missing["the last checkpoint"]:
        return found
    state = json.loads((output / f"step-{steps:08d}" / "state.json").read_text("utf-8"))["state"]
    budget = TimeBudget(TimeBudgetConfig(hours=f"{run.seconds}s"), ALONE)
    budget.restore(state["budget"], "the last checkpoint")
    last_step = timed[steps][ELAPSED] - timed[max(1, steps - 1)][ELAPSED]
    last = min(timed[steps][ELAPSED] + last_step, state["budget"]["elapsed"])
    estimates = [one for one in found["estimates"] if one]
    return {
        **found,
        "steps": steps,
        "reserve": budget.reserve,
        "used": last / (run.seconds - budget.reserve),
        "trained": state["clock"]["training"] / run.seconds,
        "epochs": epochs_of(run, inputs, steps),
        "estimate_error": estimates[-1][0] / steps - 1 if estimates else None,
    }


def _is_evaluated(records: List[Dict[str, Any]], steps: int, command: str) -> bool:
    name = "dev/" if command == FINETUNING else "validation/"
    return any(line["step"] == steps and any(name in key for key in line) for line in records)


def _estimates(messages: Path) -> Optional[Tuple[int, int]]:
    """Return the steps and the deviation that a process announced; None if it was killed before."""
    found = _ESTIMATE.search(messages.read_text("utf-8", "replace"))
    if found is None:
        return None
    return int(found.group(1).replace(",", "")), int(found.group(2).replace(",", ""))
