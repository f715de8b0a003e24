"""Measure fine-tuning and evaluation in samples per second, compared with a bound and PyTorch.

Steps and forward passes of this toolkit alternate in one run with those of the same shape in
PyTorch and Transformers (AdamW, fp32 or autocast to bf16), if these are installed. A step has three
times the multiply-adds of a forward pass. The bound is their time at the rate of a large
`FullyConnected` in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from benchmarks.output import run_benchmark
from bort.process.command import make_parser
from bort.process.threads import set_thread_count
from bort.training.arithmetic import EXACT_MATH, FAST_MATH

TRAIN, EVALUATE = "fine-tuning", "evaluation"


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--model", default="bort_4_8_768_1024", help="architecture")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8, help="measured steps, after 2 for warm-up")
    parser.add_argument(
        "--transformers_precision",
        choices=("fp32", "bf16"),
        default="fp32",
        help="precision of PyTorch; bf16 is its autocast",
    )
    parser.add_argument(
        "--math", choices=(EXACT_MATH, FAST_MATH), default=EXACT_MATH, help="as of a training"
    )
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Measure all kinds of steps in turn, and the rate of the machine before and after."""
    threads = set_thread_count()
    from benchmarks.multiply_add_bound import measure_rate
    from bort.architecture import get_architecture

    architecture = get_architecture(parsed.model)
    shape = (parsed.batch_size, parsed.length)
    ids = np.random.default_rng(0).integers(5, architecture.vocabulary_size, size=shape)
    ours = our_steps(make_classifier(architecture), ids, parsed.math)
    steps = {f"bort {kind}": call for kind, call in ours.items()}
    precision = parsed.transformers_precision
    theirs = _transformers(architecture, ids, threads, precision)
    steps.update({f"transformers {kind}": call for kind, call in (theirs or {}).items()})
    rates = [measure_rate()]
    seconds: Dict[str, List[float]] = {name: [] for name in steps}
    for number in range(parsed.steps + 2):
        for name, call in steps.items():
            began = time.perf_counter()
            call()
            if number >= 2:
                seconds[name].append(time.perf_counter() - began)
    rates.append(measure_rate())
    forward = architecture.multiply_adds(*shape) / max(rates)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    report: Dict[str, Any] = {
        "samples_per_second": {n: parsed.batch_size / value for n, value in medians.items()},
        "multiply_adds_per_second": rates,
        "over_bound": {
            TRAIN: medians[f"bort {TRAIN}"] / (3 * forward),
            EVALUATE: medians[f"bort {EVALUATE}"] / forward,
        },
        "transformers": "not installed" if theirs is None else f"PyTorch, {precision}",
    }
    if theirs is not None:
        report["times_transformers"] = {
            kind: medians[f"transformers {kind}"] / medians[f"bort {kind}"]
            for kind in (TRAIN, EVALUATE)
        }
    return report


def make_classifier(architecture: Any) -> Any:
    """Return a classifier with random weights and two outputs."""
    from bort.gluon.network.classifier import BortClassifier
    from bort.gluon.network.model import BortModel

    network = BortClassifier(BortModel(architecture, use_decoder=False), 2, head="linear")
    network.initialize()
    return network


def our_steps(
    network: Any, ids: np.ndarray, math: str = EXACT_MATH
) -> Dict[str, Callable[[], object]]:
    """Return functions that make a training step of a classifier and an evaluation.

    Args:
        network: an initialised `BortClassifier` with two outputs.
        ids: integers (B, L), token ids.
        math: `exact` or `fast`.
    """
    import mxnet as mx

    from bort.gluon.finetuning.trainer import ClassificationTrainer
    from bort.ranks import SingleProcess
    from bort.text.asking import PaddedInputs
    from bort.text.labelled import LabelledBatch
    from bort.training.finetuning_config import FinetuningConfig

    trainer = ClassificationTrainer(network, FinetuningConfig(math=math), SingleProcess(), mx.cpu())
    rows, length = ids.shape
    batch = LabelledBatch(
        ids.astype(np.int32),
        np.full(rows, length, dtype=np.int32),
        np.arange(rows) % 2,
        np.ones(rows, dtype=np.float32),
        np.arange(rows),
    )
    asked = PaddedInputs(batch.example_ids, batch.input_ids, batch.valid_lengths)
    number = 0

    def step() -> None:
        nonlocal number
        number += 1
        trainer.step(number, [batch], 1e-5)
        mx.nd.waitall()

    return {TRAIN: step, EVALUATE: lambda: trainer.predict(asked)}


def _transformers(
    architecture: Any, ids: np.ndarray, threads: int, precision: str
) -> Optional[Dict[str, Callable[[], object]]]:
    try:
        import torch
        import transformers
    except ImportError:
        return None
    from bort.architecture import PRE_NORM

    torch.set_num_threads(threads)
    family = "MegatronBert" if architecture.norm == PRE_NORM else "Bert"
    config = getattr(transformers, f"{family}Config")(
        vocab_size=architecture.vocabulary_size,
        hidden_size=architecture.hidden,
        num_hidden_layers=architecture.depth,
        num_attention_heads=architecture.heads,
        intermediate_size=architecture.intermediate,
        max_position_embeddings=architecture.maximum_length,
    )
    network = getattr(transformers, f"{family}ForSequenceClassification")(config)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    inputs = torch.from_numpy(ids)
    labels = torch.arange(len(ids)) % 2
    bf16 = precision == "bf16"

    def step() -> None:
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = network(input_ids=inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    def evaluate() -> None:
        network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network(input_ids=inputs)

    return {TRAIN: step, EVALUATE: evaluate}


if __name__ == "__main__":
    main()
