"""The search space: the architectures that a search may choose from."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from bort.architecture import LARGEST_DEPTH, LARGEST_SIZE, NORMS, POST_NORM, Architecture
from bort.errors import InputError
from bort.storage.files import PathLike, read_json
from bort.storage.json_fields import shown

_ITSELF = "search space: "
"""What messages of a space that comes from no file begin with."""

LARGEST_SPACE = 1_000_000
"""Maximum number of combinations of sizes in a search space."""

_AXES = ("depths", "heads", "hiddens", "intermediates")


class Exclusion(NamedTuple):
    """A combination of D, A, H, I that is not a valid candidate, and the reason."""

    depth: int
    heads: int
    hidden: int
    intermediate: int
    reason: str


@dataclass(frozen=True)
class SearchSpace:
    """All valid combinations of depths, heads, hidden sizes and intermediate sizes.

    Source: Ξ of arXiv 2010.10499, section 3.1; the weak property is that of arXiv 2010.08512.

    Attributes:
        depths: values of D, ascending.
        heads: values of A, ascending.
        hiddens: values of H, ascending.
        intermediates: values of I, ascending.
        vocabulary_size: V of every candidate.
        maximum_length: S of every candidate, in tokens.
        even_depth: drop odd depths, because the weak property needs blocks in pairs.
        norm: place of the layer norms of every candidate, `post` or `pre`.

    Raises:
        InputError: an axis is empty, repeats a value or holds anything but positive integers, or
            the space has no valid candidate.

    >>> len(PAPER_SPACE), len(PAPER_SPACE.exclusions())
    (300, 60)
    >>> PAPER_SPACE.exclusions()[0]
    Exclusion(depth=2, heads=12, hidden=512, intermediate=256, reason='12 heads do not divide 512')
    """

    depths: Tuple[int, ...]
    heads: Tuple[int, ...]
    hiddens: Tuple[int, ...]
    intermediates: Tuple[int, ...]
    vocabulary_size: int = 50265
    maximum_length: int = 512
    even_depth: bool = True
    norm: str = POST_NORM

    def __post_init__(self) -> None:
        for axis in _AXES:
            object.__setattr__(self, axis, _checked_axis(axis, getattr(self, axis)))
        for name in ("vocabulary_size", "maximum_length"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{_ITSELF}{name} is {shown(value)}, allowed is at least 1")
            if value > LARGEST_SIZE:
                raise InputError(f"{_ITSELF}{name} is {value}, allowed is at most {LARGEST_SIZE}")
        if not isinstance(self.even_depth, bool):
            raise InputError(
                f"{_ITSELF}even_depth is {self.even_depth!r}, allowed are true and false"
            )
        if self.norm not in NORMS:
            allowed = ", ".join(NORMS)
            raise InputError(f"{_ITSELF}norm is {shown(self.norm)}, allowed are {allowed}")
        count = math.prod(len(getattr(self, axis)) for axis in _AXES)
        if count > LARGEST_SPACE:
            raise InputError(
                f"{_ITSELF}has {count} combinations, allowed are at most {LARGEST_SPACE}"
            )
        if not any(self._reason(*sizes) is None for sizes in self._combinations()):
            first = self.exclusions()[0]
            raise InputError(f"{_ITSELF}holds no valid architecture ({first.reason})")

    def __len__(self) -> int:
        return len(self.candidates())

    def candidates(self) -> List[Architecture]:
        """Return every valid architecture, ordered by D, A, H, I."""
        return [
            self._build(sizes) for sizes in self._combinations() if self._reason(*sizes) is None
        ]

    def exclusions(self) -> List[Exclusion]:
        """Return every combination that is not valid, with the reason."""
        found = []
        for sizes in self._combinations():
            reason = self._reason(*sizes)
            if reason is not None:
                found.append(Exclusion(*sizes, reason))
        return found

    def __contains__(self, architecture: object) -> bool:
        if not isinstance(architecture, Architecture):
            return False
        sizes = _sizes(architecture)
        inside = all(size in getattr(self, axis) for size, axis in zip(sizes, _AXES))
        return inside and self._reason(*sizes) is None and self._build(sizes) == architecture

    def sample(self, count: int, generator: np.random.Generator) -> List[Architecture]:
        """Return `count` different candidates, drawn uniformly.

        Raises:
            InputError: `count` is below 1 or above the number of candidates.
        """
        candidates = self.candidates()
        if not 1 <= count <= len(candidates):
            raise InputError(f"count is {count}, allowed is 1 to {len(candidates)} candidates")
        return [candidates[i] for i in generator.permutation(len(candidates))[:count]]

    def neighbours(self, architecture: Architecture) -> List[Architecture]:
        """Return the candidates that differ in one of D, A, H, I by one step along its axis.

        Values that lead to an invalid combination are skipped: the next valid one is the neighbour.

        Raises:
            InputError: the architecture is not in the space.
        """
        if architecture not in self:
            raise InputError(f"{architecture} is not in the search space")
        sizes = _sizes(architecture)
        found = []
        for position, axis in enumerate(_AXES):
            values = getattr(self, axis)
            index = values.index(sizes[position])
            for further in (values[:index][::-1], values[index + 1 :]):
                for value in further:
                    moved = (*sizes[:position], value, *sizes[position + 1 :])
                    if self._reason(*moved) is None:
                        found.append(self._build(moved))
                        break
        return found

    def maximum_point(self) -> Architecture:
        """Return the candidate with the most parameters and, among those, the most multiply-adds.

        A search usually takes a trained network outside the space as its maximum point T.
        """
        return max(
            self.candidates(),
            key=lambda a: (a.parameter_count(), a.multiply_adds_per_token(1), _sizes(a)),
        )

    def weak_property_warnings(self, length: int) -> List[str]:
        """Return warnings where the guarantee of the approximation scheme does not hold.

        A space has the weak AB^nC property if every intermediate block B (an encoder layer) has at
        least the parameters and the inference time (here multiply-adds) of the input layer A (the
        embeddings) and of the output layer C (the pooler).

        Source: arXiv 2010.08512, definition of the AB^nC property. Our assumption: A is the token
        and position embedding with its layer norm, C is a dense layer of width H.

        Args:
            length: tokens per sequence, for the multiply-adds.

        Returns:
            One line per violation with its worst case; empty if the property holds.
        """
        worst: Dict[str, Tuple[float, str]] = {}
        for architecture in self.candidates():
            for title, layer, block in _layer_costs(architecture, length):
                ratio = layer / block
                if ratio > 1 and ratio > worst.get(title, (1.0, ""))[0]:
                    worst[title] = (ratio, f"{layer:,} against {block:,} in {architecture}")
        return [
            f"{title} is up to {ratio:.1f} times that of an encoder layer ({example}): "
            "the weak property does not hold, so the scheme gives no guarantee"
            for title, (ratio, example) in worst.items()
        ]

    def as_dict(self) -> Dict[str, Any]:
        """Return the fields as a dictionary that `from_dict` accepts; norm if it is not `post`."""
        values = dataclasses.asdict(self)
        if self.norm == POST_NORM:
            del values["norm"]
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "search space") -> SearchSpace:
        """Build a space from a mapping of field names to values.

        Raises:
            InputError: a field is unknown, missing or bad; `source` names the origin.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise InputError(f"{source}: unknown field {name!r}, known are {', '.join(known)}")
        for name in _AXES:
            if name not in values:
                raise InputError(f"{source}: field {name!r} is missing")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{source}: {str(error)[len(_ITSELF) :]}") from error

    def _combinations(self) -> Sequence[Tuple[int, int, int, int]]:
        return list(itertools.product(self.depths, self.heads, self.hiddens, self.intermediates))

    def _reason(self, depth: int, heads: int, hidden: int, intermediate: int) -> Any:
        if self.even_depth and depth % 2:
            return f"depth {depth} is odd"
        if hidden % heads:
            return f"{heads} heads do not divide {hidden}"
        return None

    def _build(self, sizes: Tuple[int, int, int, int]) -> Architecture:
        return Architecture(
            *sizes,
            vocabulary_size=self.vocabulary_size,
            maximum_length=self.maximum_length,
            norm=self.norm,
        )


