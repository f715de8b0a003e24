"""A network as a folder with OpenVINO's own files: it runs where openvino alone is installed."""

from __future__ import annotations

MODEL_FILE = "openvino.xml"
WEIGHTS_FILE = "openvino.bin"
DESCRIPTION_FILE = "openvino.json"
