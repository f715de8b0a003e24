"""The real commands on a user's own file: describe, fine-tune, score, predict, export, Agora."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from bort import Predictor
from bort.network.model_folder import read_description
from tests.integration.commands import ROOT, assert_refused, run

pytestmark = pytest.mark.integration

DATA = ROOT / "test_data" / "own_task" / "messages.csv"
COLUMNS = ["--text_columns", "message", "--label_column", "kind"]
QUICK = ["--sample", "--max_len", "48", "--lr", "1e-3", "--gpu", "false"]
LABELS = ("order", "repair")


def script(name: str, *flags, **options):
    return run([sys.executable, ROOT / "scripts" / f"{name}.py", *flags], **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with the data, the task file and a fine-tuned model."""
    where = tmp_path_factory.mktemp("own")
    shutil.copy(DATA, where / "messages.csv")
    done = script(
        "describe_task", where / "messages.csv", *COLUMNS, "--output", where / "task.json"
    )
    assert json.loads(done.stdout)["splits"] == {"train": 30, "dev": 4, "report": 5}
    assert "1 row without a label left out: line 23" in done.stderr
    named = ["--task_name", where / "task.json", "--output_dir", where / "run"]
    done = script("finetune", *named, *QUICK, "--epochs", "3")
    printed = json.loads(done.stdout)
    assert printed["task"] == "messages"
    assert printed["best"]["metrics"].keys() == {"accuracy", "macro_f1"}
    settings = json.loads((where / "run" / "run.json").read_text())["settings"]
    assert (settings["weight_decay"], settings["head"]) == (0.01, "release")  # of the preset `own`
    return where


def test_the_file_itself_gives_the_same_model(folder, tmp_path):
    flags = ["--data", folder / "messages.csv", *COLUMNS, "--output_dir", tmp_path / "run"]
    done = script("finetune", *flags, *QUICK, "--epochs", "3")
    assert "40 rows, 2 classes (order 49 %, repair 51 %)" in done.stderr
    first, second = (one / "run" / "model" / "model.json" for one in (folder, tmp_path))
    assert first.read_bytes() == second.read_bytes()
    first, second = (one.parent / "model.safetensors" for one in (first, second))
    assert first.read_bytes() == second.read_bytes()


