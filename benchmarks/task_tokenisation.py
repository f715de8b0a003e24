"""Compare the tokenisation of task inputs with GluonNLP's Python tokenizer.

Both tokenise the same inputs in turn in one process; the measure is CPU seconds. GluonNLP's
tokenizer encodes all segments, and a dictionary gives the ids. This toolkit encodes the segments,
shortens and joins them, and computes the fingerprint of the set. `fresh` is the first run of new
tokenizers, `again` is the second run of the same ones. The inputs are those of `--data_dir`, or the
sample, repeated with a number after each segment.

    python benchmarks/task_tokenisation.py --vocab <RoBERTa's vocabulary folder> --data_dir <folder>
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List

from bort.process.command import make_parser, run_command
from bort.tasks.features import tokenise
from bort.tasks.formulations import make_inputs
from bort.tasks.items import Piece, Segment, TaskInput
from bort.tasks.options import TaskOptions
from bort.tasks.records import get_task
from bort.text.vocabularies import load_vocabulary
from data.tasks.files import read_items


def read_inputs(name: str, flags: argparse.Namespace) -> List[TaskInput]:
    """Return the training inputs of a task, at most `--inputs` of them."""
    record = get_task(name)
    items = read_items(record, "train", flags.data_dir, sample=flags.data_dir is None)
    inputs = make_inputs(record, items, TaskOptions(), training=True)
    copies = 1 if flags.data_dir else -(-flags.inputs // len(inputs))
    several = [numbered(one, copy) for copy in range(copies) for one in inputs]
    return several[: flags.inputs]


def numbered(one: TaskInput, copy: int) -> TaskInput:
    """Return an input with the number of its copy after each segment; the first copy has none."""
    if copy == 0:
        return one
    segments = (
        Segment((*segment.pieces, Piece(f" {copy}")), segment.rank) for segment in one.segments
    )
    return one._replace(segments=tuple(segments))


def segment_texts(inputs: List[TaskInput]) -> List[str]:
    """Return the text of each segment of each input."""
    return ["".join(p.text for p in segment.pieces) for one in inputs for segment in one.segments]


def measure_task(
    inputs: List[TaskInput], flags: argparse.Namespace, folder: Path
) -> Dict[str, Any]:
    """Return times and ratios for one task."""
    from gluonnlp.data import GPT2BPETokenizer

    texts = segment_texts(inputs)
    ids = json.loads((folder / "vocabulary" / "vocab.json").read_text(encoding="utf-8"))
    ours: Dict[str, List[float]] = {"fresh": [], "again": []}
    theirs: Dict[str, List[float]] = {"fresh": [], "again": []}
    for _ in range(flags.rounds):
        vocabulary = load_vocabulary(folder / "vocabulary")
        tokenizer = GPT2BPETokenizer(root=str(folder))
        for seconds in (theirs["fresh"], theirs["again"]):
            start = time.process_time()
            for text in texts:
                [ids[token] for token in tokenizer(text)]
            seconds.append(time.process_time() - start)
        for seconds in (ours["fresh"], ours["again"]):
            start = time.process_time()
            features = tokenise(inputs, vocabulary, flags.max_length)
            seconds.append(time.process_time() - start)
    ratios = {
        name: [other / mine for other, mine in zip(theirs[name], ours[name])] for name in ours
    }
    return {
        "inputs": len(inputs),
        "tokens": int(features.offsets[-1]),
        "truncated": features.truncated,
        "inputs_per_cpu_second": round(len(inputs) / statistics.median(ours["fresh"])),
        "times_gluonnlp": {
            name: {
                "median": round(statistics.median(values), 1),
                "all": [round(value, 1) for value in values],
            }
            for name, values in ratios.items()
        },
    }


def measure(flags: argparse.Namespace, folder: Path) -> Dict[str, Any]:
    """Return all measurements."""
    from gluonnlp.data import GPT2BPETokenizer

    saved = folder / "vocabulary"
    load_vocabulary(flags.vocab).save(saved)
    shutil.copy(saved / "merges.txt", folder / GPT2BPETokenizer.bpe_ranks_file_hash[0])
    return {
        "rounds": flags.rounds,
        "max_length": flags.max_length,
        "load_average": os.getloadavg()[0],
        "data": "given" if flags.data_dir else "sample",
        "tasks": {
            name: measure_task(read_inputs(name, flags), flags, folder) for name in flags.tasks
        },
    }


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__)
    parser.add_argument("--vocab", required=True, help="byte-level BPE vocabulary")
    parser.add_argument("--data_dir", help="folder of official files, instead of the sample")
    parser.add_argument(
        "--tasks", nargs="+", default=["CoLA", "STS-B"], help="tasks (default: CoLA, STS-B)"
    )
    parser.add_argument("--inputs", type=int, default=5000, help="maximum inputs (default: 5000)")
    parser.add_argument("--max_length", type=int, default=128, help="maximum tokens (default: 128)")
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default: 3)")

    def work(flags: argparse.Namespace) -> None:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(flags, Path(folder)), indent=2))

    run_command(parser, work)


if __name__ == "__main__":
    main()
