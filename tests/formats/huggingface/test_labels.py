"""The names and the meaning of a classifier's outputs: read from `config.json`, written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bort.errors import InputError
from bort.formats.huggingface.reader import read_huggingface
from bort.formats.huggingface.writer import write_huggingface
from tests.formats.huggingface.folders import edit_config
from tests.formats.parity import make_network


@pytest.mark.parametrize(
    ("classes", "given", "expected"),
    [
        (1, None, "regression"),
        (1, "multi_label_classification", "multi_label_classification"),
        (3, None, "single_label_classification"),
        (3, "regression", "regression"),
        (3, "multi_label_classification", "multi_label_classification"),
    ],
)
def test_the_problem_type_is_read_and_written_again(
    classes: int, given: Any, expected: str, tmp_path: Path
) -> None:
    labels = [f"name {number}" for number in range(classes)]
    write_huggingface(
        tmp_path, make_network(head="release", num_classes=classes, labels=labels), None
    )
    (tmp_path / "bort.json").unlink()
    edit_config(problem_type=given)(tmp_path)
    network = read_huggingface(tmp_path).network
    head = network.description.head
    assert head is not None
    assert (head.problem_type, head.labels) == (expected, tuple(labels))
    again = tmp_path / "again"
    again.mkdir()
    write_huggingface(again, network, None)
    config = json.loads((again / "config.json").read_text(encoding="utf-8"))
    assert config["problem_type"] == expected
    assert list(config["id2label"].values()) == labels
    assert read_huggingface(again).network.description.head == head


def test_a_single_label_of_one_output_is_refused(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="linear", num_classes=1), None)
    (tmp_path / "bort.json").unlink()
    edit_config(problem_type="single_label_classification")(tmp_path)
    with pytest.raises(InputError, match=r"config\.json: problem_type is .* there is 1 output"):
        read_huggingface(tmp_path)


def test_labels_are_ordered_by_their_ids(tmp_path: Path) -> None:
    write_huggingface(tmp_path, make_network(head="linear", num_classes=3), None)
    (tmp_path / "bort.json").unlink()
    default = {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    edit_config(id2label={"2": "c", "0": "a", "1": "b"}, label2id=default)(tmp_path)
    assert read_huggingface(tmp_path).network.description.labels == ("a", "b", "c")
    edit_config(id2label=..., label2id={"z": 1, "y": 2, "x": 0})(tmp_path)
    assert read_huggingface(tmp_path).network.description.labels == ("x", "z", "y")
