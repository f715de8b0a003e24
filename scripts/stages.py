"""Show, check and clean up a store of stages."""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import dataclasses
import json
from typing import Callable, Dict, List, Optional

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.stages.collection import collect
from bort.stages.graph import GRAPH_FORMATS, StageGraph
from bort.stages.listing import finished_results, stage_states, status_table, why, why_table
from bort.stages.plan import Experiment, read_experiments
from bort.stages.publishing import publish
from bort.stages.store import Store

DESCRIPTION = """\
Show, check and clean up a store of stages. status: the state of each stage, its key, its wall
seconds and its bytes. why: which fields differ from the stage's last result with another key.
graph: the stages and their inputs. verify: check the SHA-256 of all results. gc: remove the results
and the unfinished work that no experiment reaches. publish: copy a result into a plain folder."""


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, do what the command says, print the answer."""
    parser = make_parser(DESCRIPTION)
    parser.add_argument("command", choices=list(COMMANDS), help="what to do, as above")
    parser.add_argument("--store", required=True, help="folder of the store")
    parser.add_argument("--experiment", help="name of an experiment; by default all")
    parser.add_argument("--stage", help="name of a stage, for why (by default all) and publish")
    parser.add_argument("--format", choices=GRAPH_FORMATS, default="mermaid", help="of the graph")
    parser.add_argument("--target", help="the new folder that publish makes")
    parser.add_argument("--dry_run", action="store_true", help="gc lists and removes nothing")
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> Optional[int]:
    store = Store.open(parsed.store)
    return COMMANDS[parsed.command](store, read_experiments(store, parsed.experiment), parsed)


def _status(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> None:
    print(status_table([one for each in experiments for one in stage_states(store, each)]))


def _why(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> None:
    reasons = [one for each in experiments for one in why(store, each)]
    reasons = [one for one in reasons if parsed.stage in (None, one.stage)]
    if not reasons:
        raise InputError(f"--stage is {parsed.stage!r}, no experiment has a stage of this name")
    print(why_table(reasons))


def _graph(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> None:
    graph = StageGraph.of([stage_states(store, one) for one in experiments])
    print(graph.text(parsed.format), end="")


def _verify(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> int:
    problems = store.verify()
    print(json.dumps({"results": len(store.keys()), "problems": problems}, indent=2))
    return 1 if problems else 0


def _gc(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> None:
    removed = [dataclasses.asdict(one) for one in collect(store, is_dry=parsed.dry_run)]
    name = "unreachable" if parsed.dry_run else "removed"
    print(json.dumps({name: removed, "bytes": sum(one["size"] for one in removed)}, indent=2))


def _publish(store: Store, experiments: List[Experiment], parsed: argparse.Namespace) -> None:
    if None in (parsed.experiment, parsed.stage, parsed.target):
        raise InputError("publish needs --experiment, --stage and --target")
    result = finished_results(store, experiments[0], [parsed.stage])[parsed.stage]
    publish(result, parsed.target)
    print(json.dumps({"published": parsed.target, "key": result.key}))


COMMANDS: Dict[str, Callable[[Store, List[Experiment], argparse.Namespace], Optional[int]]] = {
    "status": _status,
    "why": _why,
    "graph": _graph,
    "verify": _verify,
    "gc": _gc,
    "publish": _publish,
}

if __name__ == "__main__":
    main()
