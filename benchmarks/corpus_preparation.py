"""Measure time and memory of corpus preparation, as ratios within one run.

The text is the docstrings of the standard library (or `--input_file`), repeated with numbered
documents so that none is a duplicate. The benchmark measures

- bytes per CPU second, compared with GluonNLP's byte-level BPE tokenizer on the same text: the
  whole command with start, reading, packing and writing against the tokenizer alone;
- two workers against one, on more text: the seconds on the clock, which mean something on an idle
  machine only, and the processor seconds of both. The bound of the speed-up is that of two cores
  that are never idle, except one of them while the command starts: start, vocabulary and end are
  measured with a text of one document. The disk and what two cores lose by sharing caches and
  memory are left out;
- the peak resident memory of the command for growing input.

    python benchmarks/corpus_preparation.py --vocab <RoBERTa's vocabulary folder>
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from bort.errors import WorkError
from bort.process.command import make_parser, run_command
from bort.text.vocabularies import load_vocabulary
from data.corpus.documents import read_documents
from data.corpus.text_files import find_files
from data.sources.python_docs import write_python_docs

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1e6


# A process inherits ru_maxrss of its parent. VmHWM belongs to the memory map, so it starts at zero
# with the program.
WATCHED = """
import re, runpy, sys, time
script, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_path(script, run_name="__main__")
finally:
    status = open("/proc/self/status").read()
    print("peak", re.search(r"VmHWM:\\s+(\\d+)", status).group(1), file=sys.stderr)
    print("own seconds", time.process_time(), file=sys.stderr)
