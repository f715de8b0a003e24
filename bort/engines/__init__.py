"""Running a model: one small protocol, and MXNet, ONNX Runtime or OpenVINO behind it."""
