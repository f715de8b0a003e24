"""SQuAD from training to answers, by the real commands."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
from safetensors.numpy import load_file

from bort.gluon.training.checkpoint import checkpoint_steps
from bort.tasks.squad.files import NBEST_JSON, NULL_ODDS_JSON, PREDICTIONS_JSON
from data.tasks.files import SAMPLE_FOLDER
from tests.integration.commands import ROOT, assert_refused, kill_when, run
from tests.integration.customised import Moment

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "finetune.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
QUICK = ["--sample", "--max_len", "64", "--doc_stride", "16", "--lr", "1e-3", "--gpu", "false"]


def script(name: str, *flags: Any, status: int = 0) -> Any:
    return run([sys.executable, ROOT / "scripts" / f"{name}.py", *flags], status)


def weights_of(folder: Path) -> Dict[str, np.ndarray]:
    step = checkpoint_steps(folder)[-1]
    return load_file(str(folder / f"step-{step:08d}" / "tensors.safetensors"))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows the training questions of SQuAD 2.0, which are its dev set, too."""
    place = tmp_path_factory.mktemp("learnt")
    folder = place / "data" / "SQuAD"
    folder.mkdir(parents=True)
    for split in ("train", "dev"):
        shutil.copy(SAMPLE_FOLDER / "SQuAD" / "train-v2.0.json", folder / f"{split}-v2.0.json")
    shutil.copy(SAMPLE_FOLDER / "SQuAD" / "test-v2.0.json", folder)
    common = ["--task_name", "SQuAD2.0", "--gpu", "false", "--dropout", "0", "--max_len", "128"]
    run([*ONE, *common, "--sample", "--epochs", "1", "--output_dir", place / "start"])
    run(
        [
            *ONE, *common, "--data_dir", place / "data", "--preset", "squad", "--batch_size", "8",
            "--pretrained_parameters", place / "start" / "model", "--doc_stride", "64",
            "--lr", "2e-3", "--epochs", "40", "--output_dir", place / "run",
        ]
    )  # fmt: skip
    return place


def test_a_tiny_model_learns_the_training_questions_by_heart(learnt: Path) -> None:
    evaluated = json.loads(
        script(
            "evaluate", "--model", learnt / "run" / "model", "--data_dir", learnt / "data"
        ).stdout
    )
    assert evaluated["metrics"] == {"exact_match": 1.0, "f1": 1.0}
    official = evaluated["official"]
    assert (official["exact"], official["HasAns_exact"], official["NoAns_exact"]) == (100,) * 3
    assert official["best_exact"] == 100


def test_the_answers_of_dev_and_test_are_files_in_the_official_forms(learnt: Path) -> None:
    for split, count in (("dev", 30), ("test", 5)):
        folder = learnt / "run" / "predictions" / split
        texts, nbest, odds = (
            json.loads((folder / name).read_text())
            for name in (PREDICTIONS_JSON, NBEST_JSON, NULL_ODDS_JSON)
        )
        assert len(texts) == count
        assert list(texts) == list(nbest) == list(odds)
        for index, text in texts.items():
            assert bool(text) == (odds[index] <= 0)
            assert {"text", "probability", "start_logit", "end_logit"} == nbest[index][0].keys()
    scored = script(
        "evaluate", "--task_name", "SQuAD2.0", "--data_dir", learnt / "data", "--predictions",
        learnt / "run" / "predictions" / "dev" / PREDICTIONS_JSON, "--null_odds",
        learnt / "run" / "predictions" / "dev" / NULL_ODDS_JSON,
    )  # fmt: skip
    assert json.loads(scored.stdout)["official"]["best_f1"] == 100


@pytest.mark.parametrize("engine", ["mxnet", "onnxruntime", "openvino"])
def test_questions_are_answered_by_every_engine(engine: str, learnt: Path, tmp_path: Path) -> None:
    if engine != "mxnet":
        pytest.importorskip(engine)
    article = json.loads((SAMPLE_FOLDER / "SQuAD" / "train-v2.0.json").read_text("utf-8"))["data"]
    passage = article[0]["paragraphs"][0]
    long = passage["context"] + " " + article[1]["paragraphs"][0]["context"] * 3
    asked = passage["qas"][0]
    lines = [
        json.dumps({"question": asked["question"], "context": passage["context"]}),
        json.dumps([passage["qas"][4]["question"], passage["context"]]),
        json.dumps({"question": asked["question"], "context": long}),
    ]
    (tmp_path / "asked.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    done = script(
        "predict", "--model", learnt / "run" / "model", "--input", tmp_path / "asked.jsonl",
        "--input_format", "jsonl", "--engine", engine, "--n_best", "3",
    )  # fmt: skip
    answered, none, of_long = map(json.loads, done.stdout.splitlines())
    gold = asked["answers"][0]
    assert (answered["answer"], answered["start"]) == (gold["text"], gold["answer_start"])
    assert answered["end"] - answered["start"] == len(answered["answer"])
    assert [one["score"] for one in answered["candidates"]] == sorted(
        (one["score"] for one in answered["candidates"]), reverse=True
    )
    assert (none["answer"], none["start"], none["end"]) == ("", 0, 0)
    assert none["null_odds"] > 0 > answered["null_odds"]
    assert long[of_long["start"] : of_long["end"]] == of_long["answer"]


