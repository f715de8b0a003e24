"""The candidates of a search under a limit: all architectures of a space as rows of one table."""

from __future__ import annotations

import math
from typing import Callable, List, Optional, Tuple

import numpy as np

from bort.architecture import Architecture
from bort.errors import InputError
from bort.search.sizes import COLUMNS
from bort.search.space import SearchSpace
from bort.super_network.space import SubNetworkSpace

MOST_CANDIDATES = 20_000_000
"""Maximum number of architectures in a grid."""

GENES = ("depth", "hidden", "intermediate", "attention")
"""The four sizes that a row combines, in the order of the rows; the last one moves first."""

_CHUNK = 1 << 18


class CandidateGrid:
    """All architectures of a space, numbered from 0 in the order D, H, I, attention.

    A row needs no object: costs of all rows are computed with arrays. `architecture` builds the
    object of one row.

    Use `of_space` or `of_sub_networks`.

    Attributes:
        whole: gives every architecture its vocabulary, length, token types and place of the norms.
        axes: values of depth, hidden, intermediate and attention, ascending. The attention is A for
            a space of heads and Q for a space of qkvs.
        attention: `heads` or `qkvs`.

    >>> from bort.super_network.space import SPACES
    >>> base = Architecture(12, 12, 768, 3072, 30522, 512, 2)
    >>> grid = CandidateGrid.of_sub_networks(SPACES["autotinybert_mlm_search"], base)
    >>> len(grid), str(grid.architecture(0))
    (366048, '<D=1, A=1, H=128, I=128, Q=64>')
    """

    def __init__(
        self,
        whole: Architecture,
        axes: Tuple[Tuple[int, ...], ...],
        attention: str,
        *,
        qkv_is_hidden: bool = False,
        kept: Optional[np.ndarray] = None,
    ) -> None:
        self.whole = whole
        self.axes = axes
        self.attention = attention
        self._values = [np.array(values, dtype=np.int32) for values in axes]
        self._qkv_is_hidden = qkv_is_hidden
        self._kept = kept
        self._sizes: Optional[np.ndarray] = None

    @classmethod
    def of_space(cls, space: SearchSpace) -> CandidateGrid:
        """Return the valid candidates of a search space, in which Q is H.

        Args:
            space: Ξ.
        """
        axes = (space.depths, space.hiddens, space.intermediates, space.heads)
        largest = space.maximum_point()
        grid = cls(largest, axes, "heads", qkv_is_hidden=True)
        rows = np.arange(math.prod(map(len, axes)))
        sizes = grid.sizes_at(rows)
        valid = sizes[:, 2] % sizes[:, 1] == 0
        if space.even_depth:
            valid &= sizes[:, 0] % 2 == 0
        return cls(largest, axes, "heads", qkv_is_hidden=True, kept=rows[valid])

    @classmethod
    def of_sub_networks(cls, space: SubNetworkSpace, whole: Architecture) -> CandidateGrid:
        """Return the architectures of a super-network's space.

        Args:
            space: the values of each axis.
            whole: sizes of the whole network.

        Raises:
            InputError: the space does not fit the network, or has more than `MOST_CANDIDATES`
                architectures.
        """
        space.check_fits(whole)
        axes = (space.depths, space.hiddens, space.intermediates, space.heads or space.qkvs)
        if space.size() > MOST_CANDIDATES:
            names = ("depths", "hiddens", "intermediates", space.attention_axis)
            lengths = ", ".join(f"{len(axis)} {name}" for name, axis in zip(names, axes))
            raise InputError(
                f"space: has {space.size()} architectures ({lengths}), allowed are at most "
                f"{MOST_CANDIDATES}; a larger step on an axis, such as hiddens from "
                f"{axes[1][0]} to {axes[1][-1]} in steps of 16, has fewer"
            )
        return cls(whole, axes, space.attention_axis)

    def __len__(self) -> int:
        return math.prod(map(len, self.axes)) if self._kept is None else len(self._kept)

    @property
    def sizes(self) -> np.ndarray:
        """(n, 5) int32, columns `COLUMNS`: D, A, H, I, Q of every row; made at the first use."""
        if self._sizes is None:
            self._sizes = self.sizes_at(np.arange(len(self)))
            self._sizes.setflags(write=False)
        return self._sizes

    def sizes_at(self, rows: np.ndarray) -> np.ndarray:
        """Return D, A, H, I, Q of some rows.

        Args:
            rows: (m,) numbers of rows.

        Returns:
            (m, 5) int32.
        """
        genes = self.genes_at(rows)
        depth, hidden, intermediate, attention = (
            values[genes[:, place]] for place, values in enumerate(self._values)
        )
        if self.attention == "qkvs":
            heads, qkv = np.full_like(attention, self.whole.heads), attention
        else:
            heads = attention
            qkv = hidden if self._qkv_is_hidden else attention * self.whole.head_width
        columns = [depth, heads, hidden, intermediate, qkv]
        return np.asarray(np.stack(columns, axis=1), dtype=np.int32)

    def genes_at(self, rows: np.ndarray) -> np.ndarray:
        """Return the places of some rows on the axes.

        Args:
            rows: (m,) numbers of rows.

        Returns:
            (m, 4) int64: places on the axes of depth, hidden, intermediate and attention.
        """
        positions = np.asarray(rows, dtype=np.int64)
        if self._kept is not None:
            positions = self._kept[positions]
        return np.stack(np.unravel_index(positions, self._lengths()), axis=1)

    def rows_of(self, genes: np.ndarray) -> np.ndarray:
        """Return the rows at some places on the axes.

        Args:
            genes: (m, 4) places on the axes, each inside its axis.

        Returns:
            (m,) int64; -1 where the combination is not a valid candidate.
        """
        positions = np.ravel_multi_index(tuple(np.asarray(genes).T), self._lengths())
        if self._kept is None:
            return np.asarray(positions, dtype=np.int64)
        rows = np.minimum(np.searchsorted(self._kept, positions), len(self._kept) - 1)
        return np.asarray(np.where(self._kept[rows] == positions, rows, -1))

    def nearest_genes(self, architecture: Architecture) -> np.ndarray:
        """Return the places on the axes that are nearest to an architecture, on the grid or not.

        Of two values at the same distance the smaller one counts.

        Returns:
            (4,) int64.
        """
        sizes = self._gene_sizes(architecture)
        return np.array(
            [np.argmin(np.abs(values - size)) for values, size in zip(self._values, sizes)],
            dtype=np.int64,
        )

    def architecture(self, row: int) -> Architecture:
        """Return the architecture of a row."""
        sizes = self.sizes_at(np.array([row]))[0]
        return self.whole.replace(**{name: int(size) for name, size in zip(COLUMNS, sizes)})

    def architectures(self, rows: np.ndarray) -> List[Architecture]:
        """Return the architectures of some rows, in their order."""
        return [self.architecture(int(row)) for row in rows]

    def index_of(self, architecture: Architecture) -> Optional[int]:
        """Return the row of an architecture; None if the grid does not hold it."""
        genes = self.nearest_genes(architecture)
        row = int(self.rows_of(genes[np.newaxis])[0])
        return row if row >= 0 and self.architecture(row) == architecture else None

    def parameter_counts(self, rows: Optional[np.ndarray] = None) -> np.ndarray:
        """Return `Architecture.parameter_count()` of rows: (m,) int64; None stands for all rows."""
        return self.costs(self._parameters, rows, np.int64)

    def layer_parameter_counts(self, rows: Optional[np.ndarray] = None) -> np.ndarray:
        """Return the parameters of the layers alone, without the embeddings: (m,) int64."""
        return self.costs(_layer_parameters, rows, np.int64)

    def multiply_adds(self, length: int, rows: Optional[np.ndarray] = None) -> np.ndarray:
        """Return the multiply-adds of one sequence.

        Args:
            length: tokens per sequence, 1 to the maximum length.
            rows: (m,) numbers of rows; None for all.

        Returns:
            (m,) int64: `length` times `Architecture.multiply_adds_per_token(length)`.
        """
        self.whole.multiply_adds_per_token(length)  # refuses a bad length

        def adds(sizes: np.ndarray) -> np.ndarray:
            depth, _, hidden, intermediate, qkv = sizes.astype(np.int64).T
            layer = 4 * hidden * qkv + 2 * hidden * intermediate + 2 * length * qkv
            return np.asarray(length * depth * layer)

        return self.costs(adds, rows, np.int64)

    def costs(
        self,
        cost: Callable[[np.ndarray], np.ndarray],
        rows: Optional[np.ndarray] = None,
        dtype: type = float,
    ) -> np.ndarray:
        """Return a cost of rows, computed in pieces so that the memory stays small.

        Args:
            cost: takes (m, 5) sizes, returns (m,) costs, such as `LatencyPredictor.predict`.
            rows: (m,) numbers of rows; None for all.
            dtype: type of the costs.

        Returns:
            (m,) costs.
        """
        count = len(self) if rows is None else len(rows)
        found: np.ndarray = np.empty(count, dtype=dtype)
        for first in range(0, count, _CHUNK):
            piece = slice(first, min(first + _CHUNK, count))
            part = np.arange(piece.start, piece.stop) if rows is None else rows[piece]
            found[piece] = cost(self.sizes_at(part))
        return found

    def _parameters(self, sizes: np.ndarray) -> np.ndarray:
        whole, hidden = self.whole, sizes[:, 2].astype(np.int64)
        tables = whole.vocabulary_size + whole.maximum_length + whole.token_types
        return np.asarray(hidden * (tables + 2) + _layer_parameters(sizes))

    def _gene_sizes(self, architecture: Architecture) -> Tuple[int, int, int, int]:
        attention = architecture.qkv if self.attention == "qkvs" else architecture.heads
        return (architecture.depth, architecture.hidden, architecture.intermediate, attention)

    def _lengths(self) -> Tuple[int, ...]:
        return tuple(map(len, self.axes))


def _layer_parameters(sizes: np.ndarray) -> np.ndarray:
    depth, _, hidden, intermediate, qkv = sizes.astype(np.int64).T
    layer = 4 * hidden * qkv + 3 * qkv + 2 * hidden * intermediate + 6 * hidden + intermediate
    return np.asarray(depth * layer)
