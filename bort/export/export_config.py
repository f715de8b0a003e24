"""Settings of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from bort.errors import InputError
from bort.settings.config import Config, setting


@dataclass(frozen=True)
class ExportConfig(Config):
    """Settings of the export."""

    model: str = setting(..., "a model folder or a Hugging Face folder")
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
