"""The demonstration's plan, numbers and folders; the whole of it runs in the integration tests."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bort.architecture import get_architecture
from bort.errors import InputError
from bort.process.command import make_parser
from bort.report.learning_curves import Curve
from bort.training.time_budget import parse_duration
from experiments.demo.agora import lines
from experiments.demo.experiment import _prepare, run_demo, summary
from experiments.demo.plan import (
    GENERATED,
    LONGEST_SECONDS,
    PLANNED_SECONDS,
    DemoConfig,
    preset_for,
)
from experiments.demo.results import save, summarise, table
from experiments.demo.super_network import (
    check_sizes,
    sub_network_space,
    super_network_settings,
)
from experiments.demo.training import Selection, evenly_chosen, student_settings, teacher_settings
from tests.text.toy import ToyExamples

TEACHER_STEP_SECONDS = 0.062
SUB_NETWORK_STEP_SECONDS = 0.045
STUDENT_STEP_SECONDS = 0.03
ANSWER_SECONDS = 0.015
TIMING_SECONDS = 1.0
SCORE_SECONDS = 0.2
CHECK_SECONDS = 25.0
"""Seconds with the default sizes: of steps of the teacher and of a sub-network, of the teacher's
answers for a step, of the timing of an architecture, of a candidate's error, of a student's step,
and of the checks before a small model. Those of the steps of teacher and student are measured on
one idle core (AMD EPYC, AVX-512). `benchmarks/demo_stages.py` measures the stages."""


def planned_training_seconds(config):
    """Seconds that the steps of a configuration with the default sizes take."""
    kinds, cores = 3, 2
    students = kinds * config.seeds * STUDENT_STEP_SECONDS / cores
    answers = config.seeds * config.student_steps * ANSWER_SECONDS
    sub_networks = config.super_network_steps * config.sub_networks_per_step
    candidates = config.generations * config.generation_size
    return {
        "teacher": config.teacher_steps * TEACHER_STEP_SECONDS,
        "super_network": answers + sub_networks * SUB_NETWORK_STEP_SECONDS,
        "latency": config.latency_sample * TIMING_SECONDS,
        "search": candidates * SCORE_SECONDS,
        "students": config.student_steps * students,
        "small_model": parse_duration(config.small_model_hours) + CHECK_SECONDS,
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


def test_seeds_differ_in_weights_and_order_and_kinds_of_a_seed_in_neither():
    config = DemoConfig()
    one, other = student_settings(config, 0, True), student_settings(config, 1, True)
    assert one.seed != other.seed
    assert one.order_seed != other.order_seed
    alone = student_settings(config, 0, False)
    assert (alone.seed, alone.order_seed) == (one.seed, one.order_seed)
    assert alone.objective.teacher_ce_weight == 0


def test_the_super_network_has_the_batches_of_the_first_students():
    config = DemoConfig(super_network_steps=900)
    found = super_network_settings(config).pretraining
    assert found.order_seed == student_settings(config, 0, True).order_seed
    assert found.batch_size == student_settings(config, 0, True).batch_size
    assert found.num_steps == 900


@pytest.mark.parametrize("corpus", [GENERATED, "python-docs"])
def test_the_space_of_every_corpus_fits_its_teacher(corpus):
    config = DemoConfig.from_dict(dict(preset_for(corpus)), "preset")
    check_sizes(config)
    space = sub_network_space(config)
    teacher = get_architecture(config.teacher)
    assert space.maximum(teacher).multiply_adds(1, 96) == teacher.multiply_adds(1, 96)
    smallest = space.minimum(teacher)
    assert smallest.multiply_adds(1, 96) * config.speed_up < teacher.multiply_adds(1, 96)


def test_sizes_that_do_not_fit_the_teacher_are_refused_before_any_training():
    with pytest.raises(InputError, match="hiddens holds 256, allowed is at most 128"):
        check_sizes(DemoConfig(hiddens=(64, 256)))
    with pytest.raises(InputError, match="student is '4-4-128-256': student: depth is 4"):
        check_sizes(DemoConfig(student="4-4-128-256"))
    check_sizes(DemoConfig(student="2-2-96-96-64"))


def test_the_time_of_the_small_model_is_checked_first():
    with pytest.raises(InputError, match="small_model_hours is 'soon'"):
        DemoConfig(small_model_hours="soon")


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
        "distilled": [curve(0.3, 0.6), curve(0.5, 0.6)],
        "distilled_from_random": [curve(0.2, 0.5), curve(0.4, 0.5)],
        "self_supervised": [curve(0.1, 0.4), curve(0.1, 0.5)],
    }
    teacher = {"mlm_accuracy": 0.7, "mlm_loss": 1.0, "perplexity": 2.7}
    part = {"mlm_accuracy": 0.4, "mlm_loss": 2.0, "perplexity": 7.4}
    return summarise(teacher, runs, 0.05, {"data": 1.0}, part), runs


def test_the_documented_fields_and_their_values():
    found, _ = results()
    assert found["mlm_accuracy"] == pytest.approx(
        {
            "teacher": 0.7,
            "slice": 0.4,
            "distilled": 0.6,
            "distilled_from_random": 0.5,
            "self_supervised": 0.45,
        }
    )
    assert found["mlm_loss"]["distilled"] == pytest.approx(3.8)
    assert found["distance_to_teacher"] == pytest.approx(
        {"distilled": 0.1, "distilled_from_random": 0.2, "share_gone": 0.5}
    )
    times = found["time_to_equal_accuracy"]
    assert times["accuracy"] == pytest.approx(0.45)
    assert times["distilled_steps"] == pytest.approx(12.5)
    assert times["distilled_from_random_steps"] == pytest.approx(17.5)
    assert times["distilled_from_random_seconds"] == pytest.approx(35.0)
    assert times["self_supervised_steps"] == 20


def test_files_and_table(tmp_path):
    found, runs = results()
    save(tmp_path, found, runs)
    assert json.loads((tmp_path / "results.json").read_text())["unigram_accuracy"] == 0.05
    assert (tmp_path / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    text = table(found)
    assert "student from the super-network, by distillation" in text
    assert (
        "points of accuracy behind the teacher: 20.0 from random weights, 10.0 from the "
        "super-network: 50% of the distance is gone"
    ) in text
    assert (
        "seed 0: distillation from the super-network is ahead of distillation from random weights "
        "by +0.200 nats and +10.0%, which is ahead of self-supervised training by +0.200 nats and "
        "+10.0%"
    ) in text
    assert "by distillation from random weights after 18 steps, 35.0 s" in text


def test_students_as_good_as_their_teacher_leave_no_distance():
    _, runs = results()
    teacher = {"mlm_accuracy": 0.5, "mlm_loss": 1.0, "perplexity": 2.7}
    found = summarise(teacher, runs, 0.05, {}, teacher)
    assert found["distance_to_teacher"]["share_gone"] is None
    assert "as good as the teacher" in table(found)


def test_a_student_that_never_gets_there_is_told():
    _, runs = results()
    runs["distilled"] = [curve(0.1, 0.2)]
    teacher = {"mlm_accuracy": 0.7, "mlm_loss": 1.0, "perplexity": 2.7}
    assert "from the super-network never" in table(summarise(teacher, runs, 0.05, {}, teacher))


def test_the_summary_ends_on_the_figure_and_the_file():
    found, _ = results()
    found["settings"] = {"folder": "runs/somewhere"}
    found["search"] = {"verdict": ["the pick is the only candidate"]}
    text = summary(found)
    assert table(found) in text
    assert text.splitlines()[1] == "the pick is the only candidate"
    assert text.splitlines()[-3:] == [
        "report: runs/somewhere/report.html",
        "figure: runs/somewhere/learning_curves.png",
        "numbers: runs/somewhere/results.json (1 s in all)",
    ]


def test_only_a_demonstration_is_continued_or_replaced(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds no demonstration"):
        _prepare(mine)
    assert (mine / "thesis.txt").exists()
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "demo.json").write_text('{"corpus": "python-docs"}')
    _prepare(earlier)
    assert list(earlier.iterdir()) == [], "without stages it cannot be continued"
    (earlier / "demo.json").write_text('{"corpus": "python-docs"}')
    (earlier / "stages").mkdir()
    (earlier / "results.json").write_text("{}")
    _prepare(earlier)
    assert sorted(path.name for path in earlier.iterdir()) == ["demo.json", "stages"]
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
