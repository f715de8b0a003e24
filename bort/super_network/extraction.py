"""Taking a sub-network out of a super-network, as an ordinary model folder."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from bort.architecture import Architecture
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.network.sub_network import extracted
from bort.storage.files import new_folder
from bort.super_network.folder import SuperNetwork
from bort.super_network.parts import part_name
from bort.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)

SUPER_NETWORK_NOTE = "super_network"
"""Name of the note in `model.json` that says where the weights come from."""


def extract_model(
    source: SuperNetwork,
    architecture: Architecture,
    output: Path,
    metrics: Optional[Mapping[str, float]] = None,
) -> Dict[str, Any]:
    """Write a sub-network as a model folder with its vocabulary, which every command takes.

    An architecture that is not in the space, but fits into the whole network, is taken out with a
    warning: no training step was made for it.

    Args:
        source: the super-network.
        architecture: sizes of the sub-network.
        output: a new folder.
        metrics: scores of the sub-network; None takes those that the super-network records.

    Returns:
        Name and sizes of the architecture, parameters, metrics, and whether it is in the space.

    Raises:
        InputError: the architecture does not fit, a file is damaged, or the folder exists.
        WorkError: the system refuses a write.
    """
    vocabulary = source.read_vocabulary()
    network = extracted_network(source, source.read_network(), architecture, metrics)
    in_space = source.record.space.holds(architecture, source.whole)
    if not in_space:
        log.warning(
            "warning: %s is not in the space of %s, so no training step was made for it",
            part_name(architecture),
            source.folder,
        )
    write_extracted(network, vocabulary, output)
    return {
        "name": part_name(architecture),
        "architecture": architecture.as_dict(),
        "in_space": in_space,
        "parameters": sum(array.size for array in network.arrays.values()),
        "metrics": dict(network.description.metrics),
        "model": str(output),
    }


def write_extracted(network: ArrayNetwork, vocabulary: Vocabulary, output: Path) -> None:
    """Write a network that was taken out, and its vocabulary, as a new model folder.

    Raises:
        InputError: the folder exists.
        WorkError: the system refuses a write.
    """
    with new_folder(output) as folder:
        write_model_folder(folder, network.description, network.arrays)
        vocabulary.save(folder / VOCABULARY_FOLDER)


def extracted_network(
    source: SuperNetwork,
    whole: ArrayNetwork,
    architecture: Architecture,
    metrics: Optional[Mapping[str, float]] = None,
) -> ArrayNetwork:
    """Return a sub-network with a description of its own.

    Its notes name the super-network by its fingerprint and no path. The whole network's scores are
    left out.

    Args:
        source: the super-network.
        whole: its network, from `source.read_network()`.
        architecture: sizes of the sub-network.
        metrics: scores of the sub-network; None takes those that the super-network records.

    Raises:
        InputError: the architecture does not fit into the whole network.
    """
    part = source.part(architecture)
    name = part_name(architecture)
    if metrics is None:
        metrics = source.record.metrics.get(name, {})
    note = {
        "fingerprint": source.fingerprint,
        "steps": source.record.steps,
        "architecture": name,
        "layers": [choice.layer for choice in part.layers],
        "in_space": source.record.space.holds(architecture, source.whole),
    }
    network = extracted(whole, part)
    notes = {**network.description.notes, SUPER_NETWORK_NOTE: note}
    return network.replace(metrics=dict(metrics), notes=notes)
