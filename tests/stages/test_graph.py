"""The graph has the declared edges and no cycle, and variants stay apart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import List, Tuple

import networkx
import pytest

from bort.stages.graph import GRAPH_FORMATS, StageGraph
from bort.stages.listing import stage_states
from bort.stages.plan import read_experiments
from bort.stages.running import run_stages
from bort.stages.store import Store
from tests.stages.graphs import Runs, six_stages

EDGES = [
    ("text", "teacher", "text"),
    ("text", "answers", "text"),
    ("teacher", "answers", "teacher"),
    ("answers", "student-0", "answers"),
    ("text", "student-1", "text"),
    ("teacher", "student-1", "teacher"),
    ("student-0", "report", "first"),
    ("student-1", "report", "second"),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "corpus.txt").write_text("text")
    store = Store(tmp_path / "store")
    run_stages("base", six_stages(Runs(), tmp_path / "corpus.txt"), store)
    return store


def graph_of(store: Store) -> StageGraph:
    return StageGraph.of([stage_states(store, one) for one in read_experiments(store)])


def parsed(dot: str) -> networkx.MultiDiGraph:
    graph = networkx.MultiDiGraph()
    graph.add_nodes_from(re.findall(r'^ +"([^"]+)" \[label=', dot, re.MULTILINE))
    for source, target, label in re.findall(r'"([^"]+)" -> "([^"]+)" \[label="(.*)"\]', dot):
        assert {source, target} <= set(graph.nodes)
        graph.add_edge(source, target, label=label)
    return graph


def edges(graph: networkx.MultiDiGraph) -> List[Tuple[str, str, str]]:
    names = {node: node.split("@")[0] for node in graph.nodes}
    return sorted((names[a], names[b], label) for a, b, label in graph.edges(data="label"))


def test_the_edges_are_as_declared(store: Store) -> None:
    graph = parsed(graph_of(store).dot())
    assert networkx.is_directed_acyclic_graph(graph)
    assert edges(graph) == sorted(EDGES)
    assert len(graph) == 6


def test_variants_are_nodes_of_their_own(store: Store, tmp_path: Path) -> None:
    wide = six_stages(Runs(), tmp_path / "corpus.txt", {"student-0": {"size": 2}})
    run_stages("wide", wide, store, only=["student-1"])
    before = parsed(graph_of(store).dot())
    run_stages("wide", wide, store)
    after = parsed(graph_of(store).dot())
    once = dict.fromkeys([name for edge in EDGES for name in edge[:2]], 1)
    for graph in (before, after):
        assert networkx.is_directed_acyclic_graph(graph)
        names = [node.split("@")[0] for node in graph.nodes]
        assert {name: names.count(name) for name in names} == {**once, "student-0": 2, "report": 2}
        changed = [edge for edge in EDGES if {"student-0", "report"} & set(edge[:2])]
        assert edges(graph) == sorted(EDGES + changed)
    assert "report@wide" in before.nodes
    assert "report@wide" not in after.nodes


def test_the_picture_has_every_stage_below_its_inputs(store: Store) -> None:
    graph = graph_of(store)
    places = graph._places()
    assert len(set(places.values())) == 6
    assert all(places[edge.source][1] < places[edge.target][1] for edge in graph.edges)
    root = ElementTree.fromstring(graph.svg())
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[::2] == [name.split("@")[0] for name in graph.nodes]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == len(EDGES)


def test_mermaid_has_every_stage_and_input(store: Store) -> None:
    text = graph_of(store).mermaid()
    titles = dict(re.findall(r'(n\d+)\["([\w-]+)<br/>done [0-9a-f]{12}"\]', text))
    assert len(titles) == 6
    found = re.findall(r"(n\d+) -->\|([\w-]+)\| (n\d+)", text)
    assert sorted((titles[a], titles[b], label) for a, label, b in found) == sorted(EDGES)


@pytest.mark.parametrize("file_format", GRAPH_FORMATS)
def test_a_store_without_experiments_has_an_empty_graph(file_format: str) -> None:
    assert StageGraph.of([]).text(file_format).count("\n") <= 3
