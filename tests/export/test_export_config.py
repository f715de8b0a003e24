"""Settings of an export: which of them go together, and which exporter receives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from bort.errors import InputError
from bort.export import exporting
from bort.export.export_config import ExportConfig

ALL_FORMATS = ("huggingface", "onnx", "openvino")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"to": "onnx", "exact_decoder": True}, "exact_decoder is for --to huggingface only"),
        ({"to": "huggingface", "precision": "int8"}, "allowed with --to onnx and openvino only"),
        ({"to": "huggingface", "masked_positions": True}, "precision and masked_positions are"),
        ({"to": "torch"}, "to is 'torch'"),
    ],
)
def test_settings_that_do_not_go_together(values: Dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExportConfig(model="m", output_dir="o", **values)


@pytest.mark.parametrize("to", ALL_FORMATS)
def test_the_named_format_is_written(to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ALL_FORMATS:
        monkeypatch.setattr(
            exporting,
            f"export_{name}",
            lambda *given, name=name, **options: calls.append((name, given, options)) or {"n": 1},
        )
    graph = {"precision": "int8", "masked_positions": True}
    options: Dict[str, Any] = {"exact_decoder": True} if to == "huggingface" else graph
    config = ExportConfig("m", to, "o", vocab="v", text_file="t", encoder_only=True, **options)
    assert exporting.export_model(config) == {"output_dir": "o", "to": to, "checks": {"n": 1}}
    source = exporting.ExportSource(Path("m"), "v", Path("t"), True)
    assert calls == [(to, (source, Path("o")), options)]
