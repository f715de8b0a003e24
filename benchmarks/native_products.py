"""Measure how much faster bf16 products could make a student's training steps.

Nothing has to be built. The products of a step are timed alone, forward and backward: in fp32 as
MXNet runs them, in bf16 by MXNet's own oneDNN with all conversions, and in bf16 by PyTorch, which
contains a current oneDNN, without any conversion. Then whole steps take turns: in fp32, and with
the encoder's dense layers in bf16 by MXNet. The bound of the speed-up is that of a step whose
products take the time of the fastest bf16.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from benchmarks.output import run_benchmark
from bort.architecture import Architecture, get_architecture
from bort.process.command import make_parser
from bort.process.threads import set_thread_count
from bort.training.arithmetic import EXACT_MATH, FAST_MATH

MXNET_FP32, MXNET_BF16, PYTORCH_BF16 = "MXNet fp32", "MXNet bf16", "PyTorch bf16"
PRETRAINING, PASSES, FINETUNING = "pre-training", "forward and backward", "fine-tuning"
_SMALL_TEACHER = "1-1-16-16"
"""A teacher whose answers cost next to nothing; its stage is not counted in a step."""
_WARM_UP = 2
_MATH = {MXNET_FP32: EXACT_MATH, MXNET_BF16: FAST_MATH}

Call = Callable[[], object]


class Product(NamedTuple):
    """A product (B, M, K) x (K, N) -> (B, M, N) of a step, or one by matrices (B, K, N).

    Attributes:
        name: name of the layer or of the attention product.
        count: number of such products in a forward pass.
        matrices: number B of products that are made at once; 1 for a dense layer.
        rows: M.
        inputs: K.
        outputs: N.
    """

    name: str
    count: int
    matrices: int
    rows: int
    inputs: int
    outputs: int


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--student", default="bort_4_8_768_1024", help="architecture")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--predictions", type=int, default=20)
    parser.add_argument("--steps", type=int, default=8, help="measured steps, after 2 for warm-up")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each product")
    parser.add_argument(
        "--without_mxnet_bf16",
        action="store_true",
        help="leave out MXNet's own bf16, which needs AVX512 and was seen to crash with AMX",
    )
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Measure the products alone, then steps of pre-training and fine-tuning."""
    threads = set_thread_count()
    sides = (MXNET_FP32,) if parsed.without_mxnet_bf16 else (MXNET_FP32, MXNET_BF16)
    architecture = get_architecture(parsed.student)
    encoder, decoder = products_of(
        architecture, parsed.batch_size, parsed.length, parsed.predictions
    )
    alone = {
        product: _seconds(_calls(product, sides, threads), parsed.repeats)
        for product in (*encoder, *decoder)
    }
    steps = _pretraining_steps(parsed, sides)
    steps[FINETUNING] = _finetuning_steps(parsed, sides, architecture)
    return {
        "product_seconds": {product.name: seconds for product, seconds in alone.items()},
        "steps": {
            kind: speed_ups(
                seconds,
                {
                    product: alone[product]
                    for product in (encoder if kind == FINETUNING else (*encoder, *decoder))
                },
            )
            for kind, seconds in steps.items()
        },
    }


def products_of(
    architecture: Architecture, batch_size: int, length: int, predictions: int
) -> Tuple[List[Product], List[Product]]:
    """Return the products of a forward pass: those of the encoder and those of the decoder.

    Args:
        architecture: the network.
        batch_size: number of sequences.
        length: tokens of a sequence.
        predictions: masked positions of a sequence.
    """
    depth, hidden, width = architecture.depth, architecture.hidden, architecture.qkv
    rows, heads = batch_size * length, batch_size * architecture.heads
    inner, head = architecture.intermediate, architecture.head_width
    encoder = [
        Product("query, key, value", 3 * depth, 1, rows, hidden, width),
        Product("proj", depth, 1, rows, width, hidden),
        Product("ffn_1", depth, 1, rows, hidden, inner),
        Product("ffn_2", depth, 1, rows, inner, hidden),
        Product("attention scores", depth, heads, length, head, length),
        Product("attention context", depth, heads, length, length, head),
    ]
    chosen = batch_size * predictions
    decoder = [
        Product("decoder, first layer", 1, 1, chosen, hidden, hidden),
        Product("decoder, vocabulary", 1, 1, chosen, hidden, architecture.vocabulary_size),
    ]
    return encoder, decoder


def speed_ups(
    step_seconds: Mapping[str, float], product_seconds: Mapping[Product, Mapping[str, float]]
) -> Dict[str, float]:
    """Return the share of products in a step, the bound of the speed-up and what MXNet reaches.

    Args:
        step_seconds: seconds of a step in fp32, and of one with dense layers in bf16 if measured.
        product_seconds: seconds of one product of each kind, forward and backward, by side; one
            that is not faster in bf16 stays in fp32.
    """
    step = step_seconds[MXNET_FP32]
    plain = sum(p.count * seconds[MXNET_FP32] for p, seconds in product_seconds.items())
    fastest = sum(p.count * min(seconds.values()) for p, seconds in product_seconds.items())
    found = {
        "step_seconds": step,
        "share_of_products": plain / step,
        "product_speed_up": plain / fastest,
        "bound": step / (step - plain + fastest),
        "bound_without_products": step / (step - plain),
    }
    if MXNET_BF16 in step_seconds:
        found["speed_up_by_mxnet_bf16"] = step / step_seconds[MXNET_BF16]
    return found


