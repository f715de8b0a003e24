"""The demonstration's plan, numbers and folders; the whole of it runs in the integration tests."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.errors import InputError
from bort.process.command import make_parser
from bort.report.learning_curves import Curve
from experiments.demo.agora import lines
from experiments.demo.experiment import _clear, run_demo, summary
from experiments.demo.plan import (
    GENERATED,
    LONGEST_SECONDS,
    PLANNED_SECONDS,
    DemoConfig,
    preset_for,
)
from experiments.demo.results import save, summarise, table
from experiments.demo.training import Selection, evenly_chosen, student_settings, teacher_settings
from tests.text.toy import ToyExamples

TEACHER_STEP_SECONDS = 0.13
STUDENT_STEP_SECONDS = 0.065
ANSWER_SECONDS = 0.045
CANDIDATE_STEP_SECONDS = 0.08
"""Seconds of a step with the default sizes on two cores (AMD EPYC, AVX2): the teacher's and its
answers' with both, a student's with one. `benchmarks/demo_stages.py` measures the stages."""


def planned_training_seconds(config):
    """Seconds that the steps of a configuration with the default sizes take."""
    kinds, cores = 2, 2
    students = kinds * config.seeds * STUDENT_STEP_SECONDS / cores
    combinations = (
        len(config.depths) * len(config.heads) * len(config.hiddens) * len(config.intermediates)
    )
    candidates = -(-combinations // config.epsilon)
    trial = config.search_steps * CANDIDATE_STEP_SECONDS + (
        config.search_held_out_batches * ANSWER_SECONDS
    )
    return {
        "teacher": config.teacher_steps * TEACHER_STEP_SECONDS,
        "search": config.student_steps * ANSWER_SECONDS + candidates * trial,
        "students": config.student_steps * students,
    }


def test_the_planned_stages_fit_into_ten_minutes():
    assert sum(PLANNED_SECONDS.values()) <= LONGEST_SECONDS
    for stage, seconds in planned_training_seconds(DemoConfig()).items():
        assert seconds <= PLANNED_SECONDS[stage], stage


def test_the_plan_counts_the_steps_that_are_made():
    config = DemoConfig()
    assert teacher_settings(config).num_steps == config.teacher_steps
    assert student_settings(config, 0, True).num_steps == config.student_steps
    longer = DemoConfig(teacher_steps=10 * config.teacher_steps)
    assert planned_training_seconds(longer)["teacher"] > PLANNED_SECONDS["teacher"]


def test_students_differ_in_their_seed_and_share_text_and_masks():
    config = DemoConfig()
    one, other = student_settings(config, 0, True), student_settings(config, 1, True)
    assert one.seed != other.seed
    assert one.order_seed == other.order_seed
    alone = student_settings(config, 0, False)
    assert (alone.seed, alone.order_seed) == (one.seed, one.order_seed)
    assert alone.objective.teacher_ce_weight == 0


def test_another_corpus_gets_larger_sizes_and_flags_win():
    def parse(*flags):
        parser = make_parser("")
        DemoConfig.add_flags(parser, preset=True)
        parsed = parser.parse_args(flags)
        return DemoConfig.from_arguments(parsed, preset_for(getattr(parsed, "corpus", GENERATED)))

    assert parse() == DemoConfig()
    larger = parse("--corpus", "python-docs")
    assert larger.corpus == "python-docs"
    assert larger.teacher_steps > DemoConfig().teacher_steps
    assert parse("--corpus", "python-docs", "--teacher_steps", "7").teacher_steps == 7
    with pytest.raises(InputError, match="seeds"):
        parse("--seeds", "0")


def curve(*values):
    steps = tuple(float(10 * n) for n in range(1, len(values) + 1))
    seconds = tuple(2 * step for step in steps)
    losses = tuple(5 - 2 * value for value in values)
    return Curve(
        steps,
        seconds,
        {
            "mlm_accuracy": values,
            "mlm_loss": losses,
            "perplexity": tuple(float(np.exp(loss)) for loss in losses),
        },
    )


def results():
    runs = {
        "distilled": [curve(0.2, 0.6), curve(0.4, 0.6)],
        "self_supervised": [curve(0.1, 0.4), curve(0.1, 0.5)],
    }
    teacher = {"mlm_accuracy": 0.7, "mlm_loss": 1.0, "perplexity": 2.7}
    return summarise(teacher, runs, 0.05, {"data": 1.0}), runs


def test_the_documented_fields_and_their_values():
    found, _ = results()
    assert found["mlm_accuracy"] == pytest.approx(
        {"teacher": 0.7, "distilled": 0.6, "self_supervised": 0.45}
    )
    assert found["mlm_loss"]["distilled"] == pytest.approx(3.8)
    times = found["time_to_equal_accuracy"]
    assert times["accuracy"] == pytest.approx(0.45)
    assert times["distilled_steps"] == pytest.approx(15.0)
    assert times["distilled_seconds"] == pytest.approx(30.0)
    assert times["self_supervised_steps"] == 20


def test_files_and_table(tmp_path):
    found, runs = results()
    save(tmp_path, found, runs)
    assert json.loads((tmp_path / "results.json").read_text())["unigram_accuracy"] == 0.05
    assert (tmp_path / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    text = table(found)
    assert "student by distillation" in text
    assert "seed 0: distillation is ahead by +0.400 nats and +20.0% accuracy" in text


def test_the_summary_ends_on_the_figure_and_the_file():
    found, _ = results()
    found["settings"] = {"folder": "runs/somewhere"}
    text = summary(found)
    assert table(found) in text
    assert text.splitlines()[-2:] == [
        "figure: runs/somewhere/learning_curves.png",
        "numbers: runs/somewhere/results.json (1 s in all)",
    ]


def test_only_an_earlier_demonstration_is_replaced(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no demonstration"):
        _clear(mine)
    assert (mine / "thesis.txt").exists()
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "demo.json").write_text('{"corpus": "python-docs"}')
    _clear(earlier)
    assert list(earlier.iterdir()) == []
    with pytest.raises(InputError, match="is a file"):
        run_demo(DemoConfig(folder=str(mine / "thesis.txt")))


def test_a_selection_is_spread_over_its_source():
    source = ToyExamples(50)
    chosen = evenly_chosen(source, 8)
    assert isinstance(chosen, Selection)
    assert len(chosen) == 8
    assert (chosen[0] == source[0]).all()
    assert (chosen[7] == source[49]).all()
    assert list(chosen.lengths) == [len(chosen[n]) for n in range(8)]
    assert evenly_chosen(source, 99) is source


def test_agora_is_shown_beside_plain_fine_tuning():
    way = {"report": 0.25, "dev": 0.5, "trainings": 7}
    found = {
        "task": "acceptability",
        "metric": "Matthews correlation",
        "sizes": {"train": 100, "report": 1000, "socrates": 3000},
        "socrates": {"matthews": 0.875},
        "seeds": [{"plain": way, "agora": {**way, "report": 0.625}}],
    }
    first, second = lines(found)
    assert "synthetic" in first
    assert "0.875" in first
    assert second.startswith("seed 0: plain fine-tuning 0.250, Agora 0.625 (7 and 7 trainings")
