"""Names of the precisions that graphs are written in and engines compute in."""

from __future__ import annotations

FP32, BF16, INT8 = "fp32", "bf16", "int8"
INT8_WEIGHTS = "int8_weights"
"""Matrices rounded to eight bits, products in float32."""