def _seconds(calls: Mapping[str, Call], repeats: int) -> Dict[str, float]:
    """Return the median seconds of functions that take turns."""
    taken: Dict[str, List[float]] = {name: [] for name in calls}
    for number in range(repeats + _WARM_UP):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if number >= _WARM_UP:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _calls(product: Product, sides: Sequence[str], threads: int) -> Dict[str, Call]:
    # MXNet has no product of many matrices in bf16.
    calls = {
        side: _mxnet(product, bf16=side == MXNET_BF16)
        for side in sides
        if product.matrices == 1 or side == MXNET_FP32
    }
    try:
        import torch
    except ImportError:
        return calls
    torch.set_num_threads(threads)
    return {**calls, PYTORCH_BF16: _pytorch(product)}


def _mxnet(product: Product, *, bf16: bool) -> Call:
    """Return a function that makes a product and both its gradients by MXNet."""
    import mxnet as mx

    from bort.gluon.network.dense import EncoderDense, use_math

    _, _, matrices, rows, inputs, outputs = product
    normal = mx.nd.random.normal
    left, right = normal(shape=(matrices, rows, inputs)), normal(shape=(matrices, outputs, inputs))
    gradient = normal(shape=(matrices, rows, outputs))
    for array in (left, right):
        array.attach_grad()
    layer = EncoderDense(outputs, inputs, prefix="layer_")
    layer.initialize()
    use_math(layer, FAST_MATH if bf16 else EXACT_MATH)
    layer.hybridize(static_alloc=True, static_shape=True)

    def call() -> None:
        with mx.autograd.record():
            if matrices == 1:
                product_of_both = layer(left)
            else:
                product_of_both = mx.nd.batch_dot(left, right, transpose_b=True)
        product_of_both.backward(gradient)
        mx.nd.waitall()

    return call


def _pytorch(product: Product) -> Call:
    """Return a function that makes a product and both its gradients in bf16 by PyTorch."""
    import torch

    _, _, matrices, rows, inputs, outputs = product
    shapes = ((rows, inputs), (outputs, inputs), (rows, outputs))
    if matrices > 1:
        shapes = tuple((matrices, *shape) for shape in shapes)  # type: ignore[assignment]
    left, right, gradient = (torch.randn(shape).to(torch.bfloat16) for shape in shapes)

    def call() -> None:
        with torch.inference_mode():
            torch.matmul(left, right.transpose(-1, -2))
            torch.matmul(gradient, right)
            torch.matmul(gradient.transpose(-1, -2), left)

    return call


def _pretraining_steps(
    parsed: argparse.Namespace, sides: Sequence[str]
) -> Dict[str, Dict[str, float]]:
    """Return the seconds of steps without the teacher, and of the student's passes alone."""
    import mxnet as mx

    from benchmarks.distillation_step import STUDENT_STAGES
    from benchmarks.synthetic import make_data, make_student, make_teacher, settings
    from bort.gluon.pretraining.pretrain import plan_batches, planned_batches
    from bort.gluon.pretraining.trainer import DistillationTrainer
    from bort.gluon.training.flat_trainer import StageClock
    from bort.ranks import SingleProcess

    steps = parsed.steps + _WARM_UP
    config = settings(parsed.batch_size, parsed.length, parsed.predictions, steps)
    students = {side: make_student(parsed.student) for side in sides}
    architecture = students[MXNET_FP32].architecture
    teacher = make_teacher(_SMALL_TEACHER, architecture)
    data = make_data(config, parsed.length, architecture.vocabulary_size, parsed.batch_size * steps)
    clocks = {side: StageClock() for side in students}
    trainers = {
        side: DistillationTrainer(
            student,
            dataclasses.replace(config, math=_MATH[side]),
            SingleProcess(),
            mx.cpu(),
            teacher,
            clocks[side],
        )
        for side, student in students.items()
    }
    taken: Dict[str, Dict[str, List[float]]] = {
        kind: {side: [] for side in students} for kind in (PRETRAINING, PASSES)
    }
    plan = plan_batches(data.train, config, 1)
    batches = planned_batches(plan, data, config, SingleProcess(), 1)
    for number, micro_batches in enumerate(batches, start=1):
        for side, trainer in trainers.items():
            clocks[side].seconds.clear()
            trainer.step(number, micro_batches)
            stages = dict(clocks[side].seconds)
            del stages["teacher"]
            if number > _WARM_UP:
                taken[PRETRAINING][side].append(sum(stages.values()))
                taken[PASSES][side].append(sum(stages[name] for name in STUDENT_STAGES))
    return {
        kind: {side: statistics.median(seconds) for side, seconds in sides.items()}
        for kind, sides in taken.items()
    }


def _finetuning_steps(
    parsed: argparse.Namespace, sides: Sequence[str], architecture: Architecture
) -> Dict[str, float]:
    """Return the seconds of whole steps of fine-tuning."""
    from benchmarks.finetuning_step import TRAIN, make_classifier, our_steps

    shape = (parsed.batch_size, parsed.length)
    ids = np.random.default_rng(0).integers(5, architecture.vocabulary_size, size=shape)
    calls = {
        side: our_steps(make_classifier(architecture), ids, _MATH[side])[TRAIN] for side in sides
    }
    return _seconds(calls, parsed.steps)


if __name__ == "__main__":
    main()
