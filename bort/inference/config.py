"""The settings of prediction over a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from bort.errors import InputError
from bort.inference.lines import INPUT_FORMATS, JSONL, OUTPUT_FORMATS, TEXT_FORMAT
from bort.settings.config import Config, setting

AUTO = "auto"
STANDARD = "-"


@dataclass(frozen=True)
class PredictConfig(Config):
    """What is predicted, with what, and where it goes."""

    model: str = setting(
        ..., "folder of the model: made here, exported to ONNX or OpenVINO, or Hugging Face's"
    )
    input: str = setting(STANDARD, "file of questions, one a line; - is standard input")
    output: str = setting(
        STANDARD, "file of answers, one a line, which appears when all are there; - is stdout"
    )
    input_format: str = setting(
        TEXT_FORMAT,
        "text: a line is a text; tsv: texts with tabs between, in the order of the task's fields, "
        "quotes as they are, no header; jsonl: a string, a list of texts, or an object of fields",
        choices=INPUT_FORMATS,
    )
    output_format: str = setting(
        JSONL,
        "jsonl: all that is known; tsv, without header: label and probability; a number; index, "
        "text and probability of a choice; filled text and guesses; or an embedding's numbers",
        choices=OUTPUT_FORMATS,
    )
    task: str = setting(
        AUTO,
        "masked: fill <mask> or [MASK] in every text; embeddings: texts as vectors; auto: what the "
        "model is for",
        choices=(AUTO, "masked", "embeddings"),
    )
    engine: str = setting(
        AUTO,
        "what computes; auto: the fastest installed",
        choices=(AUTO, "mxnet", "onnxruntime", "openvino"),
    )
    precision: str = setting(
        "fp32",
        "fp32: the same answers everywhere; fast: bf16 or int8 where that is faster",
        choices=("fp32", "fast"),
    )
    threads: Optional[int] = setting(
        None, "threads that compute; the cores of this machine if none", minimum=1, speed_only=True
    )
    vocab: Optional[str] = setting(
        None, "vocabulary, instead of the model's own", aliases=("vocabulary",)
    )
    max_len: Optional[int] = setting(
        None, "longest input in tokens; that of fine-tuning, or else the model's if none"
    )
    top_k: int = setting(5, "guesses for each mask", minimum=1)
    pooling: str = setting(
        "mean",
        "of embeddings: the mean over all tokens, or the first token's state",
        choices=("mean", "cls"),
    )
    normalise: bool = setting(False, "embeddings of length 1")
    window: int = setting(4096, "lines that are read ahead and sorted by length", minimum=1)
    batch_tokens: int = setting(
        1024,
        "most tokens computed together, padding included; 1 computes every input by itself: its "
        "answer is then the same bits in any company, and comes a little slower",
        minimum=1,
    )

    def check(self) -> None:
        if self.output != STANDARD and self.output == self.input:
            raise InputError(f"output is {self.output!r}, which is the input")
