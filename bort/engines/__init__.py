"""Inference engines: one protocol, implemented on MXNet, ONNX Runtime and OpenVINO."""
