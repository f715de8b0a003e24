"""Students and super-networks whose first weights are those of a teacher.

The teacher's parts are put in order of importance (`as_whole`), and a student takes the front of
every axis and the most important layers (`student_from`). The same map makes a super-network of the
teacher.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.network.array_network import ArrayNetwork, places_of
from bort.network.description import ModelDescription
from bort.network.importance import Importance, in_order, layer_order
from bort.network.parameter_names import ParameterRow, shape_of
from bort.network.sub_network import check_fits, part_of

_TYPES, _POSITIONS = "token_type_embed.0.weight", "encoder.position_weight"


class OrderedNetwork(NamedTuple):
    """A network in order of importance.

    Attributes:
        network: the network; the front of every axis holds its most important parts.
        layer_order: indices of all layers by falling importance; the layers keep their places.
    """

    network: ArrayNetwork
    layer_order: Tuple[int, ...]

    def order_within(self, depth: int) -> Tuple[int, ...]:
        """Return the order of the `depth` most important layers, counted among themselves.

        >>> OrderedNetwork(None, (5, 0, 2, 1, 3, 4)).order_within(3)
        (2, 0, 1)
        """
        most_important = self.layer_order[:depth]
        places = sorted(most_important)
        return tuple(places.index(layer) for layer in most_important)


def as_whole(teacher: ArrayNetwork, importance: Optional[Importance] = None) -> OrderedNetwork:
    """Return a teacher with its parts in order of importance.

    Its outputs stay the same, other than by rounding; those of an encoder have permuted columns.

    Args:
        teacher: any network.
        importance: scores of its parts; None keeps the order of all parts.
    """
    order = layer_order(teacher.architecture, importance)
    return OrderedNetwork(teacher if importance is None else in_order(teacher, importance), order)


def student_from(
    teacher: OrderedNetwork,
    architecture: Architecture,
    *,
    decoder: bool = False,
    head: bool = False,
    seed: int = 0,
    spread: float = 0.02,
    source: str = "the teacher",
) -> ArrayNetwork:
    """Return a student with a slice of its teacher's weights.

    It takes the teacher's most important layers, and the front of every other axis. ε, activation,
    dropout and kind of decoder are the teacher's; a pooler, the task and the description of an
    embedding are left out. A student without token types gets type 0 added to its position
    embedding, so that it computes the same for single texts.

    Args:
        teacher: the teacher in order of importance, see `as_whole`.
        architecture: sizes of the student, each at most that of the teacher. Its heads are at most
            as wide as the teacher's. Its tokens are the first ones of the teacher's.
        decoder: whether the student has a masked-token decoder. That of a teacher without one is
            drawn at random.
        head: whether the student takes the teacher's classifier head.
        seed: seed of a decoder drawn at random.
        spread: standard deviation of its weights.
        source: name of the teacher in errors.

    Raises:
        InputError: the student is larger than its teacher along an axis, has other token types,
            or `head` is asked of a teacher that is no classifier.
    """
    network = teacher.network
    if head and network.description.head is None:
        raise InputError(f"{source}: holds no classifier, so it has no head for the student")
    check_student(network.architecture, architecture, source)
    network = _first_tokens(network, architecture.vocabulary_size)
    if not architecture.token_types:
        network = _without_types(network)
    description = _described(network.description, architecture, decoder, head)
    rows = list(places_of(description))
    shared = [row for row in rows if row.gluon in network.arrays]
    chosen = part_of(network.architecture, architecture, teacher.layer_order)
    arrays = chosen.take(network.arrays, shared)
    generator = np.random.default_rng(seed)
    for row in rows:
        if row.gluon not in arrays:
            arrays[row.gluon] = _drawn(row, description, generator, spread)
    return ArrayNetwork(description, arrays)


def check_student(
    teacher: Architecture, student: Architecture, source: str = "the teacher"
) -> None:
    """Raise `InputError` unless a student of these sizes can be a slice of its teacher.

    Args:
        teacher: sizes of the teacher.
        student: sizes of the student; see `student_from`.
        source: name of the teacher in the error.
    """
    size, most = student.vocabulary_size, teacher.vocabulary_size
    if size > most:
        raise InputError(
            f"student: vocabulary_size is {size}, allowed is at most {most}, that of {source}"
        )
    types = teacher.token_types if student.token_types else 0
    like = teacher.replace(vocabulary_size=size, token_types=types)
    check_fits(like, student, "student", source)


def _described(
    teacher: ModelDescription, architecture: Architecture, decoder: bool, head: bool
) -> ModelDescription:
    """Return the description of a student."""
    takes_decoder = decoder and teacher.has_decoder
    same_types = architecture.token_types == teacher.architecture.token_types
    return ModelDescription(
        architecture,
        teacher.head if head else None,
        has_decoder=decoder,
        layer_norm_eps=teacher.layer_norm_eps,
        decoder_layer_norm_eps=teacher.decoder_layer_norm_eps
        if takes_decoder
        else teacher.layer_norm_eps,
        dropout=teacher.dropout,
        activation=teacher.activation,
        tied_decoder=teacher.tied_decoder or not takes_decoder,
        vocabulary_fingerprint=teacher.vocabulary_fingerprint,
        pairs=teacher.pairs if same_types else None,
    )


def _first_tokens(network: ArrayNetwork, size: int) -> ArrayNetwork:
    """Return the network with the first `size` tokens of its vocabulary."""
    if size == network.architecture.vocabulary_size:
        return network
    arrays = {
        row.gluon: network.arrays[row.gluon][:size]
        if row.shape[0] == "V"
        else network.arrays[row.gluon]
        for row in network.places()
    }
    return network.replace(arrays, architecture=network.architecture.replace(vocabulary_size=size))


def _without_types(network: ArrayNetwork) -> ArrayNetwork:
    """Return the network with token type 0 added to its position embedding."""
    if _TYPES not in network.arrays:
        return network
    arrays = {name: array for name, array in network.arrays.items() if name != _TYPES}
    arrays[_POSITIONS] = arrays[_POSITIONS] + network.arrays[_TYPES][0]
    architecture = network.architecture.replace(token_types=0)
    return network.replace(arrays, architecture=architecture, pairs=None)


def _drawn(
    row: ParameterRow, description: ModelDescription, generator: np.random.Generator, spread: float
) -> np.ndarray:
    """Return first weights of a parameter that the teacher lacks."""
    shape = shape_of(row, description.architecture, description.num_classes)
    if len(shape) == 1:
        return np.full(shape, float(row.gluon.endswith("gamma")), np.float32)
    drawn: np.ndarray = generator.standard_normal(shape, np.float32) * np.float32(spread)
    return drawn
