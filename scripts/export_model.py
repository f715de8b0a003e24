"""Write a model in the format of another library: a Hugging Face folder, ONNX, or OpenVINO.

Reads a folder that pre-training, fine-tuning, the demo or import_model.py has left, and compares
what it wrote with the original on text before the folder appears under its name.
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
    """What is written, and how."""

    model: str = setting(..., "folder of the model, with model.json and vocabulary/")
    to: str = setting(..., "format", choices=("huggingface", "onnx", "openvino"))
    output_dir: str = setting(..., "folder to make; must not exist, or be empty")
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the model's own", aliases=("vocabulary",)
    )
    text_file: Optional[str] = setting(
        None, "text to compare on, one a line, the first 8; sentences of ours if none"
    )
    encoder_only: bool = setting(False, "leave decoder or head out: last hidden states")
    exact_decoder: bool = setting(
        False, "huggingface: keep the decoder's own epsilon exactly; for inference in float32 only"
    )
    precision: str = setting("fp32", "onnx, openvino: of the matrices", choices=("fp32", "int8"))
    masked_positions: bool = setting(
        False, "onnx, openvino: a third input, positions at which alone the decoder answers"
    )

    def check(self) -> None:
        if self.to != "huggingface" and self.exact_decoder:
            raise InputError("exact_decoder is for --to huggingface; the others keep every epsilon")
        if self.to == "huggingface" and (self.precision != "fp32" or self.masked_positions):
            raise InputError("precision and masked_positions are for --to onnx and openvino")


def work(arguments: argparse.Namespace) -> None:
    """Export and print what came out."""
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
