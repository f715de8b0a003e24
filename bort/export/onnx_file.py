"""A network as a folder with an ONNX file: `model.onnx`, what it is, and its vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from bort.errors import InputError
from bort.export.checks import TOLERANCE, Sample, largest_difference
from bort.export.exported_folder import VOCABULARY_FOLDER, write_exported_description
from bort.export.huggingface import check_vocabulary
from bort.export.network import ArrayNetwork
from bort.export.onnx_graph import (
    ATTENTION_MASK,
    FP32,
    INPUT_IDS,
    MASKED_POSITIONS,
    OPSET,
    TOKEN_TYPE_IDS,
    build_onnx,
)
from bort.files import atomic_write
from bort.text.vocabulary import Vocabulary

MODEL_FILE = "model.onnx"
DESCRIPTION_FILE = "onnx.json"
INT8_TOLERANCE = 1.0
"""Allowed difference of int8, relative as `bort.export.checks.TOLERANCE`: it only must not be
nonsense. What it costs in a task's score is for that task's development set to say."""


def write_onnx(
    folder: Path,
    network: ArrayNetwork,
    vocabulary: Optional[Vocabulary],
    *,
    precision: str = FP32,
    masked_positions: bool = False,
    sample: Optional[Sample] = None,
    original: Optional[np.ndarray] = None,
) -> Dict[str, Any]:
    """Write `model.onnx`, `vocabulary/` and, last, `onnx.json` with the file's SHA-256.

    Args:
        folder: takes the files; best a new one (see `bort.files.new_folder`).
        network: what to write.
        vocabulary: its vocabulary, None for none.
        precision: `fp32` or `int8`, see `bort.export.onnx_graph`.
        masked_positions: decode at given positions alone; a third input.
        sample: text to compare on, through ONNX Runtime.
        original: what the network answers for the sample.

    Returns:
        the comparison: name → number; {} without a sample.

    Raises:
        InputError: a package is missing, or the network or vocabulary does not fit.
        WorkError: the file answers something else.
    """
    if vocabulary is not None:
        check_vocabulary(network, vocabulary)
        vocabulary.save(folder / VOCABULARY_FOLDER)
    metadata = {"architecture": json.dumps(network.architecture.as_dict()), "precision": precision}
    if network.labels:
        metadata["labels"] = json.dumps(network.labels)
    model = build_onnx(
        network, precision=precision, masked_positions=masked_positions, metadata=metadata
    )
    with atomic_write(folder / MODEL_FILE) as stream:
        stream.write(model.SerializeToString())
    checks: Dict[str, Any] = {}
    if sample is not None and original is not None:
        tolerance = TOLERANCE if precision == FP32 else INT8_TOLERANCE
        answers = run_onnx(folder / MODEL_FILE, sample, masked_positions)
        checks = {
            "texts": len(sample.texts) or "none (random tokens)",
            "largest output": float(np.abs(original).max()),
            "largest difference, ONNX Runtime": largest_difference(
                original, answers, sample.lengths, tolerance, "ONNX Runtime"
            ),
        }
    fields = {
        "opset": OPSET,
        "precision": precision,
        "inputs": [one.name for one in model.graph.input],
        "outputs": [one.name for one in model.graph.output],
        "checks": checks,
    }
    write_exported_description(folder / DESCRIPTION_FILE, network, (MODEL_FILE,), fields)
    return checks


def run_onnx(path: Path, sample: Sample, masked_positions: bool = False) -> np.ndarray:
    """What ONNX Runtime answers for a sample, at every position.

    Raises:
        InputError: onnxruntime is not installed.
    """
    runtime = _runtime()
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    length = sample.input_ids.shape[1]
    counts = np.arange(length)[None, :] < sample.lengths[:, None]
    feed: Dict[str, np.ndarray] = {
        INPUT_IDS: sample.input_ids.astype(np.int64),
        ATTENTION_MASK: counts.astype(np.int64),
    }
    names: List[str] = [one.name for one in session.get_inputs()]
    if TOKEN_TYPE_IDS in names:
        feed[TOKEN_TYPE_IDS] = np.zeros_like(feed[INPUT_IDS])
    if masked_positions:
        positions = np.broadcast_to(np.arange(length), sample.input_ids.shape)
        feed[MASKED_POSITIONS] = np.ascontiguousarray(positions, np.int64)
    return np.asarray(session.run(None, feed)[0])


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "onnxruntime is not installed, the export is checked with it: pip install onnxruntime"
        ) from error
    return onnxruntime
