"""The served files of a model: bytes, score and latency of its fp32 and int8 exports."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from bort.engines.answers import engine_answers
from bort.engines.choosing import open_engine
from bort.engines.latency import EngineLatency, TimedEngine
from bort.engines.protocol import ONNXRUNTIME, Engine
from bort.engines.sources import read_source
from bort.export.exporting import ExportSource, export_onnx, export_openvino
from bort.formats.network_folder import read_folder_description, vocabulary_of
from bort.formats.precisions import FP32, INT8
from bort.process.timing import Turns, steadiest
from bort.ranks import SingleProcess
from bort.storage.files import write_json
from bort.storage.run_folder import MODEL_FOLDER
from bort.tasks.options import TaskOptions
from bort.text.asking import TokenisedInputs, shared_outputs
from bort.text.vocabularies import load_vocabulary
from experiments.large_then_compressed.finetuning import score_sets
from experiments.large_then_compressed.plan import LargeConfig
from experiments.large_then_compressed.task import open_experiment_task

SERVED_PRECISIONS = (FP32, INT8)
FILES_FILE, LATENCY_FILE = "files.json", "latency.json"


def export_and_score(config: LargeConfig, finetuned: Path, task: Path, folder: Path) -> None:
    """Export a fine-tuned model in fp32 and int8, and score both files; writes `files.json`.

    The score is that of the exported file on the engine that serves it, not that of the network
    before the export.

    Args:
        config: the experiment.
        finetuned: folder of a fine-tuning stage that keeps its model.
        task: folder of the task stage.
        folder: folder of the stage; the exports are in its subfolders `fp32` and `int8`.
    """
    model = finetuned / MODEL_FOLDER
    vocabulary = load_vocabulary(vocabulary_of(model))
    description = read_folder_description(str(model))
    _, reported = open_experiment_task(config, task, vocabulary, description.pair_form(vocabulary))
    assert description.task is not None, "a fine-tuned model knows its task"
    options = TaskOptions.from_dict(description.task.options or {}, str(model))
    write = export_onnx if config.engine == ONNXRUNTIME else export_openvino
    found: Dict[str, Any] = {}
    for precision in SERVED_PRECISIONS:
        target = folder / precision
        if not target.exists():
            write(ExportSource(model), target, precision=precision)
        engine = open_engine(target, config.engine, FP32, threads=1)

        def answers(features: TokenisedInputs, engine: Engine = engine) -> np.ndarray:
            return _outputs(engine, features, vocabulary.pad_id)

        scores = score_sets(options, reported, answers)
        found[precision] = {**scores, "bytes": graph_bytes(target), "computes": engine.precision}
    found["parameters"] = description.architecture.parameter_count()
    write_json(folder / FILES_FILE, found)


def graph_bytes(folder: Path) -> int:
    """Return the bytes of an exported graph with its weights, without vocabulary and records."""
    graph = read_source(folder).graph
    assert graph is not None, f"{folder} is an export"
    return sum(path.stat().st_size for path in graph.files)


def measure_exports(
    config: LargeConfig, exports: Mapping[str, Path], reference: str, folder: Path
) -> None:
    """Measure the latency of exported files beside a reference; writes `latency.json`.

    Runs of a file take turns with runs of the reference's fp32 file, and times are shares of the
    reference's, so that changes of the machine's speed cancel. Inputs have the full length.

    Args:
        config: the experiment.
        exports: label of a model → folder of its export stage.
        reference: label of the reference.
        folder: folder of the stage.
    """
    gauges = {
        precision: EngineLatency(
            engine=config.engine,
            precision=precision,
            threads=1,
            length=config.max_seq_length,
            batch=config.latency_batch,
            repeats=config.latency_repeats,
            clock=time.process_time,
        )
        for precision in SERVED_PRECISIONS
    }
    anchor = gauges[FP32].open_folder(exports[reference] / FP32)
    found: Dict[str, Any] = {"reference": reference, "seconds": anchor.time().seconds, "files": {}}
    for label, export in exports.items():
        for precision in SERVED_PRECISIONS:
            opened = gauges[precision].open_folder(export / precision)

            def measure(opened: TimedEngine = opened) -> Turns:
                return opened.time_in_turns(anchor.run)

            turns = steadiest(measure, lambda one: one.spread)
            found["files"].setdefault(label, {})[precision] = {
                "share": turns.share,
                "spread": turns.spread,
            }
    write_json(folder / LATENCY_FILE, found)


def _outputs(engine: Engine, features: TokenisedInputs, pad_id: int) -> np.ndarray:
    return shared_outputs(
        engine_answers(engine),
        features,
        rows=32,
        pad_id=pad_id,
        width=engine.description.num_classes or 1,
        ranks=SingleProcess(),
    )
