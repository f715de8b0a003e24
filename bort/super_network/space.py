"""The space of a super-network: the architectures of the sub-networks that it is trained for.

A space is a grid of depths, hidden sizes, intermediate sizes and attention widths. It is never
listed: a draw takes one value of each axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple, Union

import numpy as np

from bort.architecture import LARGEST_DEPTH, LARGEST_SIZE, Architecture
from bort.errors import InputError
from bort.storage.files import read_json
from bort.storage.json_fields import JsonFields, shown

LARGEST_AXIS = 1 << 15
"""Maximum number of values on an axis."""

_ITSELF = "space"
"""Start of the messages about a space that comes from no file."""

AXES = ("depths", "hiddens", "intermediates", "heads", "qkvs")
_ALWAYS, _ATTENTION = AXES[:3], AXES[3:]
_SIZE_OF = dict(zip(AXES, ("depth", "hidden", "intermediate", "heads", "qkv")))
_WRITTEN_AS_LIST = 2
"""Maximum number of values that `as_dict` writes as a list though they have equal steps."""


@dataclass(frozen=True)
class SubNetworkSpace:
    """All combinations of depths, hidden sizes, intermediate sizes and widths of the attention.

    The attention is narrowed in one of two ways. `heads` keeps whole heads: an architecture with A
    heads has Q = A · (width of the whole network's heads). `qkvs` keeps all heads and narrows them:
    an architecture of width Q has as many heads as the whole network.

    Source: arXiv 2107.13686, section 3.

    Attributes:
        depths: values of D, ascending.
        hiddens: values of H, ascending.
        intermediates: values of I, ascending.
        heads: values of A, ascending; () if `qkvs` are given.
        qkvs: values of Q, ascending; () if `heads` are given.

    Raises:
        InputError: an axis is empty, repeats a value or holds anything but positive integers, or
            not exactly one of `heads` and `qkvs` is given.

    >>> space = SPACES["autotinybert_mlm"]
    >>> len(space.hiddens), space.size()
    (161, 11391072)
    >>> whole = Architecture(12, 12, 768, 3072)
    >>> str(space.minimum(whole)), str(space.maximum(whole))
    ('<D=1, A=1, H=128, I=128, Q=64>', '<D=8, A=12, H=768, I=3072>')
    """

    depths: Tuple[int, ...]
    hiddens: Tuple[int, ...]
    intermediates: Tuple[int, ...]
    heads: Tuple[int, ...] = ()
    qkvs: Tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.heads) == bool(self.qkvs):
            both = "both given" if self.heads else "both missing"
            raise InputError(f"{_ITSELF}: heads and qkvs are {both}, allowed is one of them")
        for axis in (*_ALWAYS, self.attention_axis):
            object.__setattr__(self, axis, _checked_values(axis, getattr(self, axis)))

    @property
    def attention_axis(self) -> str:
        """The axis of the attention's width: `heads` or `qkvs`."""
        return "heads" if self.heads else "qkvs"

    def size(self) -> int:
        """Return the number of architectures."""
        return math.prod(len(values) for values in self._values())

    def check_fits(self, whole: Architecture, source: str = _ITSELF) -> None:
        """Check that every architecture of the space is a sub-network of a whole network.

        Args:
            whole: sizes of the whole network.
            source: origin of the space in the message.

        Raises:
            InputError: a value is larger than that of the whole network, or its heads do not divide
                a value of qkvs.
        """
        for axis in (*_ALWAYS, self.attention_axis):
            largest, most = getattr(self, axis)[-1], getattr(whole, _SIZE_OF[axis])
            if largest > most:
                raise InputError(
                    f"{source}: {axis} holds {largest}, allowed is at most {most}, that of the "
                    "network it starts from"
                )
        for qkv in self.qkvs:
            if qkv % whole.heads:
                raise InputError(
                    f"{source}: qkvs holds {qkv}, which the {whole.heads} heads of the network do "
                    f"not divide, allowed are multiples of {whole.heads}"
                )

    def maximum(self, whole: Architecture) -> Architecture:
        """Return the largest architecture; `whole` gives the sizes that are on no axis."""
        return self._build(whole, [values[-1] for values in self._values()])

    def minimum(self, whole: Architecture) -> Architecture:
        """Return the smallest architecture; `whole` gives the sizes that are on no axis."""
        return self._build(whole, [values[0] for values in self._values()])

    def draw(self, whole: Architecture, generator: np.random.Generator) -> Architecture:
        """Return a random architecture; every architecture is equally probable.

        Args:
            whole: sizes of the whole network.
            generator: source of four integers, one for each axis.
        """
        sizes = [values[int(generator.integers(len(values)))] for values in self._values()]
        return self._build(whole, sizes)

    def sample(
        self, whole: Architecture, count: int, generator: np.random.Generator
    ) -> List[Architecture]:
        """Return different architectures, drawn uniformly; all in order if there are no more.

        Source: R. W. Floyd, in J. Bentley, "Programming pearls", CACM 30 (9), 1987: a sample
        without replacement in `count` draws.

        Args:
            whole: sizes of the whole network.
            count: number of architectures, at least 1.
            generator: source of random integers.
        """
        size = self.size()
        if count >= size:
            return [self._numbered(whole, number) for number in range(size)]
        chosen: Dict[int, None] = {}  # a set in the order of insertion
        for last in range(size - count, size):
            number = int(generator.integers(last + 1))
            chosen[last if number in chosen else number] = None
        return [self._numbered(whole, number) for number in chosen]

    def holds(self, architecture: Architecture, whole: Architecture) -> bool:
        """Return whether an architecture is one of the space's, as part of a whole network."""
        sizes = [getattr(architecture, _SIZE_OF[axis]) for axis in (*_ALWAYS, self.attention_axis)]
        inside = all(size in values for size, values in zip(sizes, self._values()))
        return inside and self._build(whole, sizes) == architecture

    def as_dict(self) -> Dict[str, Any]:
        """Return the axes for JSON, those with equal steps as first value, last value and step."""
        return {axis: _written(getattr(self, axis)) for axis in (*_ALWAYS, self.attention_axis)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = _ITSELF) -> SubNetworkSpace:
        """Build a space from its axes, each a list or an object with `from`, `to` and `step`.

        Args:
            values: the axes by name.
            source: origin of the values in messages.

        Raises:
            InputError: a field is unknown, missing or bad; the message begins with `source`.
        """
        axes = _read_axes(JsonFields(values, source))
        for name in _ALWAYS:
            if name not in axes:
                raise InputError(f"{source}: field {name!r} is missing")
        try:
            return cls(**axes)
        except InputError as error:
            raise InputError(f"{source}{str(error)[len(_ITSELF) :]}") from error

    def _values(self) -> Tuple[Tuple[int, ...], ...]:
        return (self.depths, self.hiddens, self.intermediates, self.heads or self.qkvs)

    def _numbered(self, whole: Architecture, number: int) -> Architecture:
        """Return the architecture of a number from 0 to `size() - 1`; the last axis moves first."""
        sizes = []
        for values in reversed(self._values()):
            number, index = divmod(number, len(values))
            sizes.append(values[index])
        return self._build(whole, sizes[::-1])

    def _build(self, whole: Architecture, sizes: Sequence[int]) -> Architecture:
        depth, hidden, intermediate, attention = sizes
        heads = attention if self.heads else whole.heads
        return whole.replace(
            depth=depth,
            hidden=hidden,
            intermediate=intermediate,
            heads=heads,
            qkv=attention * whole.head_width if self.heads else attention,
        )


def named_axes(name: str) -> Dict[str, Any]:
    """Return the axes of a named space, or those in a JSON file, which may lack axes.

    Args:
        name: a name of `SPACES`, or a path.

    Raises:
        InputError: the name is unknown, or the file or a field is bad; the message names it.
    """
    if name in SPACES:
        return SPACES[name].as_dict()
    if not name.endswith((".json", ".JSON")) and "/" not in name:
        known = ", ".join(SPACES)
        raise InputError(f"space: {name!r} is unknown; known are {known}, or a .json file")
    return _read_axes(JsonFields.of(read_json(name), name))


def read_sub_network_space(name: str) -> SubNetworkSpace:
    """Return a space by its name in `SPACES`, or from a JSON file with all axes.

    Raises:
        InputError: the name is unknown, or the file or a field is bad; the message names it.
    """
    return SubNetworkSpace.from_dict(named_axes(name), name)


def parse_axis(name: str, words: Sequence[str]) -> List[int]:
    """Return the values of an axis that is given as flags.

    Args:
        name: name of the flag.
        words: numbers, or grids `first:last` or `first:last:step`.

    Raises:
        InputError: a word is neither; the message names the flag and the word.

    >>> parse_axis("depths", ["2:6:2", "12"])
    [2, 4, 6, 12]
    """
    found: List[int] = []
    for word in words:
        numbers = word.split(":")
        if len(numbers) > 3 or not all(n.isascii() and n.isdigit() for n in numbers):
            raise InputError(
                f"{name} is {shown(word)}, allowed are an integer, first:last and first:last:step"
            )
        if any(len(number) > len(str(LARGEST_SIZE)) for number in numbers):
            raise InputError(f"{name} is {shown(word)}, allowed is at most {LARGEST_SIZE}")
        first, *rest = map(int, numbers)
        if not rest:
            found.append(first)
            continue
        grid = {"from": first, "to": rest[0], "step": rest[1] if len(rest) > 1 else 1}
        found += _grid(JsonFields(grid, _ITSELF, name))
    return found


def _read_axes(fields: JsonFields) -> Dict[str, Any]:
    for name in fields.values:
        if name not in AXES:
            known = ", ".join(AXES)
            raise InputError(f"{fields.source}: unknown field {name!r}, known are {known}")
    return {name: _read_axis(fields, name) for name in fields.values}


def _read_axis(fields: JsonFields, name: str) -> Sequence[Any]:
    value = fields.value(name)
    if isinstance(value, dict):
        return _grid(fields.fields(name))
    if not isinstance(value, (list, tuple)) or not value:
        raise InputError(
            f"{fields.source}: {name} is {shown(value)}, allowed are a list of integers and an "
            "object with from, to and step"
        )
    return value


def _grid(fields: JsonFields) -> List[int]:
    """Return the values from `from` to `to` with a step."""
    for name in fields.values:
        if name not in ("from", "to", "step"):
            raise InputError(
                f"{fields.source}: {fields.within} has unknown field {name!r}, known are "
                "from, to, step"
            )
    first = fields.integer("from", 1, LARGEST_SIZE)
    last = fields.integer("to", first, LARGEST_SIZE)
    step = fields.integer("step", 1, LARGEST_SIZE) if fields.has("step") else 1
    reached = first + (last - first) // step * step
    if reached != last:
        raise InputError(
            f"{fields.source}: {fields.within}.to is {last}, which steps of {step} from {first} do "
            f"not reach, allowed are {reached} and {reached + step}"
        )
    if (last - first) // step >= LARGEST_AXIS:
        raise InputError(
            f"{fields.source}: {fields.within} has {(last - first) // step + 1} values, allowed "
            f"are at most {LARGEST_AXIS}"
        )
    return list(range(first, last + 1, step))


def _checked_values(axis: str, values: Any) -> Tuple[int, ...]:
    if not isinstance(values, (list, tuple)) or not values:
        raise InputError(f"{_ITSELF}: {axis} is {shown(values)}, allowed is a list of integers")
    if len(values) > LARGEST_AXIS:
        raise InputError(
            f"{_ITSELF}: {axis} has {len(values)} values, allowed are at most {LARGEST_AXIS}"
        )
    most = LARGEST_DEPTH if axis == "depths" else LARGEST_SIZE
    seen: Set[int] = set()
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise InputError(
                f"{_ITSELF}: {axis} holds {shown(value)}, allowed is an integer from 1 to {most}"
            )
        if value in seen:
            raise InputError(f"{_ITSELF}: {axis} holds {value} twice, allowed is once")
        seen.add(value)
    return tuple(sorted(values))


def _written(values: Tuple[int, ...]) -> Union[List[int], Dict[str, int]]:
    steps = {later - earlier for earlier, later in zip(values, values[1:])}
    if len(values) <= _WRITTEN_AS_LIST or len(steps) > 1:
        return list(values)
    return {"from": values[0], "to": values[-1], "step": steps.pop()}


def _steps(first: int, last: int, step: int) -> Tuple[int, ...]:
    return tuple(range(first, last + 1, step))


_AUTOTINYBERT = {
    "depths": _steps(1, 8, 1),
    "hiddens": _steps(128, 768, 4),
    "intermediates": _steps(128, 3072, 4),
}
_SEARCHED = {
    **_AUTOTINYBERT,
    "hiddens": _steps(128, 768, 16),
    "intermediates": _steps(128, 3072, 32),
}
_HEADS, _QKVS = _steps(1, 12, 1), _steps(180, 768, 12)

SPACES: Mapping[str, SubNetworkSpace] = {
    "autotinybert_mlm": SubNetworkSpace(**_AUTOTINYBERT, heads=_HEADS),
    "autotinybert_kd": SubNetworkSpace(**_AUTOTINYBERT, qkvs=_QKVS),
    "autotinybert_mlm_search": SubNetworkSpace(**_SEARCHED, heads=_HEADS),
    "autotinybert_kd_search": SubNetworkSpace(**_SEARCHED, qkvs=_QKVS),
}
"""Named spaces: those of arXiv 2107.13686 for pre-training by masked tokens, with whole heads, and
for distillation, with narrower heads, in which a super-network is trained; and the coarser grids of
the authors' code, which it searches. The whole network has 12 heads of width 64."""
