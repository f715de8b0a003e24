"""Measure inference times of a model next to RoBERTa-large and BERT-base on all installed engines.

python scripts/benchmark_inference.py --architecture bort_4_8_768_1024 --lengths 128 512
python scripts/benchmark_inference.py --model runs/finetune/RTE/model --engines openvino

Architectures get random weights, which do not affect the times. The models run in turn, so that
ratios are meaningful on a busy machine too. The table goes to stderr, JSON to stdout.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json
import sys
from pathlib import Path

from bort.engines.benchmark_config import InferenceBenchmarkConfig
from bort.process.command import make_parser, run_command
from bort.process.packages import is_installed


def main() -> None:
    """Parse the flags, measure, print the table and JSON."""
    parser = make_parser(__doc__ or "")
    InferenceBenchmarkConfig.add_flags(parser)
    run_command(parser, _work)


def _work(parsed: argparse.Namespace) -> int:
    config = InferenceBenchmarkConfig.from_arguments(parsed)
    from bort.engines.benchmark import as_table, conditions, measure_inference
    from bort.process.progress import RowProgress
    from bort.storage.files import atomic_write, write_json
    from bort.storage.outputs import check_output_folder

    if config.output_dir:
        check_output_folder(config.output_dir)
    progress = RowProgress("rounds", True)
    before = conditions()
    try:
        rows = measure_inference(config, progress.show)
    finally:
        progress.close()
    table = as_table(rows)
    results = {
        "settings": config.as_dict(),
        "conditions": before,
        "rows": [row.as_dict() for row in rows],
    }
    print(table, file=sys.stderr)
    print(json.dumps(results, indent=2))
    if config.output_dir:
        folder = Path(config.output_dir)
        write_json(folder / "results.json", results)
        with atomic_write(folder / "table.txt") as stream:
            stream.write(f"{table}\n".encode())
        if is_installed("matplotlib"):
            from bort.report.inference_figure import draw_inference

            draw_inference(folder / "latency.png", rows)
    return 0


if __name__ == "__main__":
    main()
