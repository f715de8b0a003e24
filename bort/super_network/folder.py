"""Super-network folders: the whole network as a model folder, its space, and the learnt map.

`super_network.json` is written last. It holds the SHA-256 of the other files and of its own
content, so a folder without it, with a damaged one, or with files of another training is refused.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple

import numpy as np
import safetensors.numpy

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork
from bort.network.description import ModelDescription, check_vocabulary
from bort.network.model_folder import (
    MODEL_DESCRIPTION_FILE,
    VOCABULARY_FOLDER,
    read_description,
    read_model_folder,
    write_model_folder,
)
from bort.network.sub_network import SubNetwork, part_of
from bort.storage.array_files import read_safetensors
from bort.storage.files import PathLike, content_hash, sha256_of_file
from bort.storage.json_fields import JsonFields, errors_naming, shown
from bort.storage.run_folder import MODEL_FOLDER
from bort.storage.sealed_folder import SealedFile, SealedFolder, SealedFormat
from bort.super_network.parts import is_part_name
from bort.super_network.space import SubNetworkSpace
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary

SUPER_NETWORK_FILE = "super_network.json"
HIDDEN_MAP_FILE = "hidden_map.safetensors"
_MAP_ARRAYS = ("weight", "bias")


def _listed(record: Mapping[str, Any]) -> Iterable[SealedFile]:
    stored = record["hidden_map"]
    return [] if stored is None else [SealedFile(stored["file"], stored["sha256"])]


_SUPER_NETWORK = SealedFormat(
    SUPER_NETWORK_FILE, "the record of a super-network", _listed, version="bort-super-network-1"
)


@dataclass(frozen=True)
class SuperNetworkRecord:
    """A super-network without its weights.

    Attributes:
        space: architectures of its sub-networks.
        layer_order: indices of the whole network's layers by falling importance, as `part_of` takes
            them; None if a sub-network has the first layers.
        steps: number of training steps.
        metrics: name of an architecture (`bort.super_network.parts.part_name`) → its scores by name
            of metric.
        provenance: JSON-ready values that no code reads: start, teacher, settings, …

    Raises:
        InputError: a key of `metrics` is no name of an architecture.
    """

    space: SubNetworkSpace
    layer_order: Optional[Tuple[int, ...]] = None
    steps: int = 0
    metrics: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.metrics:
            if not is_part_name(name):
                raise InputError(
                    f"metrics has {shown(name)}, allowed are architectures as in 2-2-64-128-64"
                )

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields of `super_network.json` that `from_fields` reads."""
        return {
            "space": self.space.as_dict(),
            "layer_order": None if self.layer_order is None else list(self.layer_order),
            "steps": self.steps,
            "metrics": {name: dict(scores) for name, scores in self.metrics.items()},
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_fields(cls, fields: JsonFields) -> SuperNetworkRecord:
        """Return the record in the content of a `super_network.json`.

        Raises:
            InputError: a field is missing or bad; the message names the file and the field.
        """
        metrics = fields.fields("metrics")
        with errors_naming(fields.source):
            return cls(
                SubNetworkSpace.from_dict(fields.fields("space").values, f"{fields.source}: space"),
                None if fields.value("layer_order") is None else _read_order(fields),
                fields.integer("steps", 0),
                {name: metrics.fields(name).all_numbers() for name in metrics.values},
                fields.fields("provenance").values,
            )


@dataclass(frozen=True)
class SuperNetwork:
    """A super-network folder whose records have been read; weights are read by its methods.

    Attributes:
        folder: path of the folder.
        record: the space, the order of layers, steps and scores.
        description: description of the whole network.
    fingerprint: SHA-256 of the content of `super_network.json`, which covers the weights.
    """

    folder: Path
    record: SuperNetworkRecord
    description: ModelDescription
    fingerprint: str
    _sealed: SealedFolder

    @property
    def whole(self) -> Architecture:
        """Sizes of the whole network."""
        return self.description.architecture

    def part(self, architecture: Architecture) -> SubNetwork:
        """Return the map of a sub-network into the whole network.

        Raises:
            InputError: the architecture does not fit into the whole network.
        """
        return part_of(self.whole, architecture, self.record.layer_order)

    def read_network(self) -> ArrayNetwork:
        """Read the weights of the whole network, and check their SHA-256.

        Raises:
            InputError: a file is missing or damaged; the message names it.
        """
        return read_model_folder(self.folder / MODEL_FOLDER)

    def read_vocabulary(self) -> Vocabulary:
        """Read the vocabulary, and check that it is the one of the network.

        Raises:
            InputError: a file is missing or damaged, or the vocabulary is another one.
        """
        path = self.folder / MODEL_FOLDER / VOCABULARY_FOLDER
        vocabulary = load_vocabulary(path)
        check_vocabulary(self.description, vocabulary, str(path), own=True)
        return vocabulary

    def read_hidden_map(self) -> Optional[Dict[str, np.ndarray]]:
        """Read the learnt map from hidden states to those of the teacher.

        Returns:
            `weight` (H of the teacher, H of the whole network) and `bias` (H of the teacher), both
            float32; None if the training had no map.

        Raises:
            InputError: the file is missing or damaged, or the arrays have other shapes.
        """
        for name in self._sealed.files:
            path = self._sealed.verified(name)
            arrays = read_safetensors(path)
            with errors_naming(str(path)):
                _check_map(arrays, self.whole)
            return arrays
        return None


def write_super_network(
    folder: PathLike,
    record: SuperNetworkRecord,
    network: ArrayNetwork,
    vocabulary: Vocabulary,
    hidden_map: Optional[Mapping[str, np.ndarray]] = None,
) -> None:
    """Write a super-network folder, its record last.

    Args:
        folder: the folder, which may exist and hold other files.
        record: the space, the order of layers, steps and scores.
        network: the whole network with its description.
        vocabulary: vocabulary of the network.
        hidden_map: `weight` and `bias` of the learnt map; None if there is none.

    Raises:
        InputError: the space does not fit the network, or the map has other shapes.
        WorkError: the system refuses a write.
    """
    record.space.check_fits(network.architecture)
    path = Path(folder)
    if hidden_map is not None:
        _check_map(hidden_map, network.architecture)
    writer = _SUPER_NETWORK.writer(path)
    vocabulary.save(path / MODEL_FOLDER / VOCABULARY_FOLDER)
    write_model_folder(path / MODEL_FOLDER, network.description, network.arrays)
    stored = None
    if hidden_map is not None:
        content = {name: np.asarray(hidden_map[name], np.float32) for name in _MAP_ARRAYS}
        digest = writer.write(HIDDEN_MAP_FILE, safetensors.numpy.save(content))
        stored = {"file": HIDDEN_MAP_FILE, "sha256": digest}
    model = {
        "folder": MODEL_FOLDER,
        "sha256": sha256_of_file(path / MODEL_FOLDER / MODEL_DESCRIPTION_FILE),
    }
    fields = {**record.as_dict(), "model": model, "hidden_map": stored}
    writer.seal({**fields, "sha256": content_hash(fields)})


def open_super_network(folder: PathLike) -> SuperNetwork:
    """Open a super-network folder without reading weights.

    Raises:
        InputError: the folder holds no super-network, or a record is damaged or does not fit the
            others; the message names the file, the field and its value.
    """
    path = Path(folder)
    if not path.is_dir():
        problem = "is a file, expected a folder" if path.exists() else "no such folder"
        raise InputError(f"{path}: {problem}")
    if not _SUPER_NETWORK.is_in(path):
        raise InputError(
            f"{path}: holds no super-network, expected {SUPER_NETWORK_FILE}, which "
            "scripts/train_super_network.py writes at its end"
        )
    sealed = _SUPER_NETWORK.open(path)
    source = str(sealed.source)
    fields = JsonFields.of(sealed.record, source)
    if fields.text("sha256") != content_hash(fields.without("sha256", "format")):
        raise InputError(f"{source}: is damaged: its content does not match its sha256")
    record = SuperNetworkRecord.from_fields(fields)
    described = path / MODEL_FOLDER / MODEL_DESCRIPTION_FILE
    description = read_description(path / MODEL_FOLDER)
    found, expected = sha256_of_file(described), fields.fields("model").text("sha256")
    if found != expected:
        raise InputError(
            f"{described}: is not the model of this super-network: its SHA-256 is {found}, "
            f"{expected} in {source}"
        )
    record.space.check_fits(description.architecture, f"{source}: space")
    with errors_naming(source):
        part_of(description.architecture, description.architecture, record.layer_order)
    return SuperNetwork(path, record, description, fields.text("sha256"), sealed)


def _read_order(fields: JsonFields) -> Tuple[int, ...]:
    numbered = {f"layer_order[{n}]": v for n, v in enumerate(fields.items("layer_order"))}
    inside = JsonFields(numbered, fields.source)
    return tuple(inside.integer(name, 0) for name in numbered)


def _check_map(arrays: Mapping[str, np.ndarray], whole: Architecture) -> None:
    """Raise `InputError` unless the arrays are those of a map from the whole's hidden states."""
    if set(arrays) != set(_MAP_ARRAYS):
        raise InputError(f"hidden map: has {sorted(arrays)}, allowed are {sorted(_MAP_ARRAYS)}")
    weight, bias = arrays["weight"], arrays["bias"]
    if weight.ndim != 2 or weight.shape[1] != whole.hidden or bias.shape != weight.shape[:1]:
        raise InputError(
            f"hidden map: weight has shape {weight.shape} and bias {bias.shape}, allowed are "
            f"(width of the teacher, {whole.hidden}) and (width of the teacher,)"
        )
    for name in _MAP_ARRAYS:
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"hidden map: {name} holds a number that is not finite")
