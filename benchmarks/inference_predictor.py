"""Measure the overhead of a predictor over its engine, and the gain of its batches.

Random weights of an architecture are exported as a classifier to OpenVINO and ONNX (fp32, int8).
All measurements run in turn, so that noise affects them equally:

- one text of `--length` tokens: OpenVINO's bare graph with ready arrays, the engine alone, the
  predictor with tokenisation, and the Transformers pipeline on PyTorch in fp32, if it is installed;
- texts of mixed length: the predictor, and the engine with batches padded to the longest text;
- the seconds from the start of a process to its first answer, for the exports and for the plain
  model folder, whose graph is built first.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from benchmarks.output import run_benchmark
from bort.architecture import get_architecture
from bort.engines.choosing import installed_engines, open_engine
from bort.engines.protocol import OPENVINO, Engine
from bort.formats.openvino_file import OPENVINO_GRAPH_FILE, core
from bort.inference.predictor import Predictor
from bort.network.array_network import ArrayNetwork
from bort.network.model_folder import VOCABULARY_FOLDER, write_model_folder
from bort.network.random_network import random_network
from bort.process.command import make_parser
from bort.text.padding import pad_rows
from bort.text.vocabularies import load_vocabulary
from bort.text.vocabulary import Vocabulary

PYTORCH = "transformers pipeline, PyTorch fp32"
_WORDS = (
    "the ferry left harbour before sunrise and nobody on quay waved when committee met again in "
    "March its members agreed on two of five proposals postponed a third argued about remaining"
).split()
_ROWS_AT_ONCE = 32
_FIRST_ANSWER = """
import sys
from bort import Predictor
Predictor.from_pretrained(sys.argv[1], engine=sys.argv[2], precision=sys.argv[3],
                          threads=int(sys.argv[4]))(["a moving film"])