def test_two_ranks_make_the_steps_of_one_rank_of_twice_the_batch(tmp_path: Path) -> None:
    common = ["--task_name", "SQuAD1.1", *QUICK, "--epochs", "1", "--dropout", "0"]
    run([*TWO, *common, "--batch_size", "4", "--output_dir", tmp_path / "two"])
    run([*ONE, *common, "--batch_size", "8", "--output_dir", tmp_path / "one"])
    one, two = weights_of(tmp_path / "one"), weights_of(tmp_path / "two")
    for name in one:
        if name.startswith("weights/"):
            np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)
    answers = [
        json.loads((tmp_path / name / "predictions" / "dev" / PREDICTIONS_JSON).read_text())
        for name in ("one", "two")
    ]
    assert answers[0].keys() == answers[1].keys()
    assert not (tmp_path / "one" / "predictions" / "dev" / NULL_ODDS_JSON).exists()


def test_a_killed_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    common = ["--task_name", "SQuAD2.0", *QUICK, "--batch_size", "8", "--epochs", "6"]
    run([*ONE, *common, "--output_dir", tmp_path / "whole"])
    folder = tmp_path / "killed"
    kill_when([*ONE, *common, "--output_dir", folder], Moment(folder / "step-*"))
    assert checkpoint_steps(folder)[-1] < checkpoint_steps(tmp_path / "whole")[-1]
    other = [*ONE, *common, "--resume", "--output_dir", folder, "--doc_stride", "24"]
    assert_refused(run(other, 2), "differs from that of the run to resume")
    run([*ONE, *common, "--resume", "--output_dir", folder])
    whole, resumed = weights_of(tmp_path / "whole"), weights_of(folder)
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name], err_msg=name)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--teacher", "MODEL"], "soft_weight is 0.5 with teacher"),
        (["--teacher", "MODEL", "--unlabelled", "x.jsonl"], "is not allowed for SQuAD2.0"),
        (["--report_share", "0.2"], "task is 'SQuAD2.0', whose answers are spans"),
        (["--max_len", "8"], "leave no room for the passage"),
        (["--n_best_size", "0"], "n_best_size is 0, allowed is at least 1"),
    ],
)
def test_bad_settings_are_one_line(flags: Any, message: str, learnt: Path, tmp_path: Path) -> None:
    model = str(learnt / "run" / "model")
    flags = [model if flag == "MODEL" else flag for flag in flags]
    command = [*ONE, "--task_name", "SQuAD2.0", *QUICK, "--output_dir", tmp_path / "run", *flags]
    assert_refused(run(command, 2), message)


def test_other_commands_say_what_they_take(learnt: Path, tmp_path: Path) -> None:
    agora = script(
        "run_agora", "--task", "SQuAD2.0", "--sample", "--output_dir", tmp_path, status=2
    )
    assert_refused(agora, "task is 'SQuAD2.0', whose answers are spans of a passage")
    (tmp_path / "asked.jsonl").write_text('{"question": "Who?"}\n', "utf-8")
    asked = script(
        "predict", "--model", learnt / "run" / "model", "--input", tmp_path / "asked.jsonl",
        "--input_format", "jsonl", status=2,
    )  # fmt: skip
    assert_refused(asked, "line 1: the field 'context' is missing, expected: question, context")
    (tmp_path / "answers.json").write_text('{"dev-0-0": "x"}\n', "utf-8")
    scored = script(
        "evaluate", "--task_name", "SQuAD2.0", "--sample", "--predictions",
        tmp_path / "answers.json", status=2,
    )  # fmt: skip
    assert_refused(scored, "question 'dev-0-1' has no prediction (10 of 11 have none)")
    sst = script("evaluate", "--model", learnt / "run" / "model", "--task_name", "SST-2", status=2)
    assert_refused(sst, "was fine-tuned on SQuAD2.0, SST-2 needs a model of SST-2")


def test_sub_networks_of_a_super_network_are_scored_with_the_official_metrics(
    learnt: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "super"
    script(
        "train_super_network", "--task_name", "SQuAD2.0", "--sample", "--start",
        learnt / "start" / "model", "--teacher_model", "none", "--num_steps", "2",
        "--batch_size", "8", "--max_len", "96", "--depths", "1", "2", "--hiddens", "32", "64",
        "--intermediates", "64", "128", "--heads", "2", "--output_dir", folder,
    )  # fmt: skip
    scored = script("evaluate", "--model", folder / "model", "--sample")
    done = script(
        "evaluate_architectures", "--super_network", folder, "--sample", "--architectures",
        "2-2-64-128", "1-2-32-64", "--output_dir", tmp_path / "scores",
    )  # fmt: skip
    assert "exact_match" in done.stdout
    assert json.dumps(json.loads(scored.stdout)["metrics"]["f1"]) in done.stdout
