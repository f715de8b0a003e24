"""Export a model to the format of another library: a Hugging Face folder, ONNX, or OpenVINO.

Reads a model folder of pre-training, fine-tuning, the demonstration or import_model.py. Compares
the exported model with the original on text before the output folder appears.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bort.errors import InputError
from bort.process.command import make_parser, run_command
from bort.settings.config import Config, setting


@dataclass(frozen=True)
class ExportConfig(Config):
    """Settings of the export."""

    model: str = setting(..., "folder of the model, with model.json and vocabulary/")
    to: str = setting(..., "output format", choices=("huggingface", "onnx", "openvino"))
    output_dir: str = setting(..., "output folder; must be empty or not exist")
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the model's own", aliases=("vocabulary",)
    )
    text_file: Optional[str] = setting(
        None, "file of texts for the comparison, first 8 lines; none: built-in sentences"
    )
    encoder_only: bool = setting(
        False, "leave out decoder or head; the output is the last hidden states"
    )
    exact_decoder: bool = setting(
        False, "huggingface: keep the exact epsilon of the decoder; for inference in float32 only"
    )
    precision: str = setting(
        "fp32", "onnx, openvino: precision of the matrices", choices=("fp32", "int8")
    )
    masked_positions: bool = setting(
        False, "onnx, openvino: a third input with the positions that the decoder predicts"
    )

    def check(self) -> None:
        if self.to != "huggingface" and self.exact_decoder:
            raise InputError(
                "exact_decoder is for --to huggingface only; other formats keep every epsilon"
            )
        if self.to == "huggingface" and (self.precision != "fp32" or self.masked_positions):
            raise InputError(
                "precision and masked_positions are allowed with --to onnx and openvino only"
            )


def work(arguments: argparse.Namespace) -> None:
    """Export the model and print the result of the comparison as JSON."""
    config = ExportConfig.from_arguments(arguments)
    from bort.export import exporting

    text = None if config.text_file is None else Path(config.text_file)
    source = exporting.ExportSource(Path(config.model), config.vocab, text, config.encoder_only)
    output = Path(config.output_dir)
    if config.to == "huggingface":
        checks = exporting.export_huggingface(source, output, exact_decoder=config.exact_decoder)
    else:
        write = exporting.export_onnx if config.to == "onnx" else exporting.export_openvino
        checks = write(
            source,
            output,
            precision=config.precision,
            masked_positions=config.masked_positions,
        )
    summary = {"output_dir": config.output_dir, "to": config.to, "checks": checks}
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    parser = make_parser(__doc__)
    ExportConfig.add_flags(parser)
    run_command(parser, work)
