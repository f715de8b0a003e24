"""Measure inference times of a space of architectures on this device, and fit a predictor.

python scripts/measure_latency.py --super_network runs/super --output_dir runs/latency
python scripts/measure_latency.py --model runs/model --engine openvino

What is timed is the model that is served: the exported graph in its engine.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import os
from pathlib import Path
from typing import List, Optional

from bort.process.command import make_parser, run_command
from bort.process.stopping import StopRequest
from bort.search.latency_config import LatencyTableConfig, LatencyTablePaths


def main(arguments: Optional[List[str]] = None) -> None:
    """Parse the flags, measure, print the result as JSON."""
    parser = make_parser(__doc__ or "")
    LatencyTablePaths.add_flags(parser.add_argument_group("space and files"))
    LatencyTableConfig.add_flags(parser.add_argument_group("measurement"))
    run_command(parser, _work, arguments)


def _work(parsed: argparse.Namespace) -> int:
    paths = LatencyTablePaths.from_arguments(parsed)
    config = LatencyTableConfig.from_arguments(parsed)
    stop = StopRequest().install()
    os.environ["OMP_NUM_THREADS"] = str(config.threads)  # MXNet reads it on import
    from experiments.latency_table import measure_latency_table, measure_model

    if paths.model is not None:
        summary = measure_model(Path(paths.model), config)
    else:
        summary = measure_latency_table(paths, config, stop.requested)
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    main()