def read_space(path: PathLike) -> SearchSpace:
    """Read a search space from a JSON file with the fields of `SearchSpace`.

    Raises:
        InputError: names the file and the field.
    """
    values = read_json(path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: is not a search space, allowed is a JSON object")
    return SearchSpace.from_dict(values, str(path))


def _sizes(architecture: Architecture) -> Tuple[int, int, int, int]:
    return (
        architecture.depth,
        architecture.heads,
        architecture.hidden,
        architecture.intermediate,
    )


def _checked_axis(axis: str, values: Any) -> Tuple[int, ...]:
    if not isinstance(values, (list, tuple)) or not values:
        raise InputError(f"{_ITSELF}{axis} is {shown(values)}, allowed is a list of integers")
    most = LARGEST_DEPTH if axis == "depths" else LARGEST_SIZE
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{_ITSELF}{axis} holds {shown(value)}, allowed is at least 1")
        if value > most:
            raise InputError(f"{_ITSELF}{axis} holds {value}, allowed is at most {most}")
    if len(set(values)) != len(values):
        raise InputError(f"{_ITSELF}{axis} {shown(list(values))} holds a value twice")
    return tuple(sorted(values))


def _layer_costs(architecture: Architecture, length: int) -> List[Tuple[str, int, int]]:
    """Return (title, cost of the input or output layer, cost of one encoder layer) triples."""
    hidden = architecture.hidden
    one = architecture.replace(depth=1)
    embedding = hidden * (architecture.vocabulary_size + architecture.maximum_length + 2)
    block = one.parameter_count() - embedding
    block_adds = one.multiply_adds_per_token(min(length, architecture.maximum_length)) * length
    return [
        ("the number of parameters of the embeddings", embedding, block),
        ("the number of parameters of the pooler", hidden**2 + hidden, block),
        ("the multiply-adds of the pooler", hidden**2, block_adds),
    ]


PAPER_SPACE = SearchSpace(
    depths=(2, 4, 6, 8, 10, 12),
    heads=(4, 8, 12, 16),
    hiddens=(512, 768, 1024),
    intermediates=(256, 512, 768, 1024, 3072),
)
"""Ξ of arXiv 2010.10499, section 3.1: 300 of 360 combinations are valid."""
