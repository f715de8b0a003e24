"""Settings of prediction over a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from bort.engines.protocol import AUTO
from bort.errors import InputError
from bort.inference.lines import INPUT_FORMATS, JSONL, OUTPUT_FORMATS, TEXT_FORMAT
from bort.network.embedding import POOLINGS
from bort.process.threads import check_thread_count
from bort.settings.config import Config, setting

STANDARD = "-"


@dataclass(frozen=True)
class PredictConfig(Config):
    """Settings of prediction: the model, its input and output, and the engine."""

    model: str = setting(
        ..., "model folder: trained by this toolkit, exported to ONNX or OpenVINO, or Hugging Face"
    )
    input: str = setting(STANDARD, "file of questions, one per line; - is standard input")
    output: str = setting(
        STANDARD, "file of answers, one per line, written when all are known; - is stdout"
    )
    input_format: str = setting(
        TEXT_FORMAT,
        "text: a line is a text; tsv: tab-separated texts in the order of the task's fields, "
        "without quoting and header; jsonl: a string, a list of texts, or an object of fields; "
        "csv: a first row names the columns, among them the task's fields",
        choices=INPUT_FORMATS,
    )
    output_format: str = setting(
        JSONL,
        "jsonl: all fields; tsv, without header: label and probability; a number; index, "
        "text and probability of a choice; answer, probability and place in a passage; "
        "filled text and guesses; or an embedding's numbers",
        choices=OUTPUT_FORMATS,
    )
    task: str = setting(
        AUTO,
        "masked: fill <mask> or [MASK] in every text; embeddings: texts as vectors; auto: the "
        "purpose of the model",
        choices=(AUTO, "masked", "embeddings"),
    )
    engine: str = setting(
        AUTO,
        "inference engine; auto: the fastest that is installed",
        choices=(AUTO, "mxnet", "onnxruntime", "openvino"),
    )
    precision: str = setting(
        "fp32",
        "fp32: the same answers everywhere; fast: bf16 or int8 where that is faster; bf16 or int8: "
        "that or an error",
        choices=("fp32", "fast", "bf16", "int8"),
    )
    threads: Optional[int] = setting(
        None, "threads of the engine; default: all cores", minimum=1, speed_only=True
    )
    vocab: Optional[str] = setting(
        None, "vocabulary to use instead of the model's own", aliases=("vocabulary",)
    )
    max_len: Optional[int] = setting(
        None,
        "maximum input length in tokens; default: as in fine-tuning, or as the model says for "
        "embeddings, else the model's maximum",
    )
    n_best: int = setting(
        0,
        "answers to list for each question about a passage, with probabilities (SQuAD)",
        minimum=0,
        maximum=1000,
    )
    top_k: int = setting(5, "number of guesses per mask", minimum=1, maximum=1 << 24)
    pooling: Optional[str] = setting(
        None,
        "pooling of embeddings: mean over all tokens, cls, the state of the first token, …; "
        "default: the model's own if it has one, else mean",
        choices=POOLINGS,
    )
    normalise: Optional[bool] = setting(
        None, "scale embeddings to length 1; default: as the model says, else false"
    )
    prompt: Optional[str] = setting(
        None,
        "text that is put before every text of an embedding; default: the model's own prompt if it "
        "has one",
    )
    window: int = setting(
        4096, "number of lines read ahead and sorted by length", minimum=1, maximum=1 << 24
    )
    batch_tokens: int = setting(
        1024,
        "maximum number of tokens per batch, padding included; 1 computes every input alone: its "
        "answer is then the same to the bit whatever else is asked, and takes a little longer",
        minimum=1,
        maximum=1 << 28,
    )

    def check(self) -> None:
        if self.output != STANDARD and self.output == self.input:
            raise InputError(f"output is {self.output!r}, which is the input")
        if self.threads is not None:
            check_thread_count("threads", self.threads)