"""


def main() -> None:
    """Parse the flags, measure, print JSON."""
    parser = make_parser(__doc__ or "")
    parser.add_argument("--model", default="bort_4_8_768_1024", help="architecture")
    parser.add_argument("--vocab", help="vocabulary (default: a small one, trained for this run)")
    parser.add_argument("--length", type=int, default=128, help="tokens of the single text")
    parser.add_argument("--texts", type=int, default=64, help="number of texts of mixed length")
    parser.add_argument("--longest", type=int, default=256, help="maximum tokens of a mixed text")
    parser.add_argument("--repeats", type=int, default=15, help="measured calls, after 2 others")
    parser.add_argument("--starts", type=int, default=3, help="number of processes to start")
    parser.add_argument("--threads", type=int, default=1)
    run_benchmark(parser, measure)


def measure(parsed: argparse.Namespace) -> Dict[str, Any]:
    """Return all measurements."""
    if parsed.vocab:
        vocabulary: Vocabulary = load_vocabulary(parsed.vocab)
    else:
        from data.tasks.sample_vocabulary import train_sample_vocabulary

        vocabulary = train_sample_vocabulary()
    architecture = get_architecture(parsed.model).replace(vocabulary_size=len(vocabulary))
    network = random_network(architecture, 0, num_classes=2)
    network = network.replace(vocabulary_fingerprint=vocabulary.fingerprint)
    with tempfile.TemporaryDirectory() as folder:
        subjects = export(network, vocabulary, Path(folder))
        opened = {
            name: Predictor.from_pretrained(
                path, engine=engine, precision=kind, threads=parsed.threads
            )
            for name, (path, engine, kind) in subjects.items()
        }
        engines = {
            name: open_engine(path, engine, kind, parsed.threads)
            for name, (path, engine, kind) in subjects.items()
        }
        pipeline = transformers_pipeline(network, vocabulary, Path(folder), parsed.threads)
        return {
            "architecture": str(architecture),
            "threads": parsed.threads,
            "times": "clock, processor",
            "precision": {name: one.precision for name, one in engines.items()},
            "one text": one_text(parsed, vocabulary, opened, engines, pipeline, subjects),
            "mixed lengths": mixed(parsed, vocabulary, opened, engines),
            "seconds to the first answer": {
                name: first_answers(parsed, subject)
                for name, subject in {**subjects, **plain(network, vocabulary, folder)}.items()
            },
        }


Subject = Tuple[Path, str, str]


def export(network: ArrayNetwork, vocabulary: Vocabulary, folder: Path) -> Dict[str, Subject]:
    """Export the network; return name → folder, engine and precision to request."""
    from bort.formats.onnx_file import write_onnx
    from bort.formats.openvino_file import write_openvino

    subjects: Dict[str, Subject] = {}
    if "openvino" in installed_engines():
        (folder / "openvino").mkdir()
        write_openvino(folder / "openvino", network, vocabulary)
        for kind in ("fp32", "fast"):
            subjects[f"openvino {kind}"] = folder / "openvino", "openvino", kind
    if "onnxruntime" in installed_engines():
        for kind in ("fp32", "int8"):
            (folder / kind).mkdir()
            write_onnx(folder / kind, network, vocabulary, precision=kind)
            subjects[f"onnxruntime {kind}"] = folder / kind, "onnxruntime", "fp32"
    return subjects


def plain(network: ArrayNetwork, vocabulary: Vocabulary, folder: str) -> Dict[str, Subject]:
    """Write the network as a plain model folder; return name → folder, engine and precision."""
    path = Path(folder) / "plain"
    write_model_folder(path, network.description, network.arrays)
    vocabulary.save(path / VOCABULARY_FOLDER)
    return {f"{name} fp32, plain folder": (path, name, "fp32") for name in installed_engines()}


def bare_graph(
    subject: Subject, engine: Engine, threads: int, ids: np.ndarray
) -> Callable[[], Any]:
    """Return a call of OpenVINO alone on the graph of a subject, with arrays that are ready."""
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if engine.precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    graph = core().read_model(str(subject[0] / OPENVINO_GRAPH_FILE))
    request = core().compile_model(graph, "CPU", settings).create_infer_request()
    arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    for name, array in arrays.items():
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    return lambda: request.infer()


def transformers_pipeline(
    network: ArrayNetwork, vocabulary: Vocabulary, folder: Path, threads: int
) -> Optional[Callable[[str], Any]]:
    """Return the Transformers pipeline for the same weights, or None if it is not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        return None
    from bort.formats.huggingface.writer import write_huggingface

    (folder / "huggingface").mkdir()
    write_huggingface(folder / "huggingface", network, vocabulary)
    torch.set_num_threads(threads)
    pipeline = transformers.pipeline("text-classification", str(folder / "huggingface"))
    return lambda text: pipeline(text)


def one_text(
    parsed: argparse.Namespace,
    vocabulary: Vocabulary,
    predictors: Dict[str, Predictor],
    engines: Dict[str, Engine],
    pipeline: Optional[Callable[[str], Any]],
    subjects: Dict[str, Subject],
) -> Dict[str, Any]:
    """Return the milliseconds for one text, and their ratios."""
    text = text_of(vocabulary, parsed.length)
    ids = np.array([[vocabulary.bos_id, *vocabulary.encode(text), vocabulary.eos_id]])
    lengths = np.array([ids.shape[1]])
    calls: Dict[str, Callable[[], Any]] = {}
    for name, engine in engines.items():
        calls[f"{name}, engine"] = lambda engine=engine: engine.answer(ids, lengths)
        calls[f"{name}, predictor"] = lambda name=name: predictors[name]([text])
        if engine.name == OPENVINO and not engine.description.architecture.token_types:
            calls[f"{name}, bare graph"] = bare_graph(subjects[name], engine, parsed.threads, ids)
    if pipeline is not None:
        calls[PYTORCH] = lambda: pipeline(text)
    seconds = in_turn(calls, parsed.repeats)
    ratios = {
        f"{name}: predictor / engine": ratio(
            seconds[f"{name}, predictor"], seconds[f"{name}, engine"]
        )
        for name in engines
    }
    for name in engines:
        if f"{name}, bare graph" in seconds:
            ratios[f"{name}: predictor / bare graph"] = ratio(
                seconds[f"{name}, predictor"], seconds[f"{name}, bare graph"]
            )
    for name in engines if pipeline is not None else ():
        ratios[f"{PYTORCH} / {name} predictor"] = ratio(
            seconds[PYTORCH], seconds[f"{name}, predictor"]
        )
    began = time.perf_counter()
    for _ in range(100):
        vocabulary.encode(text)
    tokenising = (time.perf_counter() - began) / 100
    return {
        "tokens": int(ids.shape[1]),
        "milliseconds": {
            name: [round(1e3 * statistics.median(kind), 2) for kind in times]
            for name, times in seconds.items()
        },
        "milliseconds of the vocabulary alone": round(1e3 * tokenising, 4),
        "ratios": ratios,
    }


