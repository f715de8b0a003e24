"""Formats of models: folders of this toolkit and of others, exports, vocabularies."""

from __future__ import annotations

from typing import Dict

from tests.faults.flags import CREATE, FINETUNE, PREDICT
from tests.faults.reading import Reading


def _model(part: str, name: str, kind: str, *flags: str, sealed: bool = True) -> Reading:
    return Reading((part,), (f"{part}/{name}",), kind, [*PREDICT, part, *flags], "in.txt", sealed)


def _vocabulary(part: str, name: str, kind: str, sealed: bool = False) -> Reading:
    command = [*CREATE, "--input_file", "corpus.txt", "--vocab", part]
    return Reading(("corpus.txt", part), (f"{part}/{name}",), kind, command, sealed=sealed)


def _imported(part: str, name: str, kind: str) -> Reading:
    command = ["scripts/import_model.py", "--source", part, "--output_dir", "out"]
    return Reading((part,), (f"{part}/{name}",), kind, command)


MODELS: Dict[str, Reading] = {
    # model folders of this toolkit
    "model.json": _model("cola", "model.json", "json"),
    "model.safetensors": _model("cola", "model.safetensors", "binary"),
    "model vocabulary.json": _model("cola", "vocabulary/vocabulary.json", "json"),
    "model sentencepiece.model": _model("cola", "vocabulary/sentencepiece.model", "binary"),
    "pre-trained model.json": _model("teacher", "model.json", "json", "--task", "embeddings"),
    # vocabularies
    "vocabulary.json": _vocabulary("vocabulary", "vocabulary.json", "json", True),
    "sentencepiece.model": Reading(
        ("corpus.txt", "vocabulary"),
        ("vocabulary/sentencepiece.model",),
        "binary",
        [*CREATE, "--input_file", "corpus.txt", "--vocab", "vocabulary/sentencepiece.model"],
    ),
    "vocab.txt": _vocabulary("words", "vocab.txt", "text")._replace(plain=True),
    "tokenizer_config.json": _vocabulary("words", "tokenizer_config.json", "json"),
    "byte BPE": _vocabulary("byte_bpe", "*", "json", True),
    "vocab.json": _vocabulary("merges", "vocab.json", "json"),
    "merges.txt": _vocabulary("merges", "merges.txt", "text"),
    # Hugging Face folders, with and without this toolkit's record
    "bort.json": _model("hf", "bort.json", "json"),
    "HF config.json": _model("hf_bert", "config.json", "json", sealed=False)._replace(
        given="masked.txt"
    ),
    "HF model.safetensors": _imported("hf_roberta", "model.safetensors", "binary"),
    "HF vocab.txt": _imported("hf_bert_words", "vocab.txt", "text")._replace(plain=True),
    "HF tokenizer_config.json": _imported("hf_bert_words", "tokenizer_config.json", "json"),
    "HF WordPiece tokenizer.json": _imported("hf_bert", "tokenizer.json", "json"),
    "HF tokenizer.json": _imported("hf_unigram", "tokenizer.json", "json"),
    "HF special_tokens_map.json": _imported("hf_roberta", "special_tokens_map.json", "json"),
    "HF byte-BPE config.json": _imported("hf_roberta", "config.json", "json"),
    "HF byte-BPE tokenizer.json": _imported("hf_roberta", "tokenizer.json", "json"),
    "HF vocab.json": _imported("hf_roberta_merges", "vocab.json", "json"),
    "HF merges.txt": _imported("hf_roberta_merges", "merges.txt", "text"),
    "HF index.json": _imported("hf_sharded", "model.safetensors.index.json", "json"),
    "HF sharded safetensors": _imported("hf_sharded", "model-*.safetensors", "binary"),
    **{
        name: _model("sentences", file, "json", "--task", "embeddings", sealed=False)
        for name, file in (
            ("modules.json", "modules.json"),
            ("pooling config.json", "1_Pooling/config.json"),
            ("sentence_bert_config.json", "sentence_bert_config.json"),
        )
    },
    "sentencepiece.bpe.model": _vocabulary("xlm_roberta", "*.model", "binary"),
    # exported folders
    "onnx.json": _model("onnx", "onnx.json", "json", "--engine", "onnxruntime"),
    "model.onnx": _model("onnx", "model.onnx", "binary", "--engine", "onnxruntime"),
    "openvino.json": _model("openvino", "openvino.json", "json", "--engine", "openvino"),
    "openvino.xml": _model("openvino", "openvino.xml", "text", "--engine", "openvino"),
    "openvino.bin": _model("openvino", "openvino.bin", "binary", "--engine", "openvino"),
    # MXNet
    ".params": Reading(
        ("teacher.params", "small.json", "vocabulary", "tasks"),
        ("teacher.params",),
        "binary",
        [
            *("scripts/finetune.py", "--task_name", "COPA", *FINETUNE[1:], "--epochs", "1"),
            *("--pretrained_parameters teacher.params --architecture small.json".split()),
            *("--vocab vocabulary --data_dir tasks --output_dir out".split()),
        ],
    ),
}
"""Name of a format → how it is read."""
