"""Small folders of random weights that Transformers writes, and its answers for texts and pairs."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any, Dict, Sequence, Union

import numpy as np

from tests.text.tiny_vocabulary import tiny_vocabulary

TOLERANCE = 1e-5
LABELS = ("neutral", "entailment", "contradiction")
WORDS = ("the", "rain", "had", "only", "ceased", "town", "awoke", "key", "to", "nothing")
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *string.ascii_lowercase,
    *("##" + letter for letter in string.ascii_lowercase),
    *".,!?",
    *WORDS,
]
PAIRS = [
    ("The rain had only ceased.", "The town awoke, to nothing!"),
    ("a key", "the rain had ceased to only rain the town, had only the key"),
    ("the town had the key to the rain, only", "nothing"),
]
Question = Union[str, Sequence[str]]

_SIZES: Dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "initializer_range": 0.3,
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: number for number, label in enumerate(LABELS)},
}


def bert_folder(
    folder: Path,
    kind: str = "BertForSequenceClassification",
    types: int = 2,
    seed: int = 0,
    **fields: Any,
) -> Path:
    """Write a BERT with its WordPiece vocabulary; `fields` are settings other than the defaults."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(PIECES),
        type_vocab_size=types,
        max_position_embeddings=64,
        **{**_SIZES, **fields},
    )
    _save(folder, getattr(transformers, kind), config, seed)
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    settings = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def roberta_folder(folder: Path, seed: int = 0) -> Path:
    """Write a RoBERTa classifier with its byte-level BPE vocabulary."""
    import transformers

    words = tiny_vocabulary()
    config = transformers.RobertaConfig(
        vocab_size=len(words), type_vocab_size=1, max_position_embeddings=66, **_SIZES
    )
    _save(folder, transformers.RobertaForSequenceClassification, config, seed)
    words.save(folder)
    (folder / "vocabulary.json").unlink()
    settings = {"tokenizer_class": "RobertaTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def encoded(folder: Path, questions: Sequence[Question]) -> Dict[str, Any]:
    """Return what a folder's `AutoTokenizer` gives for texts and pairs, without padding."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    found = [tokenizer(*_texts(question)) for question in questions]
    return {name: [one[name] for one in found] for name in found[0]}


def answers(folder: Path, kind: str, questions: Sequence[Question]) -> np.ndarray:
    """Return the first output of a folder's model for texts and pairs in one padded batch."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    model = getattr(transformers, kind).from_pretrained(str(folder)).eval()
    rows = [dict(tokenizer(*_texts(question))) for question in questions]
    batch = tokenizer.pad(rows, return_tensors="pt")
    with torch.no_grad():
        output = model(**batch)[0]
    if output.ndim == 3:  # (B, L, H) -> (B, H)
        mask = batch["attention_mask"][:, :, None]
        output = (output * mask).sum(1) / mask.sum(1)
    return np.asarray(output.numpy())


def probabilities(folder: Path, questions: Sequence[Question]) -> np.ndarray:
    """Return a classifier's probabilities."""
    logits = answers(folder, "AutoModelForSequenceClassification", questions).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _texts(question: Question) -> Sequence[str]:
    return (question,) if isinstance(question, str) else question


def _save(folder: Path, kind: Any, config: Any, seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    model = kind(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.3)
        if config.type_vocab_size > 1:
            model.base_model.embeddings.token_type_embeddings.weight.normal_()
    model.save_pretrained(str(folder))
