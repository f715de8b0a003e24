"""The graph of experiments as Mermaid, DOT or SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Dict, List, NamedTuple, Sequence, Tuple

from bort.stages.key import SHOWN_DIGITS
from bort.stages.listing import StageState

GRAPH_FORMATS = ("mermaid", "dot", "svg")
_WIDTH, _HEIGHT, _GAP = 190, 46, 34  # of a node of the picture, in pixels


class Edge(NamedTuple):
    """An input of a stage: the nodes' identifiers, and the label of the input."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class StageGraph:
    """The stages of some experiments, those with the same name and key only once.

    Attributes:
        nodes: the states of the stages by identifiers: `name@key`, with the first digits of the
            key, or `name@experiment` if the key is not known. An input comes before the stage.
        edges: the inputs.
    """

    nodes: Dict[str, StageState]
    edges: Tuple[Edge, ...]

    @classmethod
    def of(cls, experiments: Sequence[Sequence[StageState]]) -> StageGraph:
        """Return the graph of some experiments, each a list of the states of its stages."""
        nodes: Dict[str, StageState] = {}
        edges: Dict[Edge, None] = {}
        for states in experiments:
            names = {one.name: _identifier(one) for one in states}
            for one in states:
                nodes.setdefault(names[one.name], one)
                for label, source in one.inputs.items():
                    edges[Edge(names[source], names[one.name], label)] = None
        return cls(nodes, tuple(edges))

    def text(self, file_format: str) -> str:
        """Return the graph in one of `GRAPH_FORMATS`."""
        assert file_format in GRAPH_FORMATS
        return str(getattr(self, file_format)())

    def mermaid(self) -> str:
        """Return the graph in the language of Mermaid."""
        names = {name: f"n{number}" for number, name in enumerate(self.nodes)}
        lines = ["graph TD"]
        for name, one in self.nodes.items():
            lines.append(f'    {names[name]}["{one.name}<br/>{_note(one)}"]')
        for edge in self.edges:
            lines.append(f"    {names[edge.source]} -->|{edge.label}| {names[edge.target]}")
        return "\n".join(lines) + "\n"

    def dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        lines = ["digraph stages {", "    node [shape=box];"]
        for name, one in self.nodes.items():
            lines.append(f'    "{name}" [label="{one.name}\\n{_note(one)}"];')
        for edge in self.edges:
            lines.append(f'    "{edge.source}" -> "{edge.target}" [label="{edge.label}"];')
        return "\n".join([*lines, "}"]) + "\n"

    def svg(self) -> str:
        """Return the graph as a picture, each stage below its inputs."""
        places = self._places()
        width = max((x for x, _ in places.values()), default=0) + _WIDTH + _GAP
        height = max((y for _, y in places.values()), default=0) + _HEIGHT + _GAP
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="13" '
            'text-anchor="middle" fill="currentColor" color="#5078a0">',
            "<title>Stages</title>",
        ]
        for edge in self.edges:
            (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
            lines.append(
                f'<path d="M{x + _WIDTH // 2} {y + _HEIGHT} L{to_x + _WIDTH // 2} {to_y}" '
                f'stroke="currentColor"><title>{escape(edge.label)}</title></path>'
            )
        for name, one in self.nodes.items():
            x, y = places[name]
            dashes = "" if one.state == "done" else ' stroke-dasharray="4"'
            lines.append(
                f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="none" '
                f'stroke="currentColor"{dashes}/>'
                f'<text x="{x + _WIDTH // 2}" y="{y + 19}">{escape(one.name)}</text>'
                f'<text x="{x + _WIDTH // 2}" y="{y + 36}" font-size="10">{_note(one)}</text>'
            )
        return "\n".join([*lines, "</svg>"]) + "\n"

    def _places(self) -> Dict[str, Tuple[int, int]]:
        """Return the upper left corner of each node, in pixels."""
        levels = dict.fromkeys(self.nodes, 0)
        for _ in self.nodes:  # no path is longer
            for edge in self.edges:
                levels[edge.target] = max(levels[edge.target], levels[edge.source] + 1)
        rows: Dict[int, List[str]] = {}
        for name, level in levels.items():
            rows.setdefault(level, []).append(name)
        widest = max(map(len, rows.values()), default=0)
        step = _WIDTH + _GAP
        return {
            name: (
                _GAP // 2 + (widest - len(row)) * step // 2 + number * step,
                _GAP // 2 + level * (_HEIGHT + _GAP),
            )
            for level, row in rows.items()
            for number, name in enumerate(row)
        }


def _identifier(one: StageState) -> str:
    return f"{one.name}@{one.experiment if one.key is None else one.key[:SHOWN_DIGITS]}"


def _note(one: StageState) -> str:
    return f"{one.state} {'' if one.key is None else one.key[:SHOWN_DIGITS]}".rstrip()
