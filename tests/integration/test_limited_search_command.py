"""The real search command under a limit: its pick, a kill, ranks, what it reads, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bort.search.latency_predictor import LatencyPredictor
from bort.search.latency_terms import LATENCY_TERMS
from tests.integration.commands import ROOT, kill_when, run
from tests.integration.customised import Moment
from tests.integration.test_sub_network_commands import make_super_network
from tests.patience import HANG_SECONDS

pytestmark = pytest.mark.integration

SCRIPT = str(ROOT / "scripts" / "search_architecture.py")
ONE = [sys.executable, SCRIPT]
TWO = [sys.executable, "-m", "bort.launch", "--ranks", "2", SCRIPT]
# Small enough that every sub-network of the space is a candidate, on a busy machine too.
WIDE = "--latency_engine mxnet --latency_repeats 2 --latency_sample 5 --band_least 0".split()


@pytest.fixture(scope="module")
def masked(sample, tmp_path_factory) -> Path:
    return make_super_network(sample / "teacher", tmp_path_factory.mktemp("masked") / "super")


@pytest.fixture
def flags(masked, sample):
    return ["--super_network", masked, "--data", sample / "shards", "--scored_batches", "1"]


def finished(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("results-rank*.jsonl"))


def results_of(folder: Path, count: int) -> Moment:
    return Moment(folder / "results-rank*.jsonl", count, of_lines=True)


def refused(command, message, status=2):
    done = run(command, status=status)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert message in errors[0]
    assert "Traceback" not in done.stderr


def test_the_pick_under_a_latency_is_measured_and_can_be_extracted(flags, masked, tmp_path):
    folder = tmp_path / "search"
    search = [*ONE, *flags, *WIDE, "--latency_ms", "100000", "--strategy", "random"]
    done = run([*search, "--random_count", "6", "--output_dir", folder])
    printed = json.loads(done.stdout)
    best = printed["best"]
    assert 0 < best["measured_seconds"] < 100
    assert best["predicted_seconds"] > 0
    assert printed["reference"]["measured_seconds"] > 0
    assert (
        printed["speed_up"] == printed["reference"]["measured_seconds"] / best["measured_seconds"]
    )
    assert "estimate: the latencies of 5 architectures take" in done.stderr
    assert "the pick, at most 100000.00 ms" in done.stderr
    assert "rank correlation of the error" in done.stderr
    assert f"next: python scripts/extract_model.py --super_network {masked}" in done.stderr
    ranking = json.loads((folder / "ranking.json").read_text())["ranking"]
    assert len(ranking) == 6
    assert best["error"] == min(row["error"] for row in ranking)
    extract = [sys.executable, "scripts/extract_model.py", "--super_network", masked]
    words = ["--architecture", folder / "best.json", "--output_dir", tmp_path / "model"]
    extracted = json.loads(run([*extract, *words]).stdout)
    assert extracted["in_space"]
    assert extracted["architecture"] == best["architecture"]


def test_a_killed_search_of_two_ranks_resumes_to_the_table_of_one(flags, tmp_path):
    wanted = ["--parameters", "70000", "--band_least", "0.1", "--strategy", "exhaustive"]
    run([*ONE, *flags, *wanted, "--output_dir", tmp_path / "one"])
    count = finished(tmp_path / "one")
    folder = tmp_path / "two"
    kill_when([*TWO, *flags, *wanted, "--output_dir", folder], results_of(folder, 2))
    assert 2 <= finished(folder) < count
    run([*TWO, *flags, *wanted, "--output_dir", folder, "--resume"])
    assert finished(folder) == count, "nothing was scored twice"
    for name in ("ranking.csv", "best.json"):
        assert (folder / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, what: opened.append(str(what[0])) if event == "open" else None)
import atexit
atexit.register(lambda: open(sys.argv[1], "w").write("\\n".join(opened)))
log, script, *sys.argv[1:] = sys.argv[1:]
atexit._clear()
def keep():
    names = list(opened)
    with open(log, "w") as stream:
        stream.write("\\n".join(names))
import os
end = os._exit
def leave(status):
    keep()
    end(status)
os._exit = leave
atexit.register(keep)
import runpy
sys.path.insert(0, os.path.dirname(script))
sys.argv[0] = script
runpy.run_path(script, run_name="__main__")
"""


def test_a_search_reads_the_split_that_it_searches_on_and_no_other(flags, sample, tmp_path):
    log = tmp_path / "opened.txt"
    wanted = ["--parameters", "60000", "--output_dir", tmp_path / "search", "--strategy", "random"]
    command = [sys.executable, "-c", WATCHED, log, SCRIPT, *flags, *wanted]
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    shards = [name for name in log.read_text().splitlines() if str(sample / "shards") in name]
    read = {Path(name).name for name in shards}
    assert any("validation" in name for name in read)
    assert not any("train" in name or "test" in name for name in read), read


def test_the_few_steps_of_the_paper_also_search_under_a_limit(sample, tmp_path):
    data = ["--data", sample / "shards", "--teacher_model", sample / "teacher"]
    space = "--depths 2 --heads 2 --hiddens 16 32 --intermediates 16 32 --train_steps 2".split()
    quick = "--held_out_batches 1 --batch_size 4 --seeds 2 --strategy exhaustive".split()
    limit = ["--parameters", "36000", "--band_least", "0", "--output_dir", tmp_path]
    printed = json.loads(run([*ONE, *data, *space, *quick, *limit]).stdout)
    assert printed["best"]["parameters"] <= 36000
    assert printed["best"]["error_spread"] is not None
    assert printed["noise"] is not None
    assert printed["reference"]["parameters"] > 36000
    assert (tmp_path / "teacher_answers").is_dir()


