"""The demonstration's command, with a few steps of everything."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from bort import Predictor
from bort.architecture import Architecture
from bort.super_network.parts import part_name
from tests.integration import commands
from tests.integration.customised import Moment

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COMMAND = [sys.executable, str(commands.ROOT / "scripts" / "run_demo.py")]
FEW = [
    *("--teacher_steps", "4", "--student_steps", "3", "--seeds", "2", "--evaluations", "3"),
    *("--teacher", "2-2-32-64", "--scored_examples", "16", "--search_held_out_batches", "1"),
    *("--depths", "1", "2", "--heads", "1", "2", "--hiddens", "8", "32"),
    *("--intermediates", "8", "64", "--super_network_steps", "4", "--sub_networks_per_step", "1"),
    *("--speed_up", "1.01", "--latency_sample", "5", "--generations", "1"),
    *("--generation_size", "2"),
    *("--agora_train_size", "16", "--agora_dev_size", "12", "--agora_report_size", "16"),
    *("--agora_inputs", "16", "--socrates_size", "32", "--socrates_epochs", "1"),
]
SMALL, WITHOUT_SMALL = ["--small_model_hours", "8s"], ["--small_model", "false"]
STAGES = {"data", "latency", "teacher", "super_network", "search", "students"}
KINDS = {"distilled", "distilled_from_random", "self_supervised"}


def run(*arguments, status=0):
    return commands.run([*COMMAND, *arguments], status)


def check_results(folder: Path, printed: str) -> None:
    results = json.loads((folder / "results.json").read_text())
    assert json.loads(printed)["mlm_loss"] == results["mlm_loss"]
    for score in ("mlm_accuracy", "mlm_loss"):
        assert set(results[score]) == {"teacher", "slice", *KINDS}
    later = {name for name in ("agora", "small_model") if name in results}
    assert set(results["seconds"]) == STAGES | later
    search = results["search"]
    assert 1 <= len(search["ranking"]) <= 6
    pick = search["best"] or search["nearest"]
    assert pick["measured_seconds"] > 0
    student = json.loads((folder / "student" / "model.json").read_text())
    assert student["architecture"] == pick["architecture"]
    assert len(json.loads((folder / "search" / "latencies.json").read_text())["entries"]) == 5
    for kind in KINDS:
        assert len(results["curves"][kind]) == 2
        for curve in results["curves"][kind]:
            assert curve["steps"] == [1, 2, 3]
            assert len(curve["mlm_loss"]) == len(curve["seconds"]) == 3
    for kind in KINDS:
        first, second = results["seeds"][kind]
        assert first != second, "seeds must differ"
    assert (folder / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{100 * results['mlm_accuracy']['teacher']:.1f} %" in page
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# A small model")
    assert (folder / "teacher" / "model.json").exists()
    assert (folder / "student" / "model.safetensors").exists()
    assert not list(folder.glob("answers*"))


def check_small_model(folder: Path, told: str) -> None:
    """The folder holds all that the one command leaves, with the paths of the demonstration."""
    found = json.loads((folder / "results.json").read_text())["small_model"]
    assert found["final"]["speed_up"] > 0
    assert {"teacher", "student", "truncated", "exported"} == set(found["models"])
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<a href="small_model/report.html">' in page
    assert f"{found['models']['exported']['report']:.3f}" in page
    assert "a small model in 8s" in told
    out = folder / "small_model"
    made = json.loads((out / "run.json").read_text())
    assert made["teacher"]["folder"] == str(folder / "agora" / "socrates")
    assert made["teacher"]["fine_tuned_here"] is False
    assert made["task"]["report"] == 16
    assert not made["findings"]["notes"] or "may have learned" not in made["findings"]["notes"][0]
    assert str(out / "model") in made["usage"]
    assert "stages/work" not in (out / "report.html").read_text(encoding="utf-8")
    (answer,) = Predictor.from_pretrained(out / "model", threads=1)(["Ben own a black backpack."])
    assert answer.label in ("0", "1")


def check_agora(found) -> None:
    assert found["synthetic"] is True
    assert found["sizes"]["report"] == 16
    assert len(found["seeds"]) == 2
    for way in ("plain", "agora"):
        # Fewer when a weak Socrates adds nothing: the same training is not repeated.
        assert all(3 < seed[way]["trainings"] <= 7 for seed in found["seeds"])
        scores = [seed[way]["report"] for seed in found["seeds"]]
        assert all(-1 <= score <= 1 for score in scores)
        assert found[way] == pytest.approx(sum(scores) / 2)
    for seed in found["seeds"]:
        assert seed["agora"]["points"] >= seed["plain"]["points"] == 16


def test_generated_english(tmp_path):
    folder = tmp_path / "demo"
    small = ["--documents", "400", "--vocabulary_size", "700", "--held_out_share", "0.1"]
    done = run("--folder", folder, *small, *FEW, *SMALL, "--json")
    check_results(folder, done.stdout)
    check_small_model(folder, done.stderr)
    check_agora(json.loads((folder / "results.json").read_text())["agora"])
    assert "at most 10 minutes" in done.stderr
    assert "seed 1: plain fine-tuning" in done.stderr
    assert "student from the super-network, by distillation" in done.stderr
    assert "the pick" in done.stderr
    # Latencies are measured, so another run may pick another architecture.
    student = json.loads((folder / "student" / "model.json").read_text())["architecture"]
    pick = part_name(Architecture.from_dict(student))
    other = tmp_path / "other"
    again = run("--folder", other, *small, *FEW, *WITHOUT_SMALL, "--student", pick)
    once, twice = json.loads(done.stdout), json.loads((other / "results.json").read_text())
    assert once["mlm_loss"] == twice["mlm_loss"], "the same seed gives the same numbers"
    assert once["agora"] == twice["agora"]
    check_ending(again.stdout, other)
    check_stages(folder, [*small, *FEW, *SMALL])


def check_stages(folder: Path, flags) -> None:
    """Nothing runs twice, the files are the same, and a setting repeats what depends on it."""
    shown = ("report.html", "report.md", "results.json")
    before = {name: (folder / name).read_bytes() for name in shown}
    done = run("--folder", folder, *flags)
    assert stages_that_ran(done) == []
    assert {name: (folder / name).read_bytes() for name in shown} == before
    assert "http://" not in before["report.html"].decode().replace("http://www.w3.org", "")
    keys = {path.name for path in (folder / "stages" / "done").iterdir()}
    assert len(keys) == 8
    for key in keys:
        assert key[:8] in before["report.html"].decode(), "the report names the stages"
    flags = [*flags, *WITHOUT_SMALL]
    done = run("--folder", folder, *flags, "--agora_inputs", "24")
    assert stages_that_ran(done) == ["agora"]
    assert not (folder / "small_model").exists()
    done = run("--folder", folder, *flags, "--generations", "2")
    assert stages_that_ran(done)[:1] == ["search"]
    assert not (folder / "answers").exists()


def stages_that_ran(done) -> List[str]:
    return re.findall(r"stage (\w+): runs", done.stderr)


def test_killed_at_any_moment_it_continues(tmp_path):
    """Killed seven times and in its last stage, it ends with the numbers of a whole run."""
    folder, small = tmp_path / "demo", ["--documents", "400", "--vocabulary_size", "700"]
    flags = [*small, "--held_out_share", "0.1", *FEW, "--student", "1-1-8-8"]
    generator = random.Random(0)
    for _ in range(7):
        with subprocess.Popen(
            [*COMMAND, "--folder", str(folder), *flags, *SMALL],  # a kill may hit the last stage
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
            start_new_session=True,
        ) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(generator.uniform(2, 12))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    command = [*COMMAND, "--folder", folder, *flags, *SMALL]
    commands.kill_when(command, Moment(folder / "stages/work/*/files/small_model/stages"))
    run("--folder", folder, *flags, *SMALL)
    run("--folder", tmp_path / "whole", *flags, *WITHOUT_SMALL)
    check_small_model(folder, "a small model in 8s")
    found, whole = (
        json.loads((one / "results.json").read_text()) for one in (folder, tmp_path / "whole")
    )
    for name in ("mlm_loss", "mlm_accuracy", "seeds", "agora", "unigram_accuracy"):
        assert found[name] == whole[name]
    assert list((folder / "stages" / "work").iterdir()) == []


def check_ending(printed: str, folder: Path) -> None:
    """The pick and the tables come on stdout, and the last lines name the figure and the file."""
    lines = printed.splitlines()
    first = next(n for n, line in enumerate(lines) if line.split()[:1] == ["loss"])
    assert any("the pick" in line for line in lines[:first])
    assert lines[first].split() == ["loss", "accuracy", "perplexity"]
    assert [line.split("  ")[0] for line in lines[first + 1 : first + 6]] == [
        "teacher",
        "slice of the super-network, as the search found it",
        "student from the super-network, by distillation",
        "student from random weights, by distillation",
        "student from random weights, self-supervised",
    ]
    assert sum(line.startswith("seed 1: ") for line in lines) == 2
    assert "{" not in printed, "JSON is printed with --json alone"
    assert lines[-3] == f"report: {folder / 'report.html'}"
    assert lines[-2] == f"figure: {folder / 'learning_curves.png'}"
    assert lines[-1].startswith(f"numbers: {folder / 'results.json'} (")


def test_a_text_file_in_its_place(tmp_path):
    sample = commands.ROOT / "test_data" / "generated_english_sample.txt"
    corpus = tmp_path / "corpus.txt"
    text = sample.read_text(encoding="utf-8")
    corpus.write_text(text + "\n" + text.replace("a", "e"), encoding="utf-8")
    sizes = ["--vocabulary_size", "420", "--held_out_share", "0.3", "--batch_size", "4"]
    done = run("--corpus", corpus, "--folder", tmp_path / "demo", *FEW, *sizes, "--json")
    check_results(tmp_path / "demo", done.stdout)
    assert "agora" not in json.loads(done.stdout), "the task is made from generated English"
    assert "real English takes longer" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--corpus", "nowhere.txt"], "nowhere.txt"),
        (["--seeds", "0"], "seeds"),
        (["--teacher", "3-5-128-256"], "does not divide"),
        (["--max_seq_length", "9999"], "max_seq_length"),
        (["--hiddens", "256"], "hiddens holds 256, allowed is at most 128"),
        (["--student", "4-4-128-256"], "student is '4-4-128-256'"),
        (["--speed_up", "1"], "speed_up"),
        (["--speed_up", "1000", "--latency_sample", "5"], "no architecture of the space costs"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, word):
    done = run("--folder", tmp_path / "demo", "--documents", "300", *arguments, status=2)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert word in errors[0]
    assert "Traceback" not in done.stderr