def test_the_model_folder_alone_predicts_and_is_scored(folder, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(folder / "run" / "model", model)
    done = script("evaluate", "--model", model, "--split", "report", "--data_dir", folder)
    by_folder = json.loads(done.stdout)
    assert "published" not in done.stderr
    named = ["--task_name", folder / "task.json", "--split", "report"]
    assert json.loads(script("evaluate", "--model", model, *named).stdout) == by_folder
    dev = json.loads(script("evaluate", "--model", model, "--data_dir", folder).stdout)
    assert dev["metrics"] == read_description(model).metrics
    (answer,) = Predictor.from_pretrained(model)(["The wheel is bent."])
    assert answer.label in LABELS
    (tmp_path / "new.csv").write_text("message,kind\nThe wheel is bent.,repair\nno label,\n")
    done = script("evaluate", "--model", model, "--data_dir", tmp_path / "new.csv")
    assert json.loads(done.stdout)["metrics"]["accuracy"] == float(answer.label == "repair")
    done = script("evaluate", "--model", model, status=2)
    assert_refused(done, "messages: where its file messages.csv lies is unknown; name the folder")


def test_exported_folders_know_the_task(folder, tmp_path):
    texts = ["The wheel is bent.", "A red bell, please."]
    expected = Predictor.from_pretrained(folder / "run" / "model")(texts)
    for target in ("huggingface", "onnx"):
        out = tmp_path / target
        script(
            "export_model", "--model", folder / "run" / "model", "--to", target, "--output_dir", out
        )
        predictor = Predictor.from_pretrained(out)
        assert predictor.record is not None
        assert predictor.record.fields == ("message",)
        assert [one.label for one in predictor(texts)] == [one.label for one in expected]
        flags = ["--data_dir", folder, "--split", "train"]
        scored = script("evaluate", "--model", out, *flags)
        exact = script("evaluate", "--model", folder / "run" / "model", *flags)
        assert json.loads(scored.stdout) == json.loads(exact.stdout)


def test_agora_takes_a_file_with_columns_of_any_name(folder, tmp_path):
    flags = ["--data", folder / "messages.csv", *COLUMNS, "--output_dir", tmp_path / "agora"]
    done = script("run_agora", *flags, "--sample", "--socrates", tmp_path / "none", status=2)
    assert "40 rows, 2 classes (order 49 %, repair 51 %)" in done.stderr
    assert "splits: train 30, dev 4, report 5 (seed 0)" in done.stderr
    assert_refused(done, "none/model.json: cannot be read")
    flags += ["--report_file", folder / "report.csv"]
    done = script("run_agora", *flags, "--sample", "--socrates", tmp_path / "none", status=2)
    assert "splits: train 35, dev 4 (seed 0)" in done.stderr
    assert_refused(done, "none/model.json: cannot be read")


def test_agora_takes_the_report_split_of_the_task(folder, tmp_path):
    sets = "--seeds 0 --lrs 2e-3 --weight_decays 0 --warmup_ratios 0.1".split()
    loop = "--sources dev --points_per_source 2 --balance none --epochs 2 --max_len 48".split()
    named = ["--task", folder / "task.json", "--socrates", folder / "run" / "model"]
    quick = ["--sample", "--allow_weak_socrates", "--cpu_only"]
    done = script("run_agora", *named, *sets, *loop, *quick, "--output_dir", tmp_path / "agora")
    report = json.loads(done.stdout)["report"]
    assert (report["items"], report["kept_from_socrates"]) == (5, True)
    other = {**json.loads((folder / "task.json").read_text()), "metrics": ["macro_f1"]}
    (folder / "other.json").write_text(json.dumps(other))
    named[1] = folder / "other.json"
    flags = [*named, *sets, *loop, *quick, "--output_dir", tmp_path / "agora", "--resume"]
    assert_refused(script("run_agora", *flags, status=2), "metrics")


def test_agora_takes_numbers_of_any_scale(tmp_path):
    words = ["wheel", "bell", "chain", "brake", "lamp", "saddle"]
    texts = [f"a {one} and a {other}" for one in words for other in words if one != other]
    lines = "".join(f"{text},{20_000.5 + 160 * n}\n" for n, text in enumerate(texts))
    (tmp_path / "prices.csv").write_text("text,label\n" + lines)
    data = ["--data", tmp_path / "prices.csv", "--kind", "number", "--max_len", "32"]
    script("finetune", *data, "--output_dir", tmp_path / "run", *QUICK[:1], "--gpu", "false")
    sets = "--seeds 0 --lrs 2e-3 --weight_decays 0 --warmup_ratios 0.1".split()
    loop = "--sources dev --points_per_source 2 --balance none --epochs 2".split()
    quick = ["--sample", "--allow_weak_socrates", "--cpu_only"]
    model = ["--socrates", tmp_path / "run" / "model", "--output_dir", tmp_path / "agora"]
    script("run_agora", *data, *model, *sets, *loop, *quick)
    (first,) = json.loads((tmp_path / "agora" / "iterations.json").read_text())
    counts = first["label_counts"]
    assert set(counts) == set("012345"), "steps between the least and the largest price"
    assert sum(counts.values()) == first["training_size"]


def test_a_super_network_learns_the_task(folder, tmp_path):
    named = ["--task_name", folder / "task.json", "--output_dir", tmp_path / "super"]
    teacher = [
        "--teacher_model",
        folder / "run" / "model",
        "--start",
        "teacher",
        "--depths",
        "1",
        "2",
    ]
    script("train_super_network", *named, *teacher, "--max_len", "48", "--num_steps", "2")
    parts = ["--architectures", "largest", "--output_dir", tmp_path / "scores"]
    named = ["--super_network", tmp_path / "super", "--data_dir", folder]
    done = script("evaluate_architectures", *named, *parts)
    (score,) = json.loads(done.stdout)["scores"]
    assert {"accuracy", "macro_f1"} <= score["metrics"].keys()
    named = ["--task_name", folder / "messages.csv", *COLUMNS, "--output_dir", tmp_path / "file"]
    done = script("train_super_network", *named, *teacher, "--max_len", "48", "--num_steps", "2")
    assert "40 rows, 2 classes (order 49 %, repair 51 %)" in done.stderr
    first, second = (tmp_path / name / "super_network.json" for name in ("super", "file"))
    assert first.read_bytes() == second.read_bytes()
    flags = ["--data", folder, *COLUMNS, "--output_dir", tmp_path / "text"]
    done = script("train_super_network", *flags, status=2)
    assert_refused(done, "text_columns is ['message'], which is allowed with a file of data only")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\nx,1\n", "has no column of texts with a known name"),
        ("text,label\n" + "x,1\n" * 9, "all 9 labels are '1', allowed are two classes or more"),
        ("text,label\n" + "".join(f"x{n},{n}\n" for n in range(9)), "which are no classes"),
        ("text,label\nx,1\ny\0,2\n", "line 3: holds a NUL character"),
        ("text,label\nx,a\ny,b\n" * 3, "class 'a' has 1 different example, needed are 3"),
        ('text,label\n"x,1\n', "line 2: the row that begins here is not valid"),
    ],
)
def test_hostile_files_end_in_one_line_and_write_nothing(tmp_path, content, message):
    path, output = tmp_path / "x.csv", tmp_path / "x.json"
    path.write_text(content)
    assert_refused(script("describe_task", path, "--output", output, status=2), message)
    flags = ["--data", path, "--output_dir", tmp_path / "run"]
    assert_refused(script("finetune", *flags, *QUICK, status=2), message)
    assert not output.exists()
    assert not (tmp_path / "run").exists()


def test_flags_that_do_not_fit(folder, tmp_path):
    named = ["--task_name", folder / "task.json", "--output_dir", tmp_path / "run"]
    done = script("finetune", *named, *QUICK, "--report_share", "0.1", status=2)
    assert_refused(done, "report_share is 0.1, allowed is 0: messages has a report split")
    done = script("finetune", *named, *QUICK, "--kind", "number", status=2)
    assert_refused(done, "kind is 'number', which is allowed with a file of data only")
