"""Boosted trees as plain arrays: fitted by scikit-learn, evaluated in NumPy, written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from bort.errors import InputError
from bort.storage.json_fields import JsonFields

_ROUNDS = 60
_RATE = 0.1
_LEAVES = 6
_ROWS_OF_A_LEAF = 8
_LEAF = -1


@dataclass(frozen=True)
class Tree:
    """A regression tree; node 0 is the root, and a parent comes before its children.

    Attributes:
        feature: column that a node compares, -1 for a leaf.
        threshold: a row goes left if its value is at most this.
        left: left child of a node, 0 for a leaf.
        right: right child of a node, 0 for a leaf.
        value: output of a leaf, 0 for another node.
    """

    feature: Tuple[int, ...]
    threshold: Tuple[float, ...]
    left: Tuple[int, ...]
    right: Tuple[int, ...]
    value: Tuple[float, ...]

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs, float64 (n,), of rows, float (n, k)."""
        feature, threshold, value = map(np.array, (self.feature, self.threshold, self.value))
        left, right = np.array(self.left), np.array(self.right)
        nodes = np.zeros(len(rows), np.int64)
        everyone = np.arange(len(rows))
        for _ in range(len(self.feature)):  # a path is shorter than the number of nodes
            columns = feature[nodes]
            inner = columns != _LEAF
            if not inner.any():
                break
            goes_left = rows[everyone, np.maximum(columns, 0)] <= threshold[nodes]
            nodes = np.where(inner, np.where(goes_left, left[nodes], right[nodes]), nodes)
        return np.asarray(value[nodes], np.float64)

    def as_dict(self) -> Dict[str, Any]:
        """Return JSON-ready values that `from_fields` reads."""
        return {name: list(values) for name, values in vars(self).items()}

    @classmethod
    def from_fields(cls, fields: JsonFields, columns: int) -> Tree:
        """Read a tree whose rows have a number of columns.

        Raises:
            InputError: a list has another length, or a node leads to no later node.
        """
        count = len(fields.items("feature"))
        lists = {name: fields.numbers(name) for name in cls.__annotations__}
        for name, values in lists.items():
            if not count or len(values) != count:
                raise _refused(fields, name, f"has {len(values)} numbers, allowed are {count or 1}")
        for node, column in enumerate(lists["feature"]):
            if column not in range(_LEAF, columns):
                raise _refused(
                    fields,
                    f"feature[{node}]",
                    f"is {column!r}, allowed is an integer from {_LEAF} to {columns - 1}",
                )
            for name in ("left", "right"):
                child = lists[name][node]
                if column != _LEAF and child not in range(node + 1, count):
                    raise _refused(
                        fields,
                        f"{name}[{node}]",
                        f"is {child!r}, allowed is a later node, {node + 1} to {count - 1}",
                    )
        whole = {name: tuple(map(int, lists[name])) for name in ("feature", "left", "right")}
        return cls(threshold=lists["threshold"], value=lists["value"], **whole)


@dataclass(frozen=True)
class BoostedTrees:
    """A sum of trees and a constant.

    Attributes:
        baseline: the constant.
        trees: the trees.
    """

    baseline: float
    trees: Tuple[Tree, ...]

    @classmethod
    def fit(
        cls,
        rows: np.ndarray,
        targets: np.ndarray,
        monotonic: Sequence[int],
    ) -> BoostedTrees:
        """Fit trees with least squares, by scikit-learn's `HistGradientBoostingRegressor`.

        Args:
            rows: float (n, k).
            targets: float (n,).
            monotonic: for each column 1 if the output must not fall with it, 0 for no condition.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor  # late: it takes a second

        model = HistGradientBoostingRegressor(
            learning_rate=_RATE,
            max_iter=_ROUNDS,
            max_leaf_nodes=_LEAVES,
            min_samples_leaf=_ROWS_OF_A_LEAF,
            monotonic_cst=list(monotonic),
            early_stopping=False,
        ).fit(rows, targets)
        # scikit-learn has no public form of these trees; the comparison below guards against
        # another layout.
        trees = tuple(_tree_of(stage[0].nodes) for stage in model._predictors)
        found = cls(float(np.ravel(model._baseline_prediction)[0]), trees)
        assert np.allclose(found.predict(rows), model.predict(rows), rtol=1e-6, atol=1e-9)
        return found

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the outputs, float64 (n,), of rows, float (n, k)."""
        total = np.full(len(rows), self.baseline)
        for tree in self.trees:
            total += tree.predict(rows)
        return total

    def as_dict(self) -> Dict[str, Any]:
        """Return JSON-ready values that `from_fields` reads."""
        return {"baseline": self.baseline, "trees": [tree.as_dict() for tree in self.trees]}

    @classmethod
    def from_fields(cls, fields: JsonFields, columns: int) -> BoostedTrees:
        """Read trees whose rows have a number of columns.

        Raises:
            InputError: a field is missing or bad.
        """
        trees: List[Tree] = [Tree.from_fields(one, columns) for one in fields.objects("trees")]
        return cls(float(fields.number("baseline")), tuple(trees))


def _tree_of(nodes: np.ndarray) -> Tree:
    """Return a tree of scikit-learn's record array."""
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=tuple(np.where(is_leaf, _LEAF, nodes["feature_idx"].astype(int)).tolist()),
        threshold=tuple(np.where(is_leaf, 0.0, nodes["num_threshold"]).tolist()),
        left=tuple(np.where(is_leaf, 0, nodes["left"].astype(int)).tolist()),
        right=tuple(np.where(is_leaf, 0, nodes["right"].astype(int)).tolist()),
        value=tuple(np.where(is_leaf, nodes["value"], 0.0).tolist()),
    )


def _refused(fields: JsonFields, name: str, problem: str) -> InputError:
    return InputError(f"{fields.source}: {fields.within}.{name} {problem}")
