"""The stages of a store as a report lists them."""

from __future__ import annotations

from typing import Dict, List, Mapping

from bort.report.html.document import ReportedStage
from bort.stages.store import Result


def reported_stages(results: Mapping[str, Result]) -> List[ReportedStage]:
    """Return the finished stages of an experiment for the list at the end of a report.

    Stages that share a result are one line with all their names.

    Args:
        results: the results by the stages' names, as `bort.stages.running.run_stages` returns them.
    """
    names: Dict[str, List[str]] = {}
    keys: Dict[str, str] = {}
    for name, result in results.items():
        names.setdefault(result.key, []).append(name)
        keys.setdefault(result.digest, result.key)
    listed = []
    for key, shared in names.items():
        result = results[shared[0]]
        description = result.record["of"]
        used = [keys[digest] for digest in description["inputs"].values() if digest in keys]
        listed.append(
            ReportedStage(
                ", ".join(shared),
                key,
                result.seconds,
                {**description["settings"], "version of the stage": description["version"]},
                list(dict.fromkeys(used)),
            )
        )
    return listed
