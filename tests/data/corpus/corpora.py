"""Small corpora for tests: documents made of a few words, and a vocabulary for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Dict, List, Optional

from bort.text.byte_bpe import ByteBPE
from data.corpus.preparation import CorpusConfig, create_corpus
from tests.text.tiny_vocabulary import TEXT, tiny_vocabulary

VOCABULARY: ByteBPE = tiny_vocabulary()
WORDS = TEXT.split()


def documents(count: int, seed: int = 0) -> List[List[str]]:
    """Documents of 1 to 12 sentences of 1 to 14 words."""
    draw = random.Random(seed)
    return [
        [
            " ".join(draw.choices(WORDS, k=draw.randint(1, 14))) + f" {number}."
            for _ in range(draw.randint(1, 12))
        ]
        for number in range(count)
    ]


def text_of(several: List[List[str]]) -> str:
    """One sentence a line, a blank line between documents."""
    return "\n".join("\n".join(sentences) + "\n" for sentences in several)


def corpus(
    folder: Path, text: Optional[str] = None, name: str = "out", **settings: Any
) -> Dict[str, Any]:
    """Write `text` (or 40 documents) to a file and prepare it with the tiny vocabulary."""
    if "input_file" not in settings:
        path = folder / "text.txt"
        path.write_text(text_of(documents(40)) if text is None else text, encoding="utf-8")
        settings["input_file"] = (str(path),)
    settings = {"max_seq_length": 32, "num_workers": 1, "short_seq_prob": 0.0, **settings}
    return create_corpus(CorpusConfig(output_dir=str(folder / name), **settings), VOCABULARY)


def files_of(folder: Path) -> Dict[str, bytes]:
    """Every file below a folder, by its relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
