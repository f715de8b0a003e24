"""Measure the evaluation of a classifier on a set of inputs: every engine, and PyTorch.

Random weights of an architecture answer inputs of mixed length through `shared_outputs`, as a dev
set is scored: sorted by length, in batches of `--batch_size`. PyTorch (Transformers, the same
weights) answers the same batches, and also batches in the order of the inputs, padded to their
longest one, as a usual evaluation loop does. All ways take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np

from benchmarks.inference_predictor import Times, in_turn, ratio
from benchmarks.output import run_benchmark
from bort.architecture import get_architecture
from bort.engines.answers import engine_answers
from bort.engines.choosing import installed_engines, open_network
from bort.engines.openvino_session import computes_bf16
from bort.engines.protocol import MXNET, ONNXRUNTIME, OPENVINO
from bort.formats.huggingface.writer import write_huggingface
from bort.formats.precisions import BF16, FP32, INT8
from bort.network.array_network import ArrayNetwork
from bort.network.random_network import random_network
from bort.process.command import make_parser
from bort.process.threads import set_thread_count
from bort.ranks import ALONE
from bort.tasks.features import TokenRows
from bort.text.asking import Compute, PaddedInputs, shared_outputs
from bort.text.padding import pad_rows

PYTORCH = "pytorch fp32"
_PRECISIONS = {MXNET: (FP32,), OPENVINO: (FP32, BF16), ONNXRUNTIME: (FP32, INT8)}


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--model", default="bort_4_8_768_1024", help="architecture")
    parser.add_argument("--inputs", type=int, default=96, help="number of inputs")
    parser.add_argument("--longest", type=int, default=128, help="maximum tokens of an input")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5, help="measured turns, after 2 others")
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Return the seconds of every way, their ratios to PyTorch, and differences of the outputs."""
    threads = set_thread_count()
    shape = get_architecture(parsed.model)
    network = random_network(shape, 0, num_classes=2)
    inputs = _Inputs(parsed.inputs, parsed.longest, shape.vocabulary_size)
    pad_id = 1  # as in RoBERTa
    calls: Dict[str, Callable[[], np.ndarray]] = {}
    opening: Dict[str, float] = {}
    for engine in installed_engines():
        for precision in _PRECISIONS[engine]:
            if precision == BF16 and not computes_bf16():
                continue
            began = time.process_time()
            opened = open_network(network, engine, precision, threads)
            opening[f"{engine} {precision}"] = round(time.process_time() - began, 2)
            calls[f"{engine} {precision}"] = lambda opened=opened: _shared(
                engine_answers(opened), inputs, parsed.batch_size, pad_id
            )
    calls.update(_pytorch(parsed, network, inputs, pad_id, threads))
    seconds = in_turn(calls, parsed.repeats)
    first = next(iter(calls)) if PYTORCH not in calls else PYTORCH
    expected = calls[first]()
    return {
        "architecture": str(shape),
        "threads": threads,
        "tokens": int(inputs.lengths.sum()),
        "seconds (clock, processor)": {name: _medians(one) for name, one in seconds.items()},
        f"times as fast as {first}": {
            name: ratio(seconds[first], one) for name, one in seconds.items()
        },
        "processor seconds to open": opening,
        "largest difference of outputs": {
            name: float(np.abs(call() - expected).max()) for name, call in calls.items()
        },
        "largest output": float(np.abs(expected).max()),
    }


def _medians(times: Times) -> Any:
    return [round(statistics.median(kind), 3) for kind in times]


class _Inputs(TokenRows):
    """Random tokens, with lengths spread evenly on a logarithmic scale, from 8 tokens."""

    type_separator = None

    def __init__(self, count: int, longest: int, vocabulary_size: int) -> None:
        generator = np.random.default_rng(0)
        lengths = np.exp(generator.uniform(np.log(8), np.log(longest + 1), count)).astype(int)
        self.offsets = np.concatenate(([0], np.cumsum(lengths)))
        self.tokens = generator.integers(5, vocabulary_size, self.offsets[-1]).astype(np.int32)


def _shared(compute: Compute, inputs: TokenRows, rows: int, pad_id: int) -> np.ndarray:
    return shared_outputs(compute, inputs, rows=rows, pad_id=pad_id, width=2, ranks=ALONE)


def _pytorch(
    parsed: argparse.Namespace, network: ArrayNetwork, inputs: TokenRows, pad_id: int, threads: int
) -> Dict[str, Callable[[], np.ndarray]]:
    """Return the evaluations by Transformers, or nothing if it is not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        return {}
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        write_huggingface(Path(folder), network, None)
        opened = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def answer(batch: PaddedInputs) -> np.ndarray:
        ids, lengths = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.lengths)
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        with torch.inference_mode():
            return opened(input_ids=ids, attention_mask=mask.long()).logits.float().numpy()

    def in_bf16(batch: PaddedInputs) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            return answer(batch)

    def in_order() -> np.ndarray:
        found = []
        for first in range(0, len(inputs), parsed.batch_size):
            numbers = np.arange(first, min(len(inputs), first + parsed.batch_size))
            rows = [inputs[number] for number in numbers.tolist()]
            ids, lengths = pad_rows(rows, max(map(len, rows)), pad_id)
            found.append(answer(PaddedInputs(numbers, ids, lengths)))
        return np.concatenate(found)

    def sorted_by_length(compute: Compute) -> Callable[[], np.ndarray]:
        return lambda: _shared(compute, inputs, parsed.batch_size, pad_id)

    calls = {PYTORCH: sorted_by_length(answer), f"{PYTORCH}, not sorted": in_order}
    if computes_bf16():
        calls["pytorch bf16"] = sorted_by_length(in_bf16)
    return calls


if __name__ == "__main__":
    main()
