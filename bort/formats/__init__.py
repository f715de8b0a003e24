"""File formats of other libraries: Hugging Face, ONNX, OpenVINO, MXNet parameters."""
