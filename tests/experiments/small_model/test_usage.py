"""The lines that use the model: as text here; the integration test of the command runs them."""

from __future__ import annotations

from pathlib import Path

from experiments.small_model.usage import usage_elsewhere, usage_lines

SETTINGS = {"output_dir": "it's/out", "threads": 2}


def test_the_lines_are_python_and_name_the_folder() -> None:
    lines = usage_lines(SETTINGS, {"fields": ["message"]})
    compile(lines, "usage", "exec")
    assert len(lines.splitlines()) == 3
    assert 'Predictor.from_pretrained("it\'s/out/model", threads=2)' in lines
    assert '["a text", "another text"]' in lines


def test_pairs_are_asked_as_pairs() -> None:
    lines = usage_lines(SETTINGS, {"fields": ["premise", "hypothesis"]})
    compile(lines, "usage", "exec")
    assert '[("one text", "another text")]' in lines


def test_bf16_is_asked_for_when_it_is_served() -> None:
    rows = [{"precision": "fp32", "taken": False}, {"precision": "bf16", "taken": True}]
    assert 'precision="fast"' in usage_lines(SETTINGS, {}, rows)
    assert "precision" not in usage_lines(SETTINGS, {}, rows[:1])


def test_a_hugging_face_folder_is_used_with_transformers(tmp_path: Path) -> None:
    settings = {"output_dir": str(tmp_path), "threads": 1}
    assert usage_elsewhere(settings, {}) == ""
    for place in (tmp_path / "model" / "huggingface", tmp_path / "huggingface"):
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        lines = usage_elsewhere(settings, {"fields": ["text"]})
        compile(lines, "usage", "exec")
        assert repr(str(place)) in lines
    assert "text_pair" in usage_elsewhere(settings, {"fields": ["a", "b"]})
