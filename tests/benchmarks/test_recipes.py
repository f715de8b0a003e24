"""The commands and the tables of the benchmark of recipes."""

from __future__ import annotations

from typing import Tuple

import pytest

from benchmarks.recipes import differences, table
from benchmarks.recipes_arms import ARMS, Arms, RecipesConfig
from benchmarks.stored import Stored
from bort.settings.config import Config
from bort.training.pretraining_config import PretrainingConfig, PretrainingPaths
from bort.training.recipes import RECIPES


def settings_of(arm: str, tmp_path) -> Tuple[PretrainingPaths, Config]:
    import argparse

    arms = Arms(RecipesConfig(text="text.txt"), Stored(tmp_path))
    words = arms._command(arm, 1e-3, "6m", 2, tmp_path / "shards", tmp_path / "run")
    parser = argparse.ArgumentParser()
    PretrainingPaths.add_flags(parser)
    PretrainingConfig.add_flags(parser, preset=True)
    parsed = parser.parse_args(words[2:])
    paths = PretrainingPaths.from_arguments(parsed)
    return paths, PretrainingConfig.from_arguments(parsed, RECIPES[paths.recipe])


def test_the_arms_differ_in_their_recipe_and_share_time_text_and_seed(tmp_path):
    found = {arm: settings_of(arm, tmp_path) for arm in ARMS}
    for paths, config in found.values():
        assert config.budget.hours == "6m"
        assert (config.seed, config.lr) == (2, 1e-3)
        assert paths.teacher.teacher_model == "none"
    assert found["defaults"][1].accumulate == 1
    budget = found["academic-budget"][1]
    assert budget.batch_size * budget.accumulate == 32
    assert (budget.adam_beta2, budget.clip, budget.optimizer) == (0.98, 0.0, "adamw")
    cramming = found["cramming"][1]
    assert cramming.masks.mask_probability == 0.25
    assert cramming.dropout == 0.0
    assert [paths.architecture.endswith("-pre") for paths, _ in found.values()] == [
        *(False, True, True)
    ]


def test_only_trainings_that_a_setting_changes_are_repeated(tmp_path, monkeypatch):
    made = []

    def train(self, work, rates, hours, seed, half):
        made.append((hours, seed))
        best = {"defaults": 3e-3, "academic-budget": 1e-3, "cramming": 3e-4}
        return {arm: {"loss": abs(rates[arm] - best[arm])} for arm in ARMS}

    monkeypatch.setattr(Arms, "_train", train)
    monkeypatch.setattr("experiments.demo.text.prepare_text", lambda demo, folder: None)
    (tmp_path / "text.txt").write_text("text")

    def run(**changed):
        made.clear()
        config = RecipesConfig(text=str(tmp_path / "text.txt"), **changed)
        arms = Arms(config, Stored(tmp_path / "store"))
        rates = arms.tuned()
        assert rates == {"defaults": 3e-3, "academic-budget": 1e-3, "cramming": 3e-4}
        for seed in range(config.seeds):
            arms.trained(seed, rates)
        return list(made)

    tuning = [("90s", 1_000)] * 3
    assert run(seeds=2) == [*tuning, ("8m", 0), ("8m", 1)]
    assert run(seeds=3) == [("8m", 2)]
    assert run(hours="9m", seeds=2) == [("9m", 0), ("9m", 1)]
    assert run(architecture="2-2-64-128", seeds=2) == [*tuning, ("8m", 0), ("8m", 1)]
    assert run(seeds=3) == [], "nothing of other settings was mixed in or lost"


def result(defaults: float, budget: float, cramming: float):
    def arm(loss: float):
        accuracy = 1 - loss / 10
        return {"loss": loss, "accuracy": accuracy, "rate": 1e-3, "steps": 100, "tokens": 2e6}

    return {"defaults": arm(defaults), "academic-budget": arm(budget), "cramming": arm(cramming)}


def test_differences_are_paired_by_seed_and_positive_for_a_better_recipe():
    found = [result(5.0, 4.5, 5.5), result(6.0, 5.4, 6.1), result(5.5, 4.8, 5.4)]
    compared = differences(found)
    assert compared["academic-budget"]["losses"] == pytest.approx([0.5, 0.6, 0.7])
    assert compared["academic-budget"]["accuracies"] == pytest.approx([0.05, 0.06, 0.07])
    assert compared["academic-budget"]["p"] == 0.125
    assert compared["cramming"]["losses"] == pytest.approx([-0.5, -0.1, 0.1])
    text = table(found)
    assert "| academic-budget | 0.001 | 100 ± 0 | 2.00 ± 0.00 |" in text
    assert "0.600 ± 0.100 | 0.125 |" in text