"""


class Cost(NamedTuple):
    """The cost of one run of the command; the peak is that of the main process."""

    wall_seconds: float
    cpu_seconds: float
    main_seconds: float
    peak_megabytes: float


def write_text(base: List[List[str]], path: Path, repetitions: int) -> int:
    """Write the documents `repetitions` times with numbered copies; return the bytes written."""
    with path.open("w", encoding="utf-8") as stream:
        for repetition in range(repetitions):
            for number, sentences in enumerate(base):
                stream.write("\n".join(sentences) + f"\nCopy {repetition} of {number}.\n\n")
    return path.stat().st_size


def run_preparation(text: Path, vocabulary: str, workers: int, folder: Path) -> Cost:
    """Run the command once and return its cost."""
    output = folder / "shards"
    script = str(ROOT / "scripts" / "create_pretraining_data.py")
    command = [sys.executable, "-c", WATCHED, script]
    command += ["--input_file", str(text), "--output_dir", str(output), "--vocab", vocabulary]
    command += ["--num_workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as spoken:
        process = subprocess.Popen(command, env=environment, stdout=spoken, stderr=spoken)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.WEXITSTATUS(status)
        if status:
            spoken.seek(0)
            raise WorkError(f"the command failed: {spoken.read().decode('utf-8', 'replace')}")
        spoken.seek(0)
        words = spoken.read()
        peak = re.search(rb"^peak (\d+)$", words, re.MULTILINE)
        own = re.search(rb"^own seconds (\S+)$", words, re.MULTILINE)
    wall = time.perf_counter() - start
    shutil.rmtree(output)
    megabytes = int(peak.group(1)) * 1024 / MEGABYTE if peak else float("nan")
    own_seconds = float(own.group(1)) if own else float("nan")
    return Cost(wall, used.ru_utime + used.ru_stime, own_seconds, megabytes)


def gluonnlp_seconds(text: Path, merges: Path, folder: Path) -> float:
    """Return the CPU seconds of a new GluonNLP tokenizer over the lines of a file."""
    from gluonnlp.data import GPT2BPETokenizer

    shutil.copy(merges, folder / GPT2BPETokenizer.bpe_ranks_file_hash[0])
    tokenizer = GPT2BPETokenizer(root=str(folder))
    lines = [line.strip() for line in text.read_text(encoding="utf-8").split("\n")]
    start = time.process_time()
    for line in lines:
        if line:
            tokenizer(line)
    return time.process_time() - start


def measure(flags: argparse.Namespace, folder: Path) -> Dict[str, Any]:
    """Return all measurements; ratios compare runs that are adjacent in time."""
    source = folder / "base.txt"
    if flags.input_file:
        base = list(read_documents(find_files(flags.input_file)))
    else:
        write_python_docs(source)
        base = list(read_documents([source]))
    saved = folder / "vocabulary"
    load_vocabulary(flags.vocab).save(saved)
    vocabulary, text = str(saved), folder / "text.txt"
    size = write_text(base, text, flags.repetitions)
    one, reference = [], []
    for _ in range(flags.rounds):
        reference.append(gluonnlp_seconds(text, saved / "merges.txt", folder))
        one.append(run_preparation(text, vocabulary, 1, folder))
    larger = write_text(base, text, flags.larger_repetitions)
    short = folder / "short.txt"
    write_text(base[:1], short, 1)
    ends, alone, both = [], [], []
    for _ in range(flags.rounds):
        ends.append(run_preparation(short, vocabulary, 1, folder))
        alone.append(run_preparation(text, vocabulary, 1, folder))
        both.append(run_preparation(text, vocabulary, 2, folder))
    memory = {}
    for factor in (1, 4, 16, 64):
        grown = write_text(base, text, factor)
        cost = run_preparation(text, vocabulary, 1, folder)
        memory[f"{factor}x"] = {
            "input_megabytes": round(grown / MEGABYTE, 2),
            "peak_megabytes": round(cost.peak_megabytes, 1),
        }
    faster = [gluon / ours.cpu_seconds for gluon, ours in zip(reference, one)]
    return {
        "input_megabytes": round(size / MEGABYTE, 2),
        "rounds": flags.rounds,
        "load_average": os.getloadavg()[0],
        "command_megabytes_per_cpu_second": [
            round(size / MEGABYTE / cost.cpu_seconds, 2) for cost in one
        ],
        "gluonnlp_megabytes_per_cpu_second": [
            round(size / MEGABYTE / seconds, 2) for seconds in reference
        ],
        "times_gluonnlp": {
            "median": round(statistics.median(faster), 2),
            "all": [round(ratio, 2) for ratio in faster],
        },
        "two_workers": {
            "input_megabytes": round(larger / MEGABYTE, 2),
            **two_workers(alone, both, ends),
        },
        "memory": memory,
        "memory_64x_over_1x": round(
            memory["64x"]["peak_megabytes"] / memory["1x"]["peak_megabytes"], 3
        ),
    }


def two_workers(alone: List[Cost], both: List[Cost], ends: List[Cost]) -> Dict[str, Any]:
    """Return the comparison of two workers with one.

    Args:
        alone: costs of runs with one worker.
        both: costs of runs with two workers on the same text, each next to one of `alone`.
        ends: costs of runs on one document, which are start and end of every run.
    """
    speed_up = [one.wall_seconds / two.wall_seconds for one, two in zip(alone, both)]
    more = [two.cpu_seconds / one.cpu_seconds for one, two in zip(alone, both)]
    share = statistics.median(two.main_seconds / two.cpu_seconds for two in both)
    idle = [1 - two.cpu_seconds / (2 * two.wall_seconds) for two in both]
    serial = statistics.median(cost.cpu_seconds for cost in ends)
    bounds = [
        one.cpu_seconds / (serial + (two.cpu_seconds - serial) / 2) for one, two in zip(alone, both)
    ]
    return {
        "speed_up": round(statistics.median(speed_up), 2),
        "all": [round(ratio, 2) for ratio in speed_up],
        "bound_of_speed_up": round(statistics.median(bounds), 2),
        "cpu_seconds_over_one": round(statistics.median(more), 2),
        "share_of_start_and_end": round(
            serial / statistics.median(one.cpu_seconds for one in alone), 3
        ),
        "share_of_main_process": round(share, 3),
        "idle_share_of_two_cores": round(statistics.median(idle), 3),
    }


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("--vocab", required=True, help="byte-level BPE vocabulary")
    parser.add_argument("--input_file", nargs="+", help="text files, instead of the docstrings")
    parser.add_argument(
        "--repetitions", type=int, default=16, help="copies of the text (default: 16)"
    )
    parser.add_argument(
        "--larger_repetitions",
        type=int,
        default=160,
        help="copies of the text for two workers against one (default: 160)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default: 3)")

    def work(flags: argparse.Namespace) -> None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(flags, Path(folder)), indent=2))

    run_command(parser, work)


if __name__ == "__main__":
    main()
