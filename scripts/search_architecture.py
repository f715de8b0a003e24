"""Search an architecture: the best one under a limit, or small, fast and close to its teacher.

Runs in one process, or on several ranks of this machine, each with --threads threads:

python -m bort.launch --ranks 2 scripts/search_architecture.py --data … --output_dir …
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import os
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.search.config import SearchConfig, SearchPaths
from bort.search.limited_config import (
    LimitedSearchConfig,
    LimitedSearchPaths,
    check_without_limit,
    fill_defaults,
)
from bort.super_network.finetuning_config import PartFinetuningConfig


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, search, print the result as JSON."""
    parser = make_parser(
        "Search the best architecture under a limit (--latency_ms, --speed_up or --parameters). "
        "Without a limit, rank the architectures of a search space by the W-coefficient with "
        "respect to a teacher (arXiv 2010.10499)."
    )
    shared = [SearchPaths, SearchConfig]
    LimitedSearchConfig.add_flags(parser.add_argument_group("limit"), shared_with=shared)
    LimitedSearchPaths.add_flags(parser.add_argument_group("files of a search under a limit"))
    SearchPaths.add_flags(parser.add_argument_group("files and search space"))
    SearchConfig.add_flags(parser.add_argument_group("search"))
    PartFinetuningConfig.add_flags(
        parser.add_argument_group("fine-tuning, for --error finetuned"), shared_with=shared
    )
    parser.set_defaults(strategy=None, error=None, teacher_model=None)
    run_command(parser, _work, arguments, several_ranks=True)


def _work(parsed: argparse.Namespace) -> int:
    teacher = parsed.teacher_model
    fill_defaults(parsed)
    paths, config = SearchPaths.from_arguments(parsed), SearchConfig.from_arguments(parsed)
    search = LimitedSearchConfig.from_arguments(parsed)
    limited = LimitedSearchPaths.from_arguments(parsed)
    training = PartFinetuningConfig.from_arguments(parsed)
    if not search.limit.is_given:
        check_without_limit(config, limited)
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(config.threads)  # MXNet reads it on import
    if search.limit.is_given:
        from experiments.limited_search import (
            LimitedCommand,
            refuse_without_pick,
            search_best_under_limit,
        )

        command = LimitedCommand(paths, limited, config, search, training, teacher)
        summary = search_best_under_limit(command, stop.requested)
    else:
        from experiments.search import search_architecture

        summary = search_architecture(paths, config, stop.requested)
    if summary is not None:
        print(json.dumps(summary, indent=2))
        if search.limit.is_given:
            refuse_without_pick(summary)
    return 0


if __name__ == "__main__":
    main()
