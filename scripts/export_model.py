"""Export a model to the format of another library: a Hugging Face folder, ONNX, or OpenVINO.

Reads a model folder of pre-training, fine-tuning, the demonstration or import_model.py. Compares
the exported model with the original on text before the output folder appears.
"""

from __future__ import annotations

import bort.process.startup  # noqa: F401 (catches signals during the imports)

# isort: split
import argparse
import json

from bort.export.export_config import ExportConfig
from bort.process.command import make_parser, run_command


def work(arguments: argparse.Namespace) -> None:
    """Export the model and print the result of the comparison as JSON."""
    config = ExportConfig.from_arguments(arguments)
    from bort.export.exporting import export_model

    print(json.dumps(export_model(config), indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    ExportConfig.add_flags(parser)
    run_command(parser, work)
