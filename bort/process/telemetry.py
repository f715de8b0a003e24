"""A switch that keeps libraries from reporting their use to their vendors."""

from __future__ import annotations

import os
import sys

_VARIABLES = (
    # Without it, the import of ONNX Runtime writes a device id into the home folder, and starts a
    # thread that uploads events (see Privacy.md in the package).
    "ORT_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HUB_DISABLE_UPDATE_CHECK",
    "DO_NOT_TRACK",
)
_OPENVINO = "openvino_telemetry"


def switch_off_telemetry() -> None:
    """Keep ONNX Runtime, OpenVINO and huggingface_hub from sending anything about their use.

    It works for libraries that are imported afterwards, also in child processes. A variable that
    the user has set keeps its value.

    OpenVINO's import writes a client id into the home folder and sends a message from a child
    process. Its command to opt out sends a message too and writes a file. Without its telemetry
    package it does neither, so the import of that package is made to fail: that is what `None` in
    `sys.modules` means (Python's reference, "The module cache").
    """
    for variable in _VARIABLES:
        if not os.environ.get(variable):
            os.environ[variable] = "1"
    if _OPENVINO not in sys.modules:
        sys.modules[_OPENVINO] = None  # type: ignore[assignment]