def test_candidates_are_fine_tuned_on_tasks_and_every_score_is_kept(masked, tmp_path):
    tasks = "--tasks RTE STS-B --sample --epochs 1 --max_len 32 --strategy exhaustive".split()
    limit = ["--parameters", "34000", "--output_dir", tmp_path / "search"]
    search = [*ONE, "--super_network", masked, *tasks, *limit]
    printed = json.loads(run(search).stdout)
    assert printed["error"] == "1 - mean dev metric after fine-tuning on RTE, STS-B"
    rows = (tmp_path / "search" / "scores-rank0.jsonl").read_text().splitlines()
    scores = [json.loads(line)["score"] for line in rows]
    # The candidates and the largest one, which `prior` would take, on two tasks.
    assert len(scores) == 2 * finished(tmp_path / "search")
    ranking = json.loads((tmp_path / "search" / "ranking.json").read_text())["ranking"]
    errors = [row["error"] for row in ranking]
    assert any(abs(1 - sum(scores[:2]) / 2 - error) < 1e-12 for error in errors)
    assert not (tmp_path / "search" / "runs").exists()


def test_a_candidate_that_is_too_slow_when_measured_ends_with_status_1(flags, masked, tmp_path):
    predictor = _predictor(tmp_path, 1e-12)
    limit = ["--latency_ms", "0.000001", "--strategy", "random", "--random_count", "2"]
    small = ["--checks", "1", "--search_rounds", "1", "--output_dir", tmp_path / "search"]
    search = [*ONE, *flags, *WIDE[:2], "--latency_table", predictor, "--latency_repeats", "2"]
    refused([*search, *limit, *small], "no candidate keeps the limit when it is measured", 1)
    ranking = json.loads((tmp_path / "search" / "ranking.json").read_text())
    assert ranking["nearest"]["measured_seconds"] > 0
    assert not (tmp_path / "search" / "best.json").exists()


def _predictor(folder: Path, seconds: float, **changes) -> Path:
    from bort.engines.latency import EngineLatency
    from bort.process.machine import describe_machine

    gauge = EngineLatency(engine="mxnet", threads=1, length=32)
    conditions = {**describe_machine(), **gauge.conditions, **changes}
    terms = {name: seconds if name == "constant" else 0.0 for name in LATENCY_TERMS}
    LatencyPredictor(conditions, terms).save(folder / "predictor.json")
    return folder


def test_a_search_is_at_the_speed_of_its_table(flags, masked, tmp_path):
    table, folder = tmp_path / "table", tmp_path / "search"
    measure = [sys.executable, ROOT / "scripts" / "measure_latency.py", "--super_network", masked]
    small = "--engine mxnet --length 32 --count 5 --held_out 0 --repeats 2".split()
    run([*measure, *small, "--output_dir", table])
    timed = ["--latency_table", table, "--latency_length", "32", "--latency_repeats", "2"]
    limit = ["--latency_ms", "100000", "--band_least", "0", "--strategy", "random"]
    search = [*ONE, *flags, *WIDE[:2], *timed, *limit, "--random_count", "2"]
    printed = json.loads(run([*search, "--output_dir", folder]).stdout)
    assert printed["best"]["measured_seconds"] > 0
    reference = LatencyPredictor.read(table / "predictor.json").reference
    conditions = json.loads((folder / "ranking.json").read_text())["latency_conditions"]
    assert conditions["beside"] == str(reference.architecture)
    assert conditions["beside_seconds"] == reference.seconds
    assert not (folder / "latencies.json").exists(), "the search measures no sample of its own"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--strategy", "evolved"], "strategy is 'evolved', which needs a limit: one of"),
        (["--latency_ms", "5", "--parameters", "9"], "latency_ms is 5.0 and parameters is 9"),
        (["--parameters", "10"], "nearest is"),
        (["--parameters", "9", "--error", "kl"], "error is 'kl', allowed with super_network are"),
        (["--parameters", "9", "--tasks", "RTE", "--error", "super_network"], "tasks is ('RTE',)"),
        (["--speed_up", "2", "--latency", "multiply_adds"], "latency is 'multiply_adds' with"),
        (["--parameters", "9", "--heads", "7"], "space: heads holds 7, allowed is at most 2"),
        (["--parameters", "60000", "--architectures", "1-1-33-64"], "is not in the space"),
        (["--latency_ms", "5", "--latency_table", "missing"], "missing/predictor.json"),
    ],
)
def test_bad_input_is_one_line(flags, tmp_path, changes, message):
    if "--latency_table" in changes:
        (tmp_path / "missing").mkdir()
        changes = [*changes[:-1], tmp_path / "missing"]
    refused([*ONE, *flags, "--output_dir", tmp_path / "search", *changes], message)
    assert not (tmp_path / "search" / "ranking.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision": "int8"}, "precision is 'int8', allowed is 'fp32'"),
        ({"threads": 3}, "threads is 3, allowed is 1"),
        ({"batch": 8}, "batch is 8, allowed is 1"),
        ({"processor": "another"}, "processor is 'another'"),
    ],
)
def test_a_latency_table_of_other_conditions_is_refused(flags, tmp_path, changes, message):
    table = _predictor(tmp_path, 1.0, **changes)
    limit = ["--latency_ms", "5", "--output_dir", tmp_path / "search"]
    refused([*ONE, *flags, *limit, "--latency_table", table], message)
