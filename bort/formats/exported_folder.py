"""The description file of an exported graph: the model, and the SHA-256 of the graph's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.errors import InputError
from bort.network.description import (
    MASKED_LM,
    ModelDescription,
    read_architecture,
    read_computation,
    read_embedding,
)
from bort.network.head import HeadDescription, read_problem_type
from bort.storage.json_fields import JsonFields, errors_naming
from bort.storage.sealed_folder import SealedFile, SealedFormat


class ExportedGraph(NamedTuple):
    """An exported graph.

    Attributes:
        description: description of the model. Dropout and pooler, which a graph lacks, have their
            defaults.
        precision: precision of the graph's matrix products, `fp32` or `int8`.
        files: paths of the graph's files, whose SHA-256 has been checked.
        has_epsilons: whether the description holds the ε of the graph's layer norms. Folders of
            the first versions do not record them.
    """

    description: ModelDescription
    precision: str
    files: Tuple[Path, ...]
    has_epsilons: bool = True


def write_exported_description(
    path: Path, model: ModelDescription, names: Sequence[str], fields: Mapping[str, Any]
) -> None:
    """Write the description file. Call it last, after the graph's files are written.

    Args:
        path: path of the description, next to the graph's files.
        model: description of the exported model.
        names: names of the graph's files.
        fields: further fields of the description, including `precision`.
    """
    description: Dict[str, Any] = {
        "architecture": model.architecture.as_dict(),
        "head": None if model.head is None else model.head.kind,
        "num_classes": model.num_classes,
        **({} if model.head is None else model.head.problem_type_if_other()),
        **model.embedding_if_any(),
        **model.computation_if_other(),
        "decoder": model.purpose == MASKED_LM,
        "layer_norm_eps": [model.layer_norm_eps, model.decoder_layer_norm_eps],
        "extra": model.extra(),
    }
    writer = _exported_folder(path, names).writer(path.parent)
    for name in names:
        writer.include(name)
    writer.seal({**description, "files": writer.hashes, **fields})


def read_exported_graph(path: Path, names: Sequence[str]) -> ExportedGraph:
    """Read a description file and check the SHA-256 of the graph's files.

    Args:
        path: path of the description.
        names: names of the files that it must list.

    Raises:
        InputError: a file or field is missing, damaged or has the wrong type; the message names it.
    """
    sealed = _exported_folder(path, names).open(path.parent)
    fields = JsonFields.of(sealed.record, str(path))
    with errors_naming(str(path)):
        epsilons = _epsilons(fields)
        description = ModelDescription(
            read_architecture(fields),
            _head(fields),
            has_decoder=fields.boolean("decoder"),
            embedding=read_embedding(fields),
            **read_computation(fields),
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
    problem_type = read_problem_type(fields)
    return HeadDescription(fields.text("head"), classes, problem_type=problem_type)


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
