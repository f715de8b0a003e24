"""Small tokenizer folders of Hugging Face's kinds, and texts that are difficult for them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Dict, List, Sequence

from hypothesis import strategies as st

from bort.text.byte_bpe import CHARACTER_OF_BYTE
from tests.text.tiny_vocabulary import TEXT

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßé東京北.,!'"
WORDS = ["the", "cat", "rain", "##ed", "##ing", "möchte", "mochte", "Berlin", "don", "##n'"]
PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *LETTERS,
    *("##" + letter for letter in LETTERS),
    *WORDS,
]
BYTE_NAMES = [CHARACTER_OF_BYTE[byte] for byte in range(256)]
MERGES = ["Ġ t", "h e", "Ġt he", "i n", "Ġ r", "a in", "Ġr ain"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>"]
_SIGNS = [
    *("the", "The", "rain", "raining", " ", "  ", "\t", "\n", "möchte", "MÖCHTE", "e\u0301", "É"),
    *("北京", "東", "\u00a0", "\u3000", "\x00", "\ufffd", "\u200b", "\u2028", "\u0345", "İ", "ﬁ"),
    *("don't", "...", "ß", "１", "한국", "🎉", "👩\u200d🚀", "x" * 101, "##a", "▁", "<ent>", "ent"),
]
HARD = st.lists(
    st.sampled_from(_SIGNS) | st.characters(exclude_categories=("Cs",)), max_size=14
).map("".join)


def write_json_file(path: Path, value: Any) -> None:
    """Write a value as JSON in UTF-8."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def bert_folder(folder: Path, pieces: Sequence[str] = PIECES, **settings: Any) -> Path:
    """Write `config.json`, `vocab.txt`, and `tokenizer_config.json` with further settings."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json_file(folder / "config.json", {"model_type": "bert"})
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    given: Dict[str, Any] = {"do_lower_case": True, "tokenizer_class": "BertTokenizer"}
    write_json_file(folder / "tokenizer_config.json", {**given, **settings})
    return folder


def roberta_folder(folder: Path, merges: Sequence[str] = MERGES, **settings: Any) -> Path:
    """Write `config.json`, `vocab.json`, `merges.txt`, and `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json_file(folder / "config.json", {"model_type": "roberta"})
    made = ["".join(merge.split(" ")) for merge in merges]
    names = [*ROBERTA, *BYTE_NAMES, *made, "<mask>"]
    write_json_file(folder / "vocab.json", {name: number for number, name in enumerate(names)})
    lines = "".join(f"{merge}\n" for merge in merges)
    (folder / "merges.txt").write_text("#version: 0.2\n" + lines, encoding="utf-8")
    write_json_file(
        folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer", **settings}
    )
    return folder


def sentencepiece_folder(folder: Path, model_type: str, **settings: Any) -> Path:
    """Write `config.json` and a `sentencepiece.bpe.model` in the order of fairseq's pieces."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    write_json_file(folder / "config.json", {"model_type": model_type})
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.strip().split("\n") * 3),
        model_writer=stream,
        vocab_size=90,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        **{"unk_id": 0, "bos_id": 1, "eos_id": 2},
    )
    (folder / "sentencepiece.bpe.model").write_bytes(stream.getvalue())
    write_json_file(folder / "tokenizer_config.json", settings)
    return folder


def remove(folder: Path, *names: str) -> Path:
    """Remove files from a folder."""
    for name in names:
        (folder / name).unlink()
    return folder


def saved_by_transformers(folder: Path, added: List[str]) -> Path:
    """Replace the tokenizer files by those that Transformers writes, with added tokens."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    tokenizer.add_tokens(added)
    for path in folder.iterdir():
        if path.name != "config.json":
            path.unlink()
    tokenizer.save_pretrained(str(folder))
    return folder
