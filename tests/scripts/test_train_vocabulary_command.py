"""The command that trains a vocabulary."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bort.text.vocabularies import load_vocabulary
from tests.patience import HANG_SECONDS
from tests.text.tiny_vocabulary import TEXT


@pytest.mark.integration
def test_train_save_refuse(tmp_path, project_root):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")

    def run(*flags):
        return subprocess.run(
            [
                *(sys.executable, "scripts/train_vocabulary.py"),
                *("--input_file", f"{tmp_path}/*.txt", "--output_dir", str(tmp_path / "v"), *flags),
            ],
            cwd=project_root,
            env={"PYTHONPATH": str(project_root), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
        )

    done = run("--vocabulary_size", "9000")
    assert done.returncode == 2
    assert "too small" in done.stderr
    assert not (tmp_path / "v").exists()
    done = run("--vocabulary_size", "320", "--model_type", "bpe")
    assert done.returncode == 0, done.stderr
    vocabulary = load_vocabulary(tmp_path / "v")
    assert json.loads(done.stdout)["fingerprint"] == vocabulary.fingerprint
    assert len(vocabulary) == 320
    done = run("--vocabulary_size", "320")
    assert done.returncode == 2
    assert "is not empty" in done.stderr