def mixed(
    parsed: argparse.Namespace,
    vocabulary: Vocabulary,
    predictors: Dict[str, Predictor],
    engines: Dict[str, Engine],
) -> Dict[str, Any]:
    """Compare the predictor with batches padded to the longest text, on texts of mixed length."""
    generator = np.random.default_rng(0)
    drawn = np.exp(generator.uniform(np.log(8), np.log(parsed.longest), parsed.texts))
    texts = [text_of(vocabulary, int(length)) for length in drawn]
    rows = [np.array([vocabulary.bos_id, *vocabulary.encode(t), vocabulary.eos_id]) for t in texts]
    ids, lengths = pad_rows(rows, max(map(len, rows)), vocabulary.pad_id)

    def padded(engine: Engine) -> None:
        for first in range(0, len(ids), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            engine.answer(ids[part], lengths[part])

    found: Dict[str, Any] = {"texts": len(texts), "tokens": int(lengths.sum())}
    found["longest"] = int(lengths.max())
    for name, engine in engines.items():
        seconds = in_turn(
            {
                "predictor": lambda name=name: predictors[name](texts),
                "padded to the longest": lambda engine=engine: padded(engine),
            },
            max(3, parsed.repeats // 5),
        )
        found[name] = {
            "tokens a second": [
                round(float(lengths.sum()) / statistics.median(kind), 1)
                for kind in seconds["predictor"]
            ],
            "times the throughput of padding to the longest": ratio(
                seconds["padded to the longest"], seconds["predictor"]
            ),
        }
    return found


def first_answers(parsed: argparse.Namespace, subject: Subject) -> Dict[str, List[float]]:
    """Return the seconds of processes that start, answer one text and end; the disk is warm."""
    found: Dict[str, List[float]] = {"clock": [], "processor": []}
    for _ in range(parsed.starts):
        began, used = time.perf_counter(), _processor_seconds_of_children()
        command = [sys.executable, "-c", _FIRST_ANSWER, *map(str, subject), str(parsed.threads)]
        subprocess.run(command, check=True)
        found["clock"].append(round(time.perf_counter() - began, 2))
        found["processor"].append(round(_processor_seconds_of_children() - used, 2))
    return found


def _processor_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def text_of(vocabulary: Vocabulary, tokens: int) -> str:
    """Return a text of at most `tokens` tokens, its two special tokens included."""
    words: List[str] = []
    for number in range(tokens):
        longer = [*words, _WORDS[(number * number + tokens) % len(_WORDS)]]
        if len(vocabulary.encode(" ".join(longer))) > tokens - 2:
            break
        words = longer
    return " ".join(words)


class Times(NamedTuple):
    """Seconds of several calls, on the clock and of the processor."""

    clock: List[float]
    processor: List[float]


def in_turn(calls: Dict[str, Callable[[], Any]], repeats: int) -> Dict[str, Times]:
    """Return the times of all calls, which run in turn, after two turns for warm-up."""
    times = {name: Times([], []) for name in calls}
    for number in range(repeats + 2):
        for name, call in calls.items():
            began, used = time.perf_counter(), time.process_time()
            call()
            if number >= 2:
                times[name].clock.append(time.perf_counter() - began)
                times[name].processor.append(time.process_time() - used)
    return times


def ratio(one: Times, other: Times) -> Dict[str, float]:
    """Return the ratio of the medians; other processes disturb that of processor times less."""
    return {
        kind: round(
            statistics.median(getattr(one, kind)) / statistics.median(getattr(other, kind)), 3
        )
        for kind in Times._fields
    }


if __name__ == "__main__":
    main()
