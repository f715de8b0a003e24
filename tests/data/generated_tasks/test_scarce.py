"""Scarce tasks for several seeds: no example twice, seeds apart, all or nothing."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from bort.agora.examples import normalised_key
from bort.errors import InputError
from data.generated_tasks.scarce import ScarceSizes, open_scarce_task, write_scarce_tasks
from data.generated_tasks.tasks import GENERATED_TASKS
from data.tasks.sample_vocabulary import train_sample_vocabulary

SIZES = ScarceSizes(train=12, dev=10, report=14, socrates=40, seeds=3, positive_share=0.5)


def keys(points):
    return {normalised_key(point.example) for point in points}


@pytest.mark.parametrize("task", GENERATED_TASKS)
def test_no_example_of_a_split_is_in_another_of_any_seed(tmp_path, task):
    folder = tmp_path / "files"
    write_scarce_tasks(folder, task, SIZES)
    vocabulary = train_sample_vocabulary()
    found = [open_scarce_task(folder, task, f"seed-{n}", vocabulary, 64) for n in range(3)]
    gold = open_scarce_task(folder, task, "gold-0", vocabulary, 64)
    assert [(len(t.training), len(t.dev), len(t.report)) for t in found] == [(12, 10, 14)] * 3
    assert len(gold.training) == 40
    everything = keys(gold.training)
    for one in found:
        assert keys(one.training) < everything
        one.report.fix_winner("anybody")
    splits = [keys(gold.training), *(keys(t.dev) for t in found)]
    splits += [keys(t.report.open()) for t in found]
    for left, right in itertools.combinations(splits, 2):
        assert not left & right
    assert keys(found[0].training) != keys(found[1].training)


def test_the_share_of_positive_labels_is_kept(tmp_path):
    sizes = ScarceSizes(train=20, dev=10, report=10, socrates=60, seeds=2, positive_share=0.8)
    write_scarce_tasks(tmp_path / "files", "acceptability", sizes)
    task = open_scarce_task(
        tmp_path / "files", "acceptability", "seed-1", train_sample_vocabulary(), 64
    )
    assert sum(point.label for point in task.training) == 16
    assert sum(point.label for point in task.dev) in range(4, 11)


def test_dev_examples_can_be_the_shortest_ones_of_each_label(tmp_path):
    sizes = dataclasses.replace(SIZES, dev_from="shortest")
    write_scarce_tasks(tmp_path / "any", "acceptability", SIZES)
    write_scarce_tasks(tmp_path / "short", "acceptability", sizes)
    vocabulary = train_sample_vocabulary()
    usual, short = (
        open_scarce_task(tmp_path / name, "acceptability", "seed-1", vocabulary, 64).dev
        for name in ("any", "short")
    )
    assert len(short) == len(usual) == 10
    assert sum(point.label for point in short) == 5
    assert mean_length(short) < 0.85 * mean_length(usual)
    with pytest.raises(InputError, match="dev_from is 'longest'"):
        dataclasses.replace(SIZES, dev_from="longest")


def mean_length(points):
    return sum(len(point.example.segments[0]) for point in points) / len(points)


def test_too_much_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="allowed are at most 40"):
        ScarceSizes(train=41, dev=10, report=14, socrates=40, seeds=3)
    with pytest.raises(InputError, match="task"):
        write_scarce_tasks(tmp_path / "files", "no such task", SIZES)
    assert not (tmp_path / "files").exists()
