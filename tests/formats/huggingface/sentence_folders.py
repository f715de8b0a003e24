"""Small folders of sentence-transformers, whose files are written out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from bort.formats.huggingface.writer import write_huggingface
from tests.formats.parity import BORT, make_network
from tests.text.tiny_vocabulary import tiny_vocabulary

OLD_TYPES = tuple(
    f"sentence_transformers.models.{kind}" for kind in ("Transformer", "Pooling", "Normalize")
)
NEW_TYPES = (
    "sentence_transformers.base.modules.transformer.Transformer",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "sentence_transformers.base.modules.normalize.Normalize",
)


def write(path: Path, content: Any) -> None:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit(path: Path, **changes: Any) -> None:
    """Change fields of a JSON file; `...` deletes one."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content.update(changes)
    write(path, {name: value for name, value in content.items() if value is not ...})


def modules(types: Any, transformer: str = "") -> List[Dict[str, Any]]:
    """Return the content of `modules.json` with two or three modules."""
    paths = (transformer, "1_Pooling", "2_Normalize")
    return [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (kind, path) in enumerate(zip(types, paths))
    ]


def flags(*modes: str) -> Dict[str, bool]:
    """Return the fields of an older `1_Pooling/config.json`."""
    every = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", *modes)
    return {f"pooling_mode_{mode}": mode in modes for mode in every}


def sentence_folder(
    folder: Path,
    pooling: Optional[Dict[str, Any]] = None,
    *,
    transformer: str = "",
    types: Any = OLD_TYPES,
    length: Optional[Dict[str, Any]] = None,
    general: Optional[Dict[str, Any]] = None,
    **network: Any,
) -> Path:
    """Write a folder of random weights.

    Args:
        folder: a new folder.
        pooling: content of `1_Pooling/config.json`, without the size.
        transformer: name of the folder of the transformer inside the folder.
        types: types of the modules; without the last one, there is no normalisation.
        length: content of `sentence_bert_config.json`; None writes no file.
        general: content of `config_sentence_transformers.json`; None writes no file.
        network: fields of the network.
    """
    vocabulary = tiny_vocabulary()
    inside = folder / transformer
    inside.mkdir(parents=True)
    sizes = BORT.replace(depth=2, vocabulary_size=len(vocabulary))
    write_huggingface(inside, make_network(sizes, **network), vocabulary)
    (inside / "bort.json").unlink()
    write(folder / "modules.json", modules(types, transformer))
    given = flags("mean_tokens") if pooling is None else pooling
    write(
        folder / "1_Pooling" / "config.json",
        {"word_embedding_dimension": BORT.hidden, **given},
    )
    if length is not None:
        write(inside / "sentence_bert_config.json", length)
    if general is not None:
        write(folder / "config_sentence_transformers.json", general)
    return folder
