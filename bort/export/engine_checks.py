"""A check that an engine runs an exported graph with the outputs of its network."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from bort.engines.protocol import ONNXRUNTIME, OPENVINO, Engine
from bort.export.checks import TOLERANCE, answers_of, largest_difference
from bort.export.samples import Sample
from bort.formats.precisions import FP32

INT8_TOLERANCE = 1.0
"""Allowed difference in int8, relative as `bort.export.checks.TOLERANCE`. It only rules out
nonsense; evaluate on the task's dev set to learn what int8 costs."""

TITLES = {ONNXRUNTIME: "ONNX Runtime", OPENVINO: "OpenVINO"}


def check_engine(engine: Engine, sample: Sample, original: np.ndarray) -> Dict[str, Any]:
    """Compare an engine's outputs with those of the original.

    Args:
        engine: runs the graph.
        sample: a batch.
        original: outputs of the original, from `bort.export.checks.answers_of`.

    Returns:
        Name → number or text, for the description and the command's result.

    Raises:
        WorkError: a difference is larger than the tolerance.
    """
    answers = answers_of(engine, sample)
    tolerance = TOLERANCE if engine.precision == FP32 else INT8_TOLERANCE
    title = TITLES.get(engine.name, engine.name)
    return {
        **sample.counts,
        "largest output": float(np.abs(original).max()),
        f"largest difference, {title}": largest_difference(
            original, answers, sample.lengths, tolerance, title
        ),
    }
