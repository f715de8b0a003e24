"""The description beside an exported graph: what the model is, and SHA-256 of the graph's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import HEADS, ArrayNetwork
from bort.storage.sealed_folder import SealedFile, SealedFormat

FORMAT = 1
VOCABULARY_FOLDER = "vocabulary"


class ExportedModel(NamedTuple):
    """What a description says.

    Attributes:
        architecture: the sizes.
        head: of a classifier; None without one.
        num_classes: outputs of the head; 0 without one.
        has_decoder: whether the graph predicts masked tokens.
        precision: of the graph's products, `fp32` or `int8`.
        extra: labels, task, fingerprint of the vocabulary, …
        layer_norm_eps: ε of the encoder's and of the decoder's layer norms; None in old folders.
        files: paths of the graph, the SHA-256 of each compared.
    """

    architecture: Architecture
    head: Optional[str]
    num_classes: int
    has_decoder: bool
    precision: str
    extra: Mapping[str, Any]
    layer_norm_eps: Optional[Tuple[float, float]]
    files: Tuple[Path, ...]

    @property
    def labels(self) -> Tuple[str, ...]:
        """Names of the outputs, () if they are not known."""
        return tuple(map(str, self.extra.get("labels") or ()))


def write_exported_description(
    path: Path, network: ArrayNetwork, names: Sequence[str], fields: Mapping[str, Any]
) -> None:
    """Write the description; it comes last, after the files themselves.

    Args:
        path: of the description, beside the files.
        network: what was exported.
        names: of the graph's files.
        fields: what else is to be known, `precision` among it.
    """
    description: Dict[str, Any] = {
        "format": FORMAT,
        "architecture": network.architecture.as_dict(),
        "head": network.head,
        "num_classes": network.num_classes,
        "decoder": network.has_decoder and not network.head,
        "layer_norm_eps": [network.layer_norm_eps, network.decoder_layer_norm_eps],
        "extra": dict(network.extra),
    }
    writer = _exported_folder(path, names).writer(path.parent)
    for name in names:
        writer.include(name)
    writer.seal({**description, "files": writer.hashes, **fields})


def read_exported_description(path: Path, names: Sequence[str]) -> ExportedModel:
    """Read a description and compare the files' SHA-256.

    Args:
        path: of the description.
        names: of the files that it must list.

    Raises:
        InputError: names the file or field that is missing, damaged or of another kind.
    """
    sealed = _exported_folder(path, names).open(path.parent)
    values = sealed.record
    try:
        epsilons = values.get("layer_norm_eps")
        model = ExportedModel(
            architecture=Architecture.from_dict(values["architecture"], str(path)),
            head=values["head"],
            num_classes=int(values["num_classes"]),
            has_decoder=bool(values["decoder"]),
            precision=str(values["precision"]),
            extra=dict(values["extra"]),
            layer_norm_eps=epsilons and (float(epsilons[0]), float(epsilons[1])),
            files=tuple(path.parent / name for name in names),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: a field is missing or malformed: {error}") from error
    if model.head not in (None, *HEADS) or (model.head is None) != (model.num_classes == 0):
        raise InputError(f"{path}: head is {model.head!r} and num_classes {model.num_classes}")
    if model.labels and len(model.labels) != model.num_classes:
        raise InputError(f"{path}: {model.num_classes} outputs have {len(model.labels)} labels")
    sealed.verify()
    return model


def _exported_folder(path: Path, names: Sequence[str]) -> SealedFormat:
    return SealedFormat(
        path.name,
        "the description of an exported model",
        lambda record: [SealedFile(name, record["files"][name]) for name in names],
        version=FORMAT,
    )
