"""The description beside an exported graph: what the model is, and SHA-256 of the graph's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.network.description import (
    MASKED_LM,
    HeadDescription,
    ModelDescription,
    read_architecture,
)
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFormat

VOCABULARY_FOLDER = "vocabulary"


class ExportedGraph(NamedTuple):
    """A graph that was exported.

    Attributes:
        description: of the model. Of dropout and pooler, which a graph does not have, it holds the
            defaults.
        precision: of the graph's products, `fp32` or `int8`.
        files: paths of the graph, the SHA-256 of each compared.
        has_epsilons: whether the description's ε are those of the graph. Folders of the first
            versions do not say.
    """

    description: ModelDescription
    precision: str
    files: Tuple[Path, ...]
    has_epsilons: bool = True


def write_exported_description(
    path: Path, model: ModelDescription, names: Sequence[str], fields: Mapping[str, Any]
) -> None:
    """Write the description; it comes last, after the files themselves.

    Args:
        path: of the description, beside the files.
        model: what was exported.
        names: of the graph's files.
        fields: what else is to be known, `precision` among it.
    """
    description: Dict[str, Any] = {
        "architecture": model.architecture.as_dict(),
        "head": None if model.head is None else model.head.kind,
        "num_classes": model.num_classes,
        "decoder": model.purpose == MASKED_LM,
        "layer_norm_eps": [model.layer_norm_eps, model.decoder_layer_norm_eps],
        "extra": model.extra(),
    }
    writer = _exported_folder(path, names).writer(path.parent)
    for name in names:
        writer.include(name)
    writer.seal({**description, "files": writer.hashes, **fields})


def read_exported_graph(path: Path, names: Sequence[str]) -> ExportedGraph:
    """Read a description and compare the files' SHA-256.

    Args:
        path: of the description.
        names: of the files that it must list.

    Raises:
        InputError: names the file or field that is missing, damaged or of another kind.
    """
    sealed = _exported_folder(path, names).open(path.parent)
    fields = JsonFields.of(sealed.record, str(path))
    with errors_naming(str(path)):
        epsilons = _epsilons(fields)
        description = ModelDescription(
            read_architecture(fields), _head(fields), has_decoder=fields.boolean("decoder")
        )
        description = description.replace(**(epsilons or {})).with_extra(fields.fields("extra"))
    sealed.verify()
    return ExportedGraph(
        description,
        fields.text("precision"),
        tuple(path.parent / name for name in names),
        epsilons is not None,
    )


def _head(fields: JsonFields) -> Optional[HeadDescription]:
    classes = fields.integer("num_classes")
    if fields.value("head") is None and classes == 0:
        return None
    return HeadDescription(fields.text("head"), classes)


def _epsilons(fields: JsonFields) -> Optional[Dict[str, float]]:
    if fields.values.get("layer_norm_eps") is None:
        return None
    given = fields.value("layer_norm_eps")
    if not isinstance(given, list) or len(given) != 2:
        raise InputError(f"layer_norm_eps is {given!r}, allowed is a list of two numbers")
    named = dict(zip(("layer_norm_eps", "decoder_layer_norm_eps"), given))
    pair = JsonFields.of(named, fields.source)
    return {name: pair.number(name) for name in named}


def _exported_folder(path: Path, names: Sequence[str]) -> SealedFormat:
    return SealedFormat(
        path.name,
        "the description of an exported model",
        lambda record: [SealedFile(name, record["files"][name]) for name in names],
        version=1,
    )
