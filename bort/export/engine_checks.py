"""Does a graph answer as the network that it was made of?"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from bort.engines.protocol import FP32, ONNXRUNTIME, OPENVINO, Engine
from bort.export.checks import TOLERANCE, Sample, answers_of, largest_difference

INT8_TOLERANCE = 1.0
"""Allowed difference of int8, relative as `bort.export.checks.TOLERANCE`: it only must not be
nonsense. What it costs in a task's score is for that task's development set to say."""

TITLES = {ONNXRUNTIME: "ONNX Runtime", OPENVINO: "OpenVINO"}


def check_engine(engine: Engine, sample: Sample, original: np.ndarray) -> Dict[str, Any]:
    """Compare an engine with what the original answered.

    Args:
        engine: that runs the graph.
        sample: a batch.
        original: what `bort.export.checks.answers_of` gives for the original.

    Returns:
        name → number or text, for the description and the command's result.

    Raises:
        WorkError: something differs by more than rounding explains.
    """
    answers = answers_of(engine, sample)
    tolerance = TOLERANCE if engine.precision == FP32 else INT8_TOLERANCE
    title = TITLES.get(engine.name, engine.name)
    return {
        "texts": len(sample.texts) or "none (random tokens)",
        "largest output": float(np.abs(original).max()),
        f"largest difference, {title}": largest_difference(
            original, answers, sample.lengths, tolerance, title
        ),
    }
